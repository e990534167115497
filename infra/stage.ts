import { RemovalPolicy } from 'aws-cdk-lib'
import type { Node } from 'constructs'
import { parseModelSettings } from '../lib/platform/model-settings.ts'
import type { FunctionName } from '../lib/platform/names.ts'

export const stageNames = ['local', 'dev', 'prod'] as const
export type StageName = (typeof stageNames)[number]

const cacheKinds = ['none', 'valkey'] as const
export type CacheKind = (typeof cacheKinds)[number]

const webKinds = ['none', 'cloudfront'] as const
export type WebKind = (typeof webKinds)[number]

/** Functions fed by a queue; their concurrency is capped by the event source mapping. */
export type WorkerName =
  | 'split'
  | 'insert'
  | 'finish'
  | 'remove'
  | 'export'
  | 'apply-event'
  | 'assess'
  | 'send-email'
  | 'read-resume'
/** Functions behind the HTTP API with the database behind them. */
export type ApiFunctionName =
  | 'profiles'
  | 'imports'
  | 'exports'
  | 'candidates'
  | 'interviews'
  | 'system'
  | 'operations'

export type Stage = {
  name: StageName
  /** Aurora capacity units: 2 GiB of memory each, in steps of 0.5. */
  aurora: { minCapacity: number; maxCapacity: number; readers: number }
  /** MaximumConcurrency of the event source mappings; AWS accepts 2 to 1000. */
  workerConcurrency: Record<WorkerName, number>
  /** Environments at once that the connection budget allows; prod reserves exactly these. */
  apiConcurrency: Record<ApiFunctionName, number>
  /** A new AWS account may run 10 functions at once, and there any reservation fails the deployment. */
  reserveConcurrency: boolean
  /** Requests per second and at once, beyond which the gateway answers 429. */
  throttle: { rate: number; burst: number }
  /** Seconds. */
  timeouts: Record<FunctionName, number>
  /** Deliveries before a message moves to the dead-letter queue. */
  maxReceiveCount: number
  /** Seconds without progress after which the sweep takes an import up again: longer than any worker runs. */
  stalledAfter: number
  /** Seconds that an upload may still take when its address has expired. */
  uploadGrace: number
  /** Records of a slice at the most; where it is absent the split function's own limit holds. */
  sliceRecords?: number
  /** Profiles that an export answers at once at the most; where it is absent the function's own limit holds. */
  exportInlineRows?: number
  /** The cache that environments share: none, or one of ElastiCache, which costs money also when it is idle. */
  cache: CacheKind
  /** What stands before the API: nothing, or CloudFront with a firewall, which costs money also when it is idle. */
  web: WebKind
  /** The distribution's own name, with its certificate in us-east-1; where it is absent CloudFront's name holds. */
  ownDomain?: { name: string; certificateArn: string }
  edge: {
    /** How far the edges reach: 100 is North America and Europe, 200 all but South America and Oceania. */
    priceClass: '100' | '200'
    /** Requests of one address in five minutes, beyond which the firewall answers 429. An office shares one. */
    requests: { api: number; webhooks: number }
  }
  /** Seconds after the last sign of life of a worker for which its work counts as its own; a third of it is a beat. */
  leaseSeconds: number
  /** A message that failed stays away so long, twice as long each time, never longer than the second. */
  redelivery: { baseSeconds: number; maxSeconds: number }
  /** Seconds after the room was closed in which the agent may still give its account of the session. */
  abandonedAfter: number
  /** https://ai.google.dev/gemini-api/docs/models */
  geminiModel: string
  /** The agent that LiveKit calls into the room of an interview; where it is absent agents come as LiveKit has it. */
  livekitAgent?: string
  /** JSON: model, budget and timeout by task, and the model that embeds; empty where the defaults hold. */
  modelSettings: string
  /** The sender of every e-mail, of a domain that is verified at Resend. */
  mailFrom: string
  /** Where recruiters work; e-mails link there. */
  consoleUrl: string
  /** Days after which uploads and reports of skipped rows expire. */
  uploadRetentionDays: number
  /** Days after which what was said in interviews, résumés of idle candidates and e-mails are deleted. */
  transcriptRetentionDays: number
  /** Of the cluster that the functions may sign in to, where that is not the one that the template made. */
  databaseResourceId?: string
  /** Origins that may call the API and the bucket from a browser. */
  consoleOrigins: string[]
  removalPolicy: RemovalPolicy
  deletionProtection: boolean
}

