import * as z from 'zod'
import { type Shell, type StageName, typed } from './stages.ts'

/** What the CDK writes: the outputs of each stack. */
export const outputsSchema = z.record(z.string(), z.record(z.string(), z.string()))
export type Outputs = z.output<typeof outputsSchema>

export function outputOf(outputs: Outputs, stack: string, name: string): string {
  const value = outputs[stack]?.[name]
  if (value === undefined) throw new Error(`The stack ${stack} has no output ${name}`)
  return value
}

/** Values of every output whose name ends so, whichever stack has it. */
function outputsNamed(outputs: Outputs, end: string): string[] {
  return Object.values(outputs).flatMap((stack) =>
    Object.entries(stack).flatMap(([name, value]) => (name.endsWith(end) ? [value] : [])),
  )
}

/**
 * What a person has to do after a deployment: subscribe to the topics of alarms that reach no one, fill the
 * secrets that are empty, make a key. What AWS refuses to tell is named with its reason, since the deployment
 * itself is done.
 */
export async function lastWords(
  stage: StageName,
  outputs: Outputs,
  where: readonly string[],
  at: Shell,
): Promise<string> {
  const secrets = outputsNamed(outputs, 'SecretName')
  const topics = outputsNamed(outputs, 'TopicArn')
  const [toFill, toSubscribe] = await Promise.all([
    Promise.all(secrets.map((name) => orReason(name, fillLines(name, at)))),
    Promise.all(topics.map((arn) => orReason(arn, subscribeLines(arn, at)))),
  ])
  const keys = outputOf(outputs, `Insighta-${stage}-api`, 'KeysFunctionName')
  const key = `npm run keys -- --function ${keys} create --role admin --role operator --team operations --label first`
  const lines = [
    '',
    ...where,
    ...section('Secrets that are empty; until they are filled, what needs them is refused:', toFill),
    ...section('Alarms that no one hears, until someone subscribes and confirms:', toSubscribe),
    '',
    'A key, shown this once:',
    typed(key.split(' ')),
  ]
  return `${lines.join('\n')}\n`
}

function section(title: string, lines: readonly string[][]): string[] {
  return lines.flat().length > 0 ? ['', title, ...lines.flat()] : []
}

async function orReason(name: string, lines: Promise<string[]>): Promise<string[]> {
  return lines.catch((error: Error) => [`${name} could not be looked up: ${error.message}`])
}

export const secretCommand = (name: string) => [
  ...['aws', 'secretsmanager', 'describe-secret', '--secret-id', name],
  ...['--output', 'json'],
]
const secretSchema = z.object({
  Description: z.string().default(''),
  VersionIdsToStages: z.record(z.string(), z.unknown()).default({}),
})

/**
 * The command that fills a secret; none for one that has been filled, which has a second version then. Its value
 * is not read, so that a deployment needs no right to.
 */
async function fillLines(name: string, at: Shell): Promise<string[]> {
  const { Description, VersionIdsToStages } = secretSchema.parse(
    JSON.parse(await at.read(secretCommand(name))),
  )
  if (Object.keys(VersionIdsToStages).length > 1) return []
  const fields = Description.replace(/^JSON with /, '').split(', ')
  const value = JSON.stringify(Object.fromEntries(fields.map((field) => [field, '...'])))
  return [typed(['aws', 'secretsmanager', 'put-secret-value', '--secret-id', name, '--secret-string', value])]
}

const regionOf = (arn: string) => arn.split(':')[3] ?? ''

export const subscriptionsCommand = (topic: string) => [
  ...['aws', 'sns', 'list-subscriptions-by-topic', '--region', regionOf(topic), '--topic-arn', topic],
  ...['--query', 'Subscriptions[].SubscriptionArn', '--output', 'json'],
]
const subscriptionsSchema = z.array(z.string())

/** The command that subscribes to a topic; none for one with a listener that has confirmed. */
async function subscribeLines(topic: string, at: Shell): Promise<string[]> {
  const subscriptions = subscriptionsSchema.parse(JSON.parse(await at.read(subscriptionsCommand(topic))))
  // In place of an ARN, one that waits has PendingConfirmation and one that was cancelled has Deleted.
  if (subscriptions.some((arn) => arn.startsWith('arn:'))) return []
  const waiting = subscriptions.includes('PendingConfirmation')
  const command = typed([
    ...['aws', 'sns', 'subscribe', '--region', regionOf(topic), '--topic-arn', topic],
    ...['--protocol', 'email', '--notification-endpoint', 'you@example.com'],
  ])
  return waiting
    ? [`# Someone has subscribed but not confirmed: see the link in AWS's e-mail.`, command]
    : [command]
}
