import type { CloudFormation } from './model.ts'

/** What the CDK ends with, in its words. */
export class ToolkitError extends Error {}

export type Terminal = {
  /** What a person answers to the CDK's questions; undefined: there is no terminal. */
  answer?: boolean | undefined
  /** Whether the changes widen permissions. */
  permissions?: boolean
}

const creationFailures = ['ROLLBACK_COMPLETE', 'ROLLBACK_FAILED']
const rollbackable = ['CREATE_FAILED', 'UPDATE_FAILED', 'UPDATE_ROLLBACK_FAILED']

/**
 * What the CDK CLI (2.1148) asks of CloudFormation and of the person for `deploy`, `rollback` and `destroy`;
 * the contract test holds it to the CLI itself. Throws what the CLI ends with.
 */
export function runCdk(
  [command = '', ...words]: readonly string[],
  cloud: CloudFormation,
  terminal: Terminal,
): void {
  const flags = words.filter((word) => word.startsWith('--'))
  const stacks = words.filter((word) => /^Insighta-[a-z]+-[a-z]+$/.test(word))
  const has = (flag: string) => flags.includes(flag)
  switch (command) {
    case 'deploy':
      for (const stack of stacks) {
        const options = { rollback: !has('--no-rollback'), force: has('--force') }
        const approved =
          has('--require-approval') && words[words.indexOf('--require-approval') + 1] === 'never'
        deploy(
          stack,
          cloud,
          { ...terminal, permissions: (terminal.permissions ?? false) && !approved },
          options,
        )
      }
      return
    case 'rollback':
      for (const stack of stacks) rollback(stack, cloud)
      return
    case 'destroy':
      for (const stack of has('--all') ? [...cloud.stacks.keys()].toReversed() : stacks) destroy(stack, cloud)
      return
    default:
      throw new Error(`The stand-in knows no cdk ${command}`)
  }
}

function ask(motivation: string, { answer }: Terminal): void {
  if (answer === undefined) throw new ToolkitError(`${motivation}, but terminal (TTY) is not attached`)
  if (!answer) throw new ToolkitError(`Aborted: ${motivation}`)
}

function deploy(
  name: string,
  cloud: CloudFormation,
  terminal: Terminal,
  { rollback: withRollback, force }: { rollback: boolean; force: boolean },
): void {
  prepare(name, cloud)
  if (cloud.unchanged.has(name)) {
    cloud.deleteChangeSet(name)
    return
  }
  if (terminal.permissions) ask('Stack includes security-sensitive updates', terminal)
  const { status } = cloud.stacks.get(name)!
  const replaces = cloud.replacing.has(name)
  if (rollbackable.includes(status) && (withRollback || replaces)) {
    if (!force) ask(`Stack is in a paused fail state (${status})`, terminal)
    rollback(name, cloud)
    deploy(name, cloud, { ...terminal, permissions: false }, { rollback: true, force })
    return
  }
  if (!withRollback && replaces) {
    if (!force)
      ask('Change includes a replacement which cannot be deployed while rollback is disabled', terminal)
    deploy(name, cloud, { ...terminal, permissions: false }, { rollback: true, force })
    return
  }
  cloud.executeChangeSet(name, !withRollback)
  const end = cloud.stacks.get(name)!.status
  if (end !== 'CREATE_COMPLETE' && end !== 'UPDATE_COMPLETE')
    throw new ToolkitError(`${name} failed to deploy: ${end}`)
}

/** Makes the change set; a stack that was never whole is deleted first, whatever it holds. */
function prepare(name: string, cloud: CloudFormation): void {
  if (creationFailures.includes(cloud.stacks.get(name)?.status ?? '')) {
    cloud.deleteStack(name)
    if (cloud.stacks.has(name)) throw new ToolkitError(`Failed deleting stack ${name}`)
  }
  const status = cloud.stacks.get(name)?.status
  const update = status !== undefined && status !== 'REVIEW_IN_PROGRESS'
  cloud.createChangeSet(name, update ? 'UPDATE' : 'CREATE')
}

function rollback(name: string, cloud: CloudFormation): void {
  const status = cloud.stacks.get(name)?.status ?? ''
  if (!rollbackable.includes(status))
    throw new ToolkitError('No stacks were in a state that could be rolled back')
  if (status === 'UPDATE_ROLLBACK_FAILED') cloud.continueUpdateRollback(name)
  else cloud.rollbackStack(name)
  const end = cloud.stacks.get(name)!.status
  if (!end.endsWith('ROLLBACK_COMPLETE')) throw new ToolkitError(`Rollback of ${name} failed: ${end}`)
}

function destroy(name: string, cloud: CloudFormation): void {
  cloud.deleteStack(name)
  const end = cloud.stacks.get(name)?.status
  if (end !== undefined) throw new ToolkitError(`Failed to destroy ${name}: ${end}`)
}
