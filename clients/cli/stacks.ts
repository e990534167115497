import { setTimeout } from 'node:timers/promises'
import * as z from 'zod'
import type { Shell } from './stages.ts'

/** Where everything of CloudFront is, whatever region the other stacks are in. */
export const webRegion = 'us-east-1'

/** The part of a stack's name behind its stage: `data` of `Insighta-prod-data`. */
const partOf = (stack: string) => stack.split('-').slice(2).join('-')

/** Whether a stack holds what no deployment can make again: the database and the uploads, or the accounts. */
export const holdsData = (stack: string) => ['data', 'identity'].includes(partOf(stack))

/** For the AWS CLI: the region of a stack that is not in that of the others. */
export const inRegionOf = (stack: string) => (partOf(stack) === 'web' ? ['--region', webRegion] : [])

/** Asks CloudFormation for a part of what it knows of a stack, by a JMESPath query. */
export const stackCommand = (stack: string, query: string) => [
  ...['aws', 'cloudformation', 'describe-stacks', '--stack-name', stack, ...inRegionOf(stack)],
  ...['--query', query, '--output', 'json'],
]

/** Its answer as JSON; undefined if there is no such stack. Throws if AWS refuses to tell. */
export async function readStack(stack: string, query: string, at: Shell): Promise<unknown> {
  try {
    return JSON.parse(await at.read(stackCommand(stack, query)))
  } catch (error) {
    if (error instanceof Error && error.message.includes('does not exist')) return undefined
    throw error
  }
}

/** A stack as CloudFormation has it. */
export type Found = {
  stack: string
  /** https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html; absent if there is no such stack. */
  status?: string
  /** Why it is in that state, as far as CloudFormation tells. */
  reason?: string
  /** What a creation that was rolled back left of a stack with data, as `id (type, physical id)`. */
  left: readonly string[]
}

export const stateQuery = 'Stacks[0].[StackStatus,StackStatusReason]'
const stateSchema = z.tuple([z.string(), z.string().nullable()])

/** What a stack still has. */
export const leftCommand = (stack: string) => [
  ...[
    'aws',
    'cloudformation',
    'list-stack-resources',
    '--stack-name',
    stack,
    ...inRegionOf(stack),
    '--query',
  ],
  "StackResourceSummaries[?ResourceStatus!='DELETE_COMPLETE'].[LogicalResourceId,ResourceType,PhysicalResourceId]",
  ...['--output', 'json'],
]
const leftSchema = z.array(z.tuple([z.string(), z.string(), z.string().nullable()]))

async function find(stack: string, at: Shell): Promise<Found> {
  const answer = await readStack(stack, stateQuery, at)
  if (answer === undefined) return { stack, left: [] }
  const [status, reason] = stateSchema.parse(answer)
  const asked = holdsData(stack) && status === 'ROLLBACK_COMPLETE'
  const left = asked ? leftSchema.parse(JSON.parse(await at.read(leftCommand(stack)))) : []
  return {
    stack,
    status,
    ...(reason !== null && { reason }),
    left: left.map(([id, type, name]) => `${id} (${[type, ...(name ? [name] : [])].join(', ')})`),
  }
}

/** How each stack stands, in their order. Throws if AWS refuses to tell. */
export function findAll(stacks: readonly string[], at: Shell): Promise<Found[]> {
  return Promise.all(stacks.map((stack) => find(stack, at)))
}

/** Whether CloudFormation works on it; a review waits for a person, or for the deployment that began it. */
export const atWork = ({ status = '' }: Found) =>
  status.endsWith('_IN_PROGRESS') && status !== 'REVIEW_IN_PROGRESS'

export type Waiting = {
  shell: Shell
  write(text: string): void
  /** Milliseconds between two looks at a stack that CloudFormation works on. */
  pause: number
}

/** Looks of 15 seconds each: two hours. The longest single step of AWS is a custom resource of one hour. */
const looks = 480

/**
 * How each stack stands once CloudFormation works on none: a deployment that was cut off goes on without the
 * program that began it. Says what it waits for. Rejects if there is no end to it.
 */
export async function findSettled(stacks: readonly string[], waiting: Waiting): Promise<Found[]> {
  const { shell, write, pause } = waiting
  let said = ''
  for (let look = 1; ; look++) {
    const found = await findAll(stacks, shell)
    const busy = found.filter(atWork).map(({ stack, status }) => `${stack} is ${status}`)
    if (busy.length === 0) return found
    if (look === looks) throw new Error(`${busy.join(', ')} without an end. ${busyAdvice}`)
    const line = `${busy.join(', ')}: a deployment is at work, or was cut off. Waiting for its end.\n`
    if (line !== said) write(line)
    said = line
    await setTimeout(pause)
  }
}

export const busyAdvice = 'Run the same command once CloudFormation has finished'
