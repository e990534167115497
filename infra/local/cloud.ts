import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import { readAssembly } from './assembly.ts'
import { startAwsApi } from './aws-api.ts'
import { type Credentials, writeCredentials } from './credentials.ts'
import { watchDatabase } from './dashboards/database-metrics.ts'
import { createPages } from './dashboards/pages.ts'
import { watchQueues } from './dashboards/queue-metrics.ts'
import { openDataFolder } from './data-folder.ts'
import { createDatabase, type LocalDatabase } from './database.ts'
import { deploy } from './deployment.ts'
import { type EventSource, startEventSource } from './event-source.ts'
import { startGateway } from './gateway.ts'
import { recordRequests } from './gateway-records.ts'
import { assertOwnAddress, isOpen, loopback, urlHost } from './hosts.ts'
import { createLambda, type Lambda } from './lambda/functions.ts'
import { serveInvokeApi } from './lambda/invoke-api.ts'
import { openLogFile } from './logs.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { openPlatform, type Platform } from './platform.ts'
import { choosePorts, lockDataDir, portIsFree, randomFreePort } from './ports.ts'
import { asSuperuser } from './postgres-roles.ts'
import { findRedis, startRedis } from './redis.ts'
import { registry } from './resources/registry.ts'
import type { Alarm, Dashboard, Services } from './resources/services.ts'
import { type LocalS3, startS3 } from './s3/index.ts'
import { startSchedules } from './schedules.ts'
import { openSecrets, secretField } from './secrets.ts'
import { type Simulators, startSimulators } from './simulators/index.ts'
import { type Sqs, startSqs } from './sqs.ts'
import { synthesise } from './synthesis.ts'

export type CloudOptions = {
  /** Everything that survives a restart. */
  dataDir: string
  /** Of the API; 0 = any free one. */
  port: number
  /** The address or name on which the API and S3 listen; all else, and without one these too, are on loopback. */
  host?: string
  /** A cloud assembly that exists already; without it the CDK app is synthesised. */
  outDir?: string
  /** As of `cdk -c key=value`, for the synthesis. */
  context?: Record<string, string>
  /** Told what goes on, a line at a time. Everything is also in `<data dir>/logs/cloud.log`. */
  say?(line: string): void
  /** Says how long each step took, too, and what is known to be otherwise than on AWS. */
  verbose?: boolean
  /** Ends a start that has not finished: it then rejects with the signal's reason. */
  signal?: AbortSignal
  /** Called when a running cloud has lost something that it cannot bring back. */
  onFatal?(error: Error): void
}

export type Cloud = {
  url: string
  /** What others than this machine reach, as lines for a terminal. */
  open: readonly string[]
  credentials: Credentials
  /** `<stack>.<output>` of the templates. */
  outputs: ReadonlyMap<string, unknown>
  /** What the templates ask for and does not exist here. */
  warnings: readonly string[]
  /** What is known to be otherwise than on AWS. */
  differences: readonly string[]
  logDir: string
  lambda: Lambda
  sqs: Sqs
  s3: LocalS3
  metrics: Metrics
  /** Third parties; what goes wrong with them is scripted by `POST /faults`. */
  simulators: Simulators
  /** Can be stopped and started again, as an outage. */
  database: LocalDatabase
  alarms: readonly Alarm[]
  dashboards: readonly Dashboard[]
  /** Ends everything that was started; safe to call twice. */
  close(): Promise<void>
}

/** The one account of the local S3 and SQS. */
const accountId = '000000000000'

