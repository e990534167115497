import { atWork, busyAdvice, type Found, holdsData, inRegionOf, leftCommand } from './stacks.ts'
import { type Context, cdk, type StageName, typed } from './stages.ts'

/** What a deployment does about a stack in the state that it finds it in. */
export type Treatment =
  /** `cdk deploy` with these flags. */
  | { does: 'deploy'; flags: readonly string[]; says?: string }
  /** A command of its own, after which the stack is deployed without flags. */
  | { does: 'rollback' | 'delete'; says: string }
  /** CloudFormation works on it. */
  | { does: 'wait'; says: string }
  /** A person has to decide: `says` ends with the commands for it. */
  | { does: 'stop'; says: string }

const whole = [
  'CREATE_COMPLETE',
  'UPDATE_COMPLETE',
  'UPDATE_ROLLBACK_COMPLETE',
  'IMPORT_COMPLETE',
  'IMPORT_ROLLBACK_COMPLETE',
]
/** Nothing is there: a stack in review has a change set that was never executed. */
const absent = [undefined, 'DELETE_COMPLETE', 'REVIEW_IN_PROGRESS']
/** A creation failed, and was or was not rolled back. */
const uncreated = ['CREATE_FAILED', 'ROLLBACK_COMPLETE', 'ROLLBACK_FAILED']
/** A failure without a rollback leads there. */
const paused = ['CREATE_FAILED', 'UPDATE_FAILED']

export const isAbsent = ({ status }: Found) => absent.includes(status)
export const isPaused = ({ status = '' }: Found) => paused.includes(status)
/** Whether its creation has yet to succeed, as far as the state tells. */
export const neverWhole = (found: Found) => isAbsent(found) || uncreated.includes(found.status ?? '')
/** Whether a deployment has to do more about it than to deploy it. */
export const isUnfinished = (found: Found) => !isAbsent(found) && !whole.includes(found.status ?? '')

/**
 * What is right and safe for a stack of a stage. A stack without data is rolled back, deleted or created again as
 * its state demands. One with data is continued, or left to a person: it is deleted only if nothing is left of it.
 */
export function treatment(stage: StageName, found: Found): Treatment {
  const { stack, status, left } = found
  const data = holdsData(stack)
  const is = isCalled(found)
  // What prod protects from deletion CloudFormation could not take back.
  const first = { does: 'deploy', flags: data && stage === 'prod' ? ['--no-rollback'] : [] } as const
  if (isAbsent(found)) return first
  if (!isUnfinished(found)) return { does: 'deploy', flags: [] }
  if (atWork(found)) return { does: 'wait', says: `${is}: a deployment is at work. ${busyAdvice}.` }
  const again: Treatment = {
    ...first,
    says: `${is}: it was never complete. The CDK deletes it and creates it again.`,
  }
  switch (status) {
    case 'CREATE_FAILED':
    case 'UPDATE_FAILED':
      // Without a rollback of its own the CDK asks whether to, and without a terminal stops at the question.
      if (!data) return { does: 'rollback', says: `${is}: it is rolled back, then deployed.` }
      return {
        does: 'deploy',
        flags: ['--no-rollback'],
        says: `${is} and holds data: it is not rolled back, the deployment goes on from there.`,
      }
    case 'UPDATE_ROLLBACK_FAILED':
      return { does: 'rollback', says: `${is}: its rollback is continued, then it is deployed.` }
    case 'ROLLBACK_COMPLETE':
      return data && left.length > 0 ? stop(stage, found, `${is} and left ${left.join(', ')}`) : again
    case 'ROLLBACK_FAILED':
      return data ? stop(stage, found, `${is}, and what is left of it may hold data`) : again
    case 'DELETE_FAILED':
      return data
        ? stop(stage, found, `${is}, and what is left of it may hold data`)
        : { does: 'delete', says: `${is}: its deletion is finished, then it is created again.` }
    default:
      return stop(stage, found, `${is}, a state that no deployment of Insighta leads to`)
  }
}