type Sizes = Omit<
  Stage,
  | 'name'
  | 'timeouts'
  | 'maxReceiveCount'
  | 'stalledAfter'
  | 'uploadGrace'
  | 'sliceRecords'
  | 'exportInlineRows'
  | 'ownDomain'
  | 'databaseResourceId'
  | 'leaseSeconds'
  | 'redelivery'
  | 'abandonedAfter'
  | 'geminiModel'
  | 'livekitAgent'
  | 'modelSettings'
  | 'mailFrom'
  | 'consoleUrl'
>

/** For the smallest database that there is. */
const small = {
  workerConcurrency: {
    split: 2,
    insert: 2,
    finish: 2,
    remove: 2,
    export: 2,
    'apply-event': 2,
    assess: 2,
    'send-email': 2,
    'read-resume': 2,
  },
  apiConcurrency: {
    profiles: 7,
    imports: 3,
    exports: 2,
    candidates: 2,
    interviews: 3,
    system: 2,
    operations: 2,
  },
}

/** The agent speaks for every interview from one address. */
const smallEdge = { priceClass: '100', requests: { api: 5_000, webhooks: 15_000 } } as const

const sizes: Record<StageName, Sizes> = {
  local: {
    aurora: { minCapacity: 0.5, maxCapacity: 2, readers: 0 },
    ...small,
    cache: 'valkey',
    web: 'none',
    edge: smallEdge,
    reserveConcurrency: false,
    throttle: { rate: 1000, burst: 1000 },
    uploadRetentionDays: 30,
    transcriptRetentionDays: 30,
    // API Gateway knows no wildcard for ports, only one for a whole scheme. Keys travel in a header that a
    // page must hold, never in a cookie, so an open origin gives nobody anything.
    consoleOrigins: ['http://*'],
    removalPolicy: RemovalPolicy.DESTROY,
    deletionProtection: false,
  },
  dev: {
    aurora: { minCapacity: 0.5, maxCapacity: 4, readers: 0 },
    ...small,
    workerConcurrency: { ...small.workerConcurrency, insert: 4 },
    cache: 'none',
    web: 'none',
    edge: smallEdge,
    reserveConcurrency: false,
    throttle: { rate: 50, burst: 25 },
    uploadRetentionDays: 30,
    transcriptRetentionDays: 30,
    consoleOrigins: ['http://*'],
    removalPolicy: RemovalPolicy.DESTROY,
    deletionProtection: false,
  },
  prod: {
    aurora: { minCapacity: 2, maxCapacity: 16, readers: 1 },
    workerConcurrency: {
      split: 4,
      insert: 10,
      finish: 4,
      remove: 2,
      export: 2,
      'apply-event': 8,
      assess: 5,
      'send-email': 4,
      'read-resume': 3,
    },
    apiConcurrency: {
      profiles: 60,
      imports: 20,
      exports: 10,
      candidates: 10,
      interviews: 20,
      system: 20,
      operations: 5,
    },
    cache: 'none',
    web: 'cloudfront',
    edge: { priceClass: '200', requests: { api: 10_000, webhooks: 60_000 } },
    reserveConcurrency: true,
    throttle: { rate: 500, burst: 200 },
    uploadRetentionDays: 90,
    transcriptRetentionDays: 365,
    consoleOrigins: [],
    removalPolicy: RemovalPolicy.RETAIN,
    deletionProtection: true,
  },
}

const timeouts: Record<FunctionName, number> = {
  profiles: 15,
  imports: 15,
  exports: 15,
  system: 10,
  keys: 30,
  // Ten million profiles are counted in seconds from memory, in a minute or two from storage.
  facets: 300,
  migrate: 300,
  split: 300,
  insert: 60,
  finish: 300,
  remove: 300,
  // The most that Lambda gives.
  export: 900,
  'dead-letters': 30,
  // Less than the minute of its schedule.
  sweep: 50,
  operations: 15,
  // Less than that of profiles, which waits for it.
  enrich: 12,
  candidates: 15,
  // The gateway gives up after 30.
  interviews: 29,
  webhooks: 10,
  'apply-event': 30,
  assess: 120,
  'send-email': 40,
  'read-resume': 120,
  // Less than those of the functions that wait for them.
  gemini: 110,
  mailer: 30,
  // Less than the sweep has for the rooms.
  livekit: 15,
}

