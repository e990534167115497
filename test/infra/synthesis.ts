import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { App } from 'aws-cdk-lib'
import { RootConstruct } from 'constructs'
import { buildApp } from '../../infra/insighta.ts'
import { type Stage, stageOf } from '../../infra/stage.ts'
import { functionNames } from '../../lib/platform/names.ts'

/** A value, or what CloudFormation puts in its place: `{ Ref: 'Id' }`, `{ 'Fn::GetAtt': ['Id', 'Arn'] }`. */
export type Value = string | { [intrinsic: string]: unknown }

export type Statement = {
  Effect: 'Allow' | 'Deny'
  Principal?: unknown
  Action: string | string[]
  Resource: Value | Value[]
  Condition?: unknown
}

type Dimension = { Name: string; Value: Value }

/** The properties that the tests read, of whichever type has them. */
export type Properties = {
  AlarmActions?: Value[]
  AlarmDescription?: string
  BucketEncryption?: unknown
  DashboardBody?: Value
  DatabaseName?: string
  DeletionProtection?: boolean
  Dimensions?: Dimension[]
  EnableIAMDatabaseAuthentication?: boolean
  Environment?: { Variables: Record<string, Value> }
  EventSourceArn?: Value
  FunctionName?: Value
  FunctionResponseTypes?: string[]
  HandlerArn?: Value
  IntegrationUri?: Value
  LoggingConfig?: { LogGroup: Value }
  MaximumBatchingWindowInSeconds?: number
  MemorySize?: number
  MessageRetentionPeriod?: number
  MetricName?: string
  Metrics?: {
    Expression?: string
    MetricStat?: { Metric: { MetricName: string; Dimensions: Dimension[] } }
  }[]
  NotificationConfiguration?: {
    QueueConfigurations: {
      Events: string[]
      QueueArn: Value
      Filter?: { Key?: { FilterRules?: { Name: string; Value: string }[] } }
    }[]
  }
  PolicyDocument?: { Statement: Statement[] }
  PublicAccessBlockConfiguration?: unknown
  QueueName?: string
  RedrivePolicy?: { deadLetterTargetArn: Value; maxReceiveCount: number }
  ReservedConcurrentExecutions?: number
  RetentionInDays?: number
  RouteKey?: string
  Runtime?: string
  ScheduleExpression?: string
  ScalingConfig?: { MaximumConcurrency: number }
  ServerlessV2ScalingConfiguration?: { MinCapacity: number; MaxCapacity: number }
  SourceSecurityGroupId?: Value
  SqsManagedSseEnabled?: boolean
  StorageEncrypted?: boolean
  Target?: Value
  Targets?: { Arn: Value; Input?: string }[]
  Timeout?: number
  VisibilityTimeout?: number
  VpcConfig?: unknown
}

/** A resource of a template, with the logical id and the stack's part of the name (`data`, `api`, ...). */
export type Resource = {
  id: string
  stack: string
  Type: string
  Properties: Properties
  DependsOn?: string[]
}

export async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'insighta-infra-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** What prod has no default of. */
export const needed = {
  mailFrom: 'Insighta <interviews@insighta.example>',
  consoleUrl: 'https://console.insighta.example',
}

/** The stage of a context. An App of its own would leave a folder for its assembly behind. */
export function stageWith(context: Record<string, unknown>): Stage {
  const { node } = new RootConstruct()
  for (const [key, value] of Object.entries({ ...needed, ...context })) node.setContext(key, value)
  return stageOf(node)
}

/** Writes a bundle for each function into `folder`: the templates' shape does not depend on the code. */
export async function writeStubs(folder: string): Promise<string> {
  for (const name of functionNames) {
    await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, name, 'index.mjs'), `export const handler = async () => '${name}'\n`)
  }
  return folder
}

/** Builds the app over stubs, lets `prepare` look at it, and answers every resource that it synthesises. */
export async function synthesise(
  context: Record<string, unknown>,
  prepare: (app: App) => void = () => {},
): Promise<Resource[]> {
  await using folder = await temporaryFolder()
  const outdir = join(folder.path, 'out')
  const assets = await writeStubs(join(folder.path, 'assets'))
  const app = await buildApp({ context: { ...needed, ...context }, outdir, assets })
  prepare(app)
  app.synth()
  // Awaited: the folder goes when this returns.
  return await readResources(outdir)
}

export async function readResources(outdir: string): Promise<Resource[]> {
  const resources: Resource[] = []
  for (const [file, text] of Object.entries(await readTemplates(outdir))) {
    const stack = file.replace(/^Insighta-[a-z]+-/, '').replace('.template.json', '')
    const template: { Resources: Record<string, Omit<Resource, 'id' | 'stack'>> } = JSON.parse(text)
    for (const [id, resource] of Object.entries(template.Resources))
      resources.push({ ...resource, id, stack })
  }
  return resources
}

/** The text of each template in a cloud assembly, by file name. */
export async function readTemplates(outdir: string): Promise<Record<string, string>> {
  const names = (await readdir(outdir)).filter((name) => name.endsWith('.template.json')).sort()
  const texts = names.map(async (name) => [name, await readFile(join(outdir, name), 'utf8')] as const)
  return Object.fromEntries(await Promise.all(texts))
}

/** The functions of this product by name. */
export function functionsOf(resources: Resource[]): Map<string, Resource> {
  const found = new Map<string, Resource>()
  for (const resource of resources) {
    if (resource.Type !== 'AWS::Lambda::Function') continue
    const name = resource.Properties.Environment?.Variables.POWERTOOLS_SERVICE_NAME
    if (typeof name === 'string') found.set(name, resource)
  }
  return found
}

/** The resource that an intrinsic names, in its own stack or through an export; undefined for none. */
export function target(
  resources: Resource[],
  from: Resource,
  value: Value | undefined,
): Resource | undefined {
  const text = JSON.stringify(value ?? null)
  // The name of an export ends in an eight-digit hash behind `<Ref|FnGetAtt><logical id><attribute>`.
  const exported = /"Fn::ImportValue":"Insighta-[a-z]+-([a-z]+):ExportsOutput(?:Ref|FnGetAtt)(\w+)"/.exec(
    text,
  )
  if (exported) {
    return resources.find(({ stack, id }) => stack === exported[1] && exported[2]?.startsWith(id))
  }
  const id = /"(?:Ref|Fn::GetAtt)":\[?"(\w+)"/.exec(text)?.[1]
  return resources.find((resource) => resource.stack === from.stack && resource.id === id)
}