/**
 * Runs the synthesised app on this machine, all of it on 127.0.0.1 unless `host` opens two parts. Rejects, with everything closed again,
 * where a port or the data folder is taken, synthesis fails or a resource cannot be created.
 */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const closers: { name: string; close(): unknown }[] = []
  const dataDir = resolve(options.dataDir)
  const logDir = join(dataDir, 'logs')
  await openDataFolder(dataDir)
  closers.push({ name: 'lock', close: await lockDataDir(dataDir) })
  const logFile = openLogFile(join(logDir, 'cloud.log'))
  const log = (line: string) => {
    logFile.write(`${new Date().toISOString()} ${line}`)
    options.say?.(line)
  }

  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= (async () => {
      // In reverse, so that nothing is taken away from under what still uses it.
      for (const { name, close } of closers.splice(0).reverse()) {
        try {
          await close()
        } catch (error) {
          log(`${name} did not close: ${String(error)}`)
        }
      }
      await logFile.flush()
    })()
    return closing
  }
  /** One part of the start, timed; what it started is closed with the rest, also when another part fails. */
  const step = async <T>(
    name: string,
    start: () => Promise<T> | T,
    end?: (started: T) => unknown,
  ): Promise<T> => {
    options.signal?.throwIfAborted()
    const startedAt = performance.now()
    const started = await start()
    if (end) closers.push({ name, close: () => end(started) })
    if (options.verbose) log(`${name}: ${Math.round(performance.now() - startedAt)} ms`)
    return started
  }

  try {
    return await start()
  } catch (error) {
    await close()
    throw error
  }

  async function start(): Promise<Cloud> {
    const { host = loopback } = options
    await assertOwnAddress(host)
    const port = options.port || (await randomFreePort())
    if (!(await portIsFree(port, host))) throw new PortTakenError(host, port)
    const url = `http://${urlHost(host)}:${port}`
    const platform = await openPlatform(dataDir)
    const ports = await choosePorts(dataDir, host)
    const database = await step(
      'database',
      () =>
        createDatabase({
          dataDir,
          port: ports.postgres,
          readerPort: ports.reader,
          platform,
          log,
          onLost: options.onFatal ?? (() => {}),
        }),
      (created) => created.close(),
    )
    const outDir = options.outDir ?? join(dataDir, 'cdk.out')
    if (options.outDir === undefined) {
      const { context = {}, signal } = options
      await step('synthesis', () => synthesise({ outDir, context, ...(signal && { signal }) }))
    }
    const stacks = await readAssembly(outDir)
    const region = stacks[0]?.region ?? 'us-east-1'
    // Every stack is `Insighta-<stage>-<part>`.
    const stage = stacks[0]?.name.split('-')[1]

    const metrics = createMetrics()
    const secrets = await openSecrets(dataDir, region, accountId)
    const sqs = await step(
      'SQS',
      () =>
        startSqs({
          dataDir: join(dataDir, 'sqs'),
          port: ports.sqs,
          region,
          credentials: platform,
          log,
        }),
      (started) => started.close(),
    )
    const publish = async (queueArn: string, body: string) => void sqs.sendMessage(queueArn, body)
    const s3 = await step(
      'S3',
      () =>
        startS3({
          dataDir: join(dataDir, 's3'),
          port: ports.s3,
          host,
          region,
          credentials: platform,
          publish,
          log,
        }),
      (started) => started.close(),
    )
    const simulators = await step(
      'simulators',
      () =>
        startSimulators({
          port: ports.simulators,
          key: platform.simulatorsKey,
          log,
          outgoing: () => ({
            gatewayUrl: url,
            secret: (name) => JSON.parse(secretField(secrets, `insighta-${stage}-${name}`, '')),
          }),
        }),
      (started) => started.close(),
    )
    const endpoints = { s3: s3.url, sqs: sqs.url, aws: `http://127.0.0.1:${ports.aws}` }
    // Filled when the template asks for a cache: without TLS here, or none where no server is installed.
    const cacheEnvironment: { CACHE_URL?: string } = {}
    // The template knows neither the port nor the name under which this gateway is reached.
    const consoleEnvironment = options.context?.consoleUrl === undefined ? { CONSOLE_URL: url } : {}
    // The template gives readers the port of the writer, which two servers of one machine cannot share.
    const readerEnvironment = { DATABASE_READER_PORT: String(ports.reader) }
    const lambda = await step(
      'Lambda',
      () =>
        createLambda({
          region,
          accountId,
          logDir,
          metrics,
          platformEnvironment: () => ({
            ...platformEnvironment(platform, endpoints),
            ...simulators.environment,
            ...cacheEnvironment,
            ...readerEnvironment,
            ...consoleEnvironment,
          }),
        }),
      (started) => started.close(),
    )
    const invokeApi = serveInvokeApi(lambda, {
      onDropped: (name, _payload, reason) => log(`${name}: an event was dropped: ${reason}`),
    })
    closers.push({ name: 'Lambda API', close: () => invokeApi.close() })
    await step(
      'AWS API',
      () => startAwsApi({ port: ports.aws, region, credentials: platform, secrets, lambda: invokeApi, log }),
      (started) => started.close(),
    )

    const services: Services = {
      region,
      accountId,
      apiUrl: url,
      secrets,
      createQueue: (name, attributes) => sqs.createQueue(name, attributes),
      queueUrl: (arn) => `${sqs.url}/${accountId}/${arn.split(':').at(-1)}`,
      sendMessage: (arn, body) => void sqs.sendMessage(arn, body),
      defineFunction(definition) {
        lambda.define(definition)
        return { arn: lambda.arnOf(definition.name) }
      },
      invoke: (name, payload) => lambda.invoke(name, payload),
      startCluster: (request) => step('PostgreSQL', () => database.startCluster(request)),
      startReader: () => step('reader', () => database.startReader()),
      async startCache() {
        const binary = await findRedis()
        const password = randomBytes(24).toString('hex')
        cacheEnvironment.CACHE_URL = binary ? `redis://:${password}@127.0.0.1:${ports.cache}` : ''
        if (binary === undefined) return undefined
        const logFile = join(logDir, 'cache.log')
        const { port } = await step(
          'cache',
          () => startRedis({ binary, port: ports.cache, password, logFile, log }),
          (started) => started.close(),
        )
        return { host: '127.0.0.1', port }
      },
      refreshLogins: () => database.refreshLogins(),
      clusters: new Map(),
      buckets: new Map(),
      eventSources: [],
      apis: new Map(),
      schedules: [],
      alarms: [],
      dashboards: [],
    }
    const { outputs, warnings, differences } = await step('resources', () =>
      deploy({
        stacks,
        registry,
        services,
        secretField: async (id, key) => secretField(secrets, id, key),
      }),
    )
    for (const warning of warnings) log(`Not as on AWS: ${warning}`)
    if (options.verbose) for (const difference of differences) log(`Not as on AWS: ${difference}`)

    // Only now, so that no object arrives before the queue that is told of it.
    await step('buckets', () =>
      Promise.all([...services.buckets].map(([name, set]) => s3.putBucket(name, set))),
    )
    const facts = {
      url,
      database_url: database.url(),
      aws: {
        endpoint_s3: endpoints.s3,
        endpoint_sqs: endpoints.sqs,
        endpoint_lambda: endpoints.aws,
        endpoint_secretsmanager: endpoints.aws,
        region,
        access_key_id: platform.accessKeyId,
        secret_access_key: platform.secretAccessKey,
      },
      keys_function: functionOf(outputs, 'KeysFunctionName'),
      facets_function: functionOf(outputs, 'FacetsFunctionName'),
      simulators: simulators.url,
      simulators_key: platform.simulatorsKey,
    }
    const credentials = await step('access key', () =>
      writeCredentials(dataDir, facts, database.isNew(), services.invoke),
    )
    await step(
      'event sources',
      () => services.eventSources.map((mapping) => startEventSource({ sqs, lambda, mapping, log })),
      (sources: EventSource[]) => Promise.all(sources.map((source) => source.close())),
    )
    await step(
      'schedules',
      () => startSchedules(services.schedules, log),
      (started) => started.close(),
    )
    await step(
      'queue metrics',
      () => watchQueues(sqs, metrics),
      (started) => started.close(),
    )
    await step(
      'database metrics',
      () =>
        [...services.clusters].map(([id, cluster]) =>
          watchDatabase(
            id,
            (work) => asSuperuser(cluster.port, platform.superuserPassword, cluster.dbname, work),
            metrics,
          ),
        ),
      (watched) => Promise.all(watched.map((one) => one.close())),
    )
    const { alarms, dashboards } = services
    const [api] = services.apis.values()
    if (api) {
      const invoke = lambda.invoke.bind(lambda)
      const onAnswer = recordRequests(api, metrics, logDir)
      const pages = createPages({ dashboards, alarms, metrics })
      await step(
        'gateway',
        () => startGateway({ api, accountId, port, host, invoke, log, onAnswer, pages }),
        (started) => started.close(),
      )
    }
    options.signal?.throwIfAborted()
    return {
      url,
      open: isOpen(host) ? openParts(host, url, s3.url) : [],
      credentials,
      outputs,
      warnings,
      differences,
      logDir,
      lambda,
      sqs,
      s3,
      metrics,
      simulators,
      database,
      alarms,
      dashboards,
      close,
    }
  }
}