/** Five deliveries take half a minute on one machine, where somebody waits, and about five on AWS. */
const redelivery: Record<StageName, Stage['redelivery']> = {
  local: { baseSeconds: 2, maxSeconds: 60 },
  dev: { baseSeconds: 20, maxSeconds: 900 },
  prod: { baseSeconds: 20, maxSeconds: 900 },
}

/** With these a message that nothing hides or brings back sooner comes again after 25 to 85 s. */
const shortTimeouts: Record<FunctionName, number> = {
  ...timeouts,
  split: 6,
  insert: 4,
  finish: 6,
  remove: 6,
  export: 6,
  'dead-letters': 6,
  'apply-event': 6,
  assess: 14,
  'send-email': 10,
  'read-resume': 14,
  gemini: 12,
  mailer: 8,
  livekit: 8,
}

/**
 * The stage that the context names: `stage` (local when absent), `timeouts` (normal or short), `cache` (none or
 * valkey; that of the stage when absent), `web` (none or cloudfront; likewise), `webDomain` and
 * `webCertificateArn` (both or none), `consoleOrigins` (comma-separated), `consoleUrl`, `mailFrom` and
 * `geminiModel` (texts; prod has no default of the first two), `livekitAgent` (a name), `modelSettings` (JSON or an object), `sliceRecords`, `insertWorkers`,
 * `exportInlineRows` and `transcriptRetentionDays` (whole numbers), and `databaseResourceId`. Throws on any other value, with the ones that exist,
 * and where one is missing.
 */
export function stageOf(node: Node): Stage {
  const name = choice(node, 'stage', stageNames)
  const short = choice(node, 'timeouts', ['normal', 'short'] as const) === 'short'
  const origins: unknown = node.tryGetContext('consoleOrigins')
  const { workerConcurrency, ...size } = sizes[name]
  const sliceRecords = whole(node, 'sliceRecords', 1, 1_000_000)
  const exportInlineRows = whole(node, 'exportInlineRows', 1, 25_000)
  // The bounds are those of AWS for the maximum concurrency of an event source.
  const insert = whole(node, 'insertWorkers', 2, 1000) ?? workerConcurrency.insert
  // A message may wait 14 days in a queue: what it brings must not come after the end.
  const transcriptRetentionDays =
    whole(node, 'transcriptRetentionDays', 15, 3650) ?? size.transcriptRetentionDays
  const ownDomain = ownDomainOf(node)
  const livekitAgent: unknown = node.tryGetContext('livekitAgent')
  const databaseResourceId = resourceIdOf(node)
  return {
    name,
    ...size,
    transcriptRetentionDays,
    cache: choice(node, 'cache', cacheKinds, size.cache),
    web: choice(node, 'web', webKinds, size.web),
    ...(ownDomain && { ownDomain }),
    ...(databaseResourceId !== undefined && { databaseResourceId }),
    workerConcurrency: { ...workerConcurrency, insert },
    ...(sliceRecords !== undefined && { sliceRecords }),
    ...(exportInlineRows !== undefined && { exportInlineRows }),
    ...(typeof origins === 'string' && { consoleOrigins: origins.split(',').map((origin) => origin.trim()) }),
    ...(livekitAgent !== undefined && {
      livekitAgent: shaped('livekitAgent', livekitAgent, /^[\w.-]{1,100}$/, '<the name of an agent>'),
    }),
    geminiModel: text(node, 'geminiModel', 'gemini-flash-latest'),
    modelSettings: modelSettingsOf(node),
    mailFrom: text(node, 'mailFrom', name === 'prod' ? undefined : 'Insighta <interviews@insighta.example>'),
    consoleUrl: text(node, 'consoleUrl', name === 'prod' ? undefined : 'http://localhost:4000'),
    leaseSeconds: short ? 6 : 60,
    redelivery: short ? { baseSeconds: 1, maxSeconds: 3 } : redelivery[name],
    abandonedAfter: short ? 3 : 5 * 60,
    timeouts: short ? shortTimeouts : timeouts,
    maxReceiveCount: short ? 3 : 5,
    stalledAfter: short ? 15 : 15 * 60,
    // S3 looks at the expiry when a PUT begins: 5 GiB at 6 Mbit/s take two hours.
    uploadGrace: short ? 5 : 2 * 60 * 60,
  }
}

