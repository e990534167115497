import type { Shell, StageName } from './stages.ts'

/** States of a stack that has not come to its end since it was made, as a failure without a rollback leaves it. */
const unfinished = ['none', 'REVIEW_IN_PROGRESS', 'CREATE_FAILED', 'UPDATE_FAILED']

/**
 * Whether the stack of the data has never been there whole. What it protects from deletion CloudFormation cannot
 * take back: a first deployment must stop where it fails, and the next one goes on from there.
 */
export async function isFirst(stage: StageName, at: Shell): Promise<boolean> {
  const status = await at
    .read([
      ...['aws', 'cloudformation', 'describe-stacks', '--stack-name', `Insighta-${stage}-data`],
      ...['--query', 'Stacks[0].StackStatus', '--output', 'text'],
    ])
    .catch((error: unknown) => {
      if (error instanceof Error && error.message.includes('does not exist')) return 'none'
      throw error
    })
  return unfinished.includes(status.trim())
}