function openParts(host: string, api: string, s3: string): string[] {
  return [
    `WARNING: INSIGHTA_HOST=${host} lets other machines in, without TLS: keys and data can be read on the way.`,
    `  API ${api}/api: asks for a key; its health and description, and ${api}/dashboards, ask for none`,
    `  S3  ${s3}: asks for a signature; presigned addresses lead there`,
    `All else listens on ${loopback} alone.`,
  ]
}

/** Thrown when something else listens on the port of the API. */
export class PortTakenError extends Error {
  override readonly name = 'PortTakenError'

  constructor(host: string, port: number) {
    super(`Port ${port} of ${host} is taken: stop what uses it, or set INSIGHTA_PORT to another one`)
  }
}

/** What every function gets on top of its own environment, which it overrides. */
function platformEnvironment(
  platform: Platform,
  endpoints: { s3: string; sqs: string; aws: string },
): Record<string, string> {
  return {
    AWS_ACCESS_KEY_ID: platform.accessKeyId,
    AWS_SECRET_ACCESS_KEY: platform.secretAccessKey,
    AWS_ENDPOINT_URL: endpoints.aws,
    AWS_ENDPOINT_URL_S3: endpoints.s3,
    AWS_ENDPOINT_URL_SQS: endpoints.sqs,
    // No IAM and no TLS on this machine's own database.
    PGPASSWORD: platform.applicationPassword,
    PGSSLMODE: 'disable',
    // The certificates of AWS's databases are a file of Lambda's own image.
    NODE_EXTRA_CA_CERTS: '',
  }
}

function functionOf(outputs: ReadonlyMap<string, unknown>, output: string): string {
  for (const [key, value] of outputs) if (key.endsWith(`.${output}`)) return String(value)
  throw new Error(`No stack has the output ${output}`)
}
