import { readDataStack, type Shell, type StageName } from './stages.ts'

/** States of a stack that has not come to its end since it was made, as a failure without a rollback leaves it. */
const unfinished = ['REVIEW_IN_PROGRESS', 'CREATE_FAILED', 'UPDATE_FAILED']

/**
 * Whether the stack of the data has never been there whole. What it protects from deletion CloudFormation cannot
 * take back: a first deployment must stop where it fails, and the next one goes on from there.
 */
export async function isFirst(stage: StageName, at: Shell): Promise<boolean> {
  const status = await readDataStack(stage, 'Stacks[0].StackStatus', at)
  return status === undefined || unfinished.includes(status)
}