/** The value of a context key, or `fallback` (the first that exists) where it is not given. */
function choice<Value extends string>(
  node: Node,
  key: string,
  values: readonly [Value, ...Value[]],
  fallback: Value = values[0],
): Value {
  const given: unknown = node.tryGetContext(key) ?? fallback
  const found = values.find((value) => value === given)
  if (found === undefined) {
    throw new Error(
      `The context "${key}" is ${JSON.stringify(given)}; it must be one of ${values.join(', ')}`,
    )
  }
  return found
}

/** As JSON, whether the context has it as a text (-c) or as an object (cdk.json). */
function modelSettingsOf(node: Node): string {
  const given: unknown = node.tryGetContext('modelSettings')
  if (given === undefined || given === '') return ''
  const json = typeof given === 'string' ? given : JSON.stringify(given)
  try {
    return JSON.stringify(parseModelSettings(json))
  } catch (error) {
    throw new Error(`The context "modelSettings": ${(error as Error).message}`)
  }
}

function resourceIdOf(node: Node): string | undefined {
  const given: unknown = node.tryGetContext('databaseResourceId')
  if (given === undefined || (typeof given === 'string' && /^cluster-[A-Z0-9]+$/.test(given))) return given
  throw new Error(
    `The context "databaseResourceId" is ${JSON.stringify(given)}; it must be the DbClusterResourceId of a cluster, cluster-...`,
  )
}

/** Throws where one of the two is given without the other, and where one cannot be what it is said to be. */
function ownDomainOf(node: Node): Stage['ownDomain'] {
  const name: unknown = node.tryGetContext('webDomain')
  const certificateArn: unknown = node.tryGetContext('webCertificateArn')
  if (name === undefined && certificateArn === undefined) return undefined
  return {
    name: shaped('webDomain', name, /^(?:[a-z0-9-]+\.)+[a-z]{2,}$/, '<a domain name>'),
    certificateArn: shaped(
      'webCertificateArn',
      certificateArn,
      /^arn:aws:acm:us-east-1:\d{12}:certificate\/[\w-]+$/,
      '<the ARN of a certificate in us-east-1>',
    ),
  }
}

function shaped(key: string, given: unknown, shape: RegExp, wanted: string): string {
  if (typeof given === 'string' && shape.test(given)) return given
  const problem = given === undefined ? 'is missing' : `is ${JSON.stringify(given)}`
  const pair = key.startsWith('web') ? '; webDomain and webCertificateArn come together' : ''
  throw new Error(`The context "${key}" ${problem}: give it by -c ${key}=${wanted}${pair}`)
}

/** Throws where neither the context nor the stage has one. */
function text(node: Node, key: string, fallback: string | undefined): string {
  const given: unknown = node.tryGetContext(key) ?? fallback
  if (typeof given === 'string' && given.trim() !== '') return given.trim()
  throw new Error(`The context "${key}" is missing: give it by -c ${key}=<value>`)
}

function whole(node: Node, key: string, least: number, most: number): number | undefined {
  const given: unknown = node.tryGetContext(key)
  if (given === undefined) return undefined
  const value = Number(given)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw new Error(
    `The context "${key}" is ${JSON.stringify(given)}; it must be a whole number from ${least} to ${most}`,
  )
}

/**
 * For what has a name of its own. What a stage keeps is not kept of a first deployment that failed: its name
 * would stand in the way of the next.
 */
export function policyOfNamed({ removalPolicy }: Stage): RemovalPolicy {
  return removalPolicy === RemovalPolicy.RETAIN ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : removalPolicy
}

/** Of what the functions publish: stages in one account must not raise each other's alarms. */
export function metricsNamespace(stage: StageName): string {
  return `Insighta/${stage}`
}