/** For a person: a stack with its state and why it is in it. */
export const isCalled = ({ stack, status, reason }: Found) =>
  `${stack} is ${status}${reason ? ` (${reason})` : ''}`

function stop(stage: StageName, { stack, status }: Found, why: string): { does: 'stop'; says: string } {
  if (stage === 'dev' && status === 'DELETE_FAILED') {
    const destroy = typed(['npm', 'run', 'destroy', '--', stage, '--yes'])
    return { does: 'stop', says: `${why}. Finish what was begun, then deploy again:\n${destroy}` }
  }
  const deletion = ['aws', 'cloudformation', 'delete-stack', '--stack-name', stack, ...inRegionOf(stack)]
  // Of a stack whose deletion failed before, it leaves what cannot be deleted.
  if (status === 'DELETE_FAILED') deletion.push('--deletion-mode', 'FORCE_DELETE_STACK')
  return {
    does: 'stop',
    says:
      `${why}: a deployment neither deletes nor replaces it. Look at what it has:\n${typed(leftCommand(stack))}\n` +
      `If nothing of that is needed, delete the stack and run the same command again:\n${typed(deletion)}`,
  }
}

/**
 * For after a failure: how a stack that is unfinished goes on, and what to do if it does not; the commands that
 * a person may need stand in lines of their own.
 */
export function advice(stage: StageName, found: Found, context: Context): string {
  const { says = '' } = treatment(stage, found)
  if (found.status === 'UPDATE_ROLLBACK_FAILED') {
    const orphan = typed(cdk([...rollback(found.stack), '--orphan', '<logical id>'], context))
    return `${says} If that fails again, leave out the resources that cannot go back:\n${orphan}`
  }
  if (isPaused(found) && holdsData(found.stack)) {
    return (
      `${says} If the CDK asked to roll it back first, the change replaces a resource of it: take that change ` +
      'out, or decide on a terminal, where the CDK asks.'
    )
  }
  return says
}

/** For a stack with data that a deployment left as it was: CloudFormation saw nothing to change. */
export function unchanged(stage: StageName, found: Found, context: Context): string {
  const why = `${isCalled(found)} still: CloudFormation found nothing to change in it`
  // What was whole before goes back to that; what was not would be deleted.
  if (found.status !== 'UPDATE_FAILED') return stop(stage, found, why).says
  return `${why}. Take it back to where it was, then deploy again:\n${typed(cdk(rollback(found.stack), context))}`
}

export type Step = { says: string; words: string[] }

/**
 * The commands that come before any deployment, for stacks in the order of their deployment: a stack is rolled
 * back or deleted before those it takes exports from.
 */
export function firstSteps(stage: StageName, stacks: readonly Found[], context: Context): Step[] {
  return stacks.toReversed().flatMap((found) => {
    const { does, ...rest } = treatment(stage, found)
    if (does !== 'rollback' && does !== 'delete') return []
    const words = does === 'rollback' ? rollback(found.stack) : deletion(found.stack)
    return [{ says: rest.says ?? '', words: cdk(words, context) }]
  })
}

const rollback = (stack: string) => ['rollback', stack]
// Without --exclusively the stacks that need it would go too.
const deletion = (stack: string) => ['destroy', stack, '--exclusively', '--force']

export type Group = { stacks: string[]; flags: readonly string[] }

/** Neighbours that are deployed with the same flags, by one command. */
export function groups(stage: StageName, stacks: readonly Found[]): Group[] {
  const grouped: Group[] = []
  for (const found of stacks) {
    const { does, ...rest } = treatment(stage, found)
    const flags = does === 'deploy' && 'flags' in rest ? rest.flags : []
    const last = grouped.at(-1)
    if (last && last.flags.join() === flags.join()) last.stacks.push(found.stack)
    else grouped.push({ stacks: [found.stack], flags })
  }
  return grouped
}
