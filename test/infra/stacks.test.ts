import { Stack } from 'aws-cdk-lib'
import { beforeAll, describe, expect, it } from 'vitest'
import { readerBytes } from '../../lib/interviews/document-process.ts'
import { functionNames, queues as queueNames, thirdParties } from '../../lib/platform/names.ts'
import { gatewayRoutes } from '../../lib/platform/routes.ts'
import type { Resource, Value } from './synthesis.ts'
import { functionsOf, stageWith, synthesise, target } from './synthesis.ts'

/**
 * The default max_connections follows the capacity: 189 at 1 ACU, 823 at 4, 1,669 at 8, 3,360 at 16, which is
 * this line, at most 5,000, and 2,000 where the minimum is 0.5:
 * https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
 * AWS takes the largest capacity. We take the smallest, for its memory must bear the connections too.
 */
const connectionsAt = (capacity: number) => Math.floor(211.4 * capacity - 22.4)
/** For RDS itself, and for a person who looks into an outage. */
const spareConnections = 10

/** What the functions publish; a metric that nobody draws is not worth its price. */
const publishedMetrics = [
  'AssessmentDuration',
  'AssessmentsCompleted',
  'AssessmentsFailed',
  'CacheErrors',
  'CacheHit',
  'CacheMiss',
  'CacheSharedHit',
  'CacheStale',
  'DeadLetters',
  'EmailsFailed',
  'EmailsSent',
  'EmailsSuppressed',
  'ExportDuration',
  'ExportRows',
  'ExportsFailed',
  'ImportsCompleted',
  'ImportsFailed',
  'InterviewEvents',
  'ModelAnswersIncomplete',
  'ModelTextsShortened',
  'QueryDuration',
  'RateLimitFallbacks',
  'RateLimited',
  'ReaderBehind',
  'ReaderFailures',
  'ReaderReads',
  'RefusedWork',
  'RequestErrors',
  'ResumesCompleted',
  'ResumesFailed',
  'RetryAttempts',
  'RetryExhaustions',
  'RetryRecoveries',
  'RowsInserted',
  'RowsSkipped',
  'SliceDuration',
  'WebhookDuration',
  'WebhooksReceived',
  'WebhooksRefused',
]

const everywhere = [
  'FUNCTION_TIMEOUT_SECONDS',
  'NODE_OPTIONS',
  'POWERTOOLS_METRICS_NAMESPACE',
  'POWERTOOLS_SERVICE_NAME',
]
const insideTheNetwork = [
  'DATABASE_POOL_MAX',
  'NODE_EXTRA_CA_CERTS',
  'PGDATABASE',
  'PGHOST',
  'PGPORT',
  'PGSSLMODE',
]
/** Functions that call third parties: with a way out to the internet, and none to the database. */
const outside = ['enrich', 'webhooks', 'gemini', 'mailer', 'livekit']
/** Functions that ask the readers where there are any. */
const readByReader = ['profiles', 'system']
const interviewQueues = [
  'INTERVIEW_EVENTS_QUEUE_URL',
  'ASSESSMENTS_QUEUE_URL',
  'EMAILS_QUEUE_URL',
  'RESUMES_QUEUE_URL',
]
const worker = ['REDELIVERY_BASE_SECONDS', 'REDELIVERY_MAX_SECONDS', 'LEASE_SECONDS']
const environments: Record<(typeof functionNames)[number], string[]> = {
  profiles: ['PGUSER', 'ENRICH_FUNCTION_NAME'],
  enrich: ['GENDERIZE_URL', 'AGIFY_URL', 'NATIONALIZE_URL'],
  imports: [
    'PGUSER',
    'UPLOAD_BUCKET',
    'IMPORT_OBJECTS_QUEUE_URL',
    'IMPORT_SLICES_QUEUE_URL',
    'IMPORT_FINISH_QUEUE_URL',
    'IMPORT_REMOVALS_QUEUE_URL',
  ],
  exports: ['PGUSER', 'UPLOAD_BUCKET', 'EXPORTS_QUEUE_URL'],
  system: ['PGUSER'],
  keys: ['PGUSER'],
  facets: ['PGUSER'],
  migrate: ['DATABASE_SECRET_ARN'],
  split: [
    'PGUSER',
    'UPLOAD_BUCKET',
    'IMPORT_OBJECTS_QUEUE_URL',
    'IMPORT_SLICES_QUEUE_URL',
    'IMPORT_FINISH_QUEUE_URL',
    ...worker,
  ],
  insert: ['PGUSER', 'UPLOAD_BUCKET', 'IMPORT_FINISH_QUEUE_URL', ...worker],
  finish: ['PGUSER', 'UPLOAD_BUCKET', 'IMPORT_FINISH_QUEUE_URL', ...worker],
  remove: ['PGUSER', 'IMPORT_REMOVALS_QUEUE_URL', ...worker],
  export: ['PGUSER', 'UPLOAD_BUCKET', ...worker],
  candidates: [
    'PGUSER',
    'UPLOAD_BUCKET',
    'UPLOAD_RETENTION_DAYS',
    'RESUMES_QUEUE_URL',
    'MAILER_FUNCTION_NAME',
  ],
  interviews: [
    'PGUSER',
    'ASSESSMENTS_QUEUE_URL',
    'EMAILS_QUEUE_URL',
    'GEMINI_FUNCTION_NAME',
    'LIVEKIT_FUNCTION_NAME',
    'LIVEKIT_SECRET_ARN',
    'UPLOAD_BUCKET',
  ],
  webhooks: [
    'UPLOAD_BUCKET',
    'INTERVIEW_EVENTS_QUEUE_URL',
    'AGENT_SECRET_ARN',
    'LIVEKIT_SECRET_ARN',
    'RESEND_SECRET_ARN',
  ],
  'apply-event': ['PGUSER', 'UPLOAD_BUCKET', 'ASSESSMENTS_QUEUE_URL', ...worker],
  assess: ['PGUSER', 'EMAILS_QUEUE_URL', 'GEMINI_FUNCTION_NAME', ...worker],
  'send-email': ['PGUSER', 'CONSOLE_URL', 'MAIL_FROM', 'MAILER_FUNCTION_NAME', ...worker],
  'read-resume': ['PGUSER', 'UPLOAD_BUCKET', 'GEMINI_FUNCTION_NAME', ...worker],
  gemini: ['GEMINI_URL', 'GEMINI_MODEL', 'GEMINI_SECRET_ARN'],
  mailer: ['RESEND_URL', 'MAIL_FROM', 'RESEND_SECRET_ARN'],
  livekit: ['LIVEKIT_SECRET_ARN'],
  'dead-letters': ['PGUSER', 'IMPORT_FINISH_QUEUE_URL', 'MAX_RECEIVE_COUNT'],
  sweep: [
    'PGUSER',
    'LEASE_SECONDS',
    'UPLOAD_BUCKET',
    'IMPORT_OBJECTS_QUEUE_URL',
    'IMPORT_SLICES_QUEUE_URL',
    'IMPORT_FINISH_QUEUE_URL',
    'IMPORT_REMOVALS_QUEUE_URL',
    'EXPORTS_QUEUE_URL',
    ...interviewQueues,
    'LIVEKIT_FUNCTION_NAME',
    'MAX_RECEIVE_COUNT',
    'STALLED_AFTER_SECONDS',
    'UPLOAD_GRACE_SECONDS',
    'ABANDONED_AFTER_SECONDS',
    'TRANSCRIPT_RETENTION_DAYS',
  ],
  operations: [
    'PGUSER',
    'IMPORT_OBJECTS_QUEUE_URL',
    'IMPORT_SLICES_QUEUE_URL',
    'IMPORT_FINISH_QUEUE_URL',
    'IMPORT_REMOVALS_QUEUE_URL',
    'EXPORTS_QUEUE_URL',
    'IMPORT_OBJECTS_DEAD_LETTERS_URL',
    'IMPORT_SLICES_DEAD_LETTERS_URL',
    'IMPORT_FINISH_DEAD_LETTERS_URL',
    'IMPORT_REMOVALS_DEAD_LETTERS_URL',
    'EXPORTS_DEAD_LETTERS_URL',
    ...interviewQueues,
    ...interviewQueues.map((name) => name.replace('QUEUE', 'DEAD_LETTERS')),
    'MAX_RECEIVE_COUNT',
  ],
}

describe.each([
  { stage: 'local', timeouts: 'normal' },
  { stage: 'local', timeouts: 'short' },
  { stage: 'dev', timeouts: 'normal' },
  { stage: 'prod', timeouts: 'normal' },
  { stage: 'prod', timeouts: 'normal', cache: 'valkey' },
])('the templates of stage $stage with $timeouts timeouts and the cache $cache', (context) => {
  let resources: Resource[]
  let functions: Map<string, Resource>
  let stacks: Stack[]

  beforeAll(async () => {
    resources = await synthesise(context, ({ node }) => {
      stacks = node.children.filter((child) => Stack.isStack(child))
    })
    functions = functionsOf(resources)
  })

  const all = (type: string) => resources.filter(({ Type }) => Type === type)
  const only = (type: string) => {
    const [found, ...others] = all(type)
    if (!found || others.length > 0) throw new Error(`Not exactly one ${type}`)
    return found
  }
  const of = (from: Resource, value: Value | undefined) => target(resources, from, value)
  const isDeadLetterQueue = ({ Properties }: Resource) => Properties.QueueName?.endsWith('-dlq') === true
  const watched = (alarm: Resource) => of(alarm, alarm.Properties.Dimensions?.[0]?.Value)
  const alarmsOn = (metric: string) =>
    all('AWS::CloudWatch::Alarm').filter(({ Properties }) => Properties.MetricName === metric)

  describe('queues', () => {
    it('have names that people know', () => {
      const name = (queue: string) => `insighta-${context.stage}-${queue}`
      expect(all('AWS::SQS::Queue').map(({ Properties }) => Properties.QueueName)).toEqual(
        expect.arrayContaining(['import-objects', 'import-slices-dlq', 'import-finish'].map(name)),
      )
    })

    it('have a dead-letter queue that keeps messages for 14 days, or are one', () => {
      const queues = all('AWS::SQS::Queue').filter((queue) => !isDeadLetterQueue(queue))
      expect(queues).toHaveLength(9)
      for (const queue of queues) {
        expect(of(queue, queue.Properties.RedrivePolicy?.deadLetterTargetArn)?.Properties).toMatchObject({
          QueueName: `${queue.Properties.QueueName}-dlq`,
          MessageRetentionPeriod: 14 * 24 * 3600,
        })
      }
    })

    it('raise an alarm with the first dead letter, recorded or not, and when the oldest message is late', () => {
      const recorded = alarmsOn('DeadLetters').map(
        ({ Properties }) => Properties.Dimensions?.find(({ Name }) => Name === 'Queue')?.Value,
      )
      expect(recorded.sort()).toEqual(Object.values(queueNames).sort())
      const dead = all('AWS::CloudWatch::Alarm').flatMap((alarm) =>
        (alarm.Properties.Metrics ?? []).flatMap(({ MetricStat }) => {
          const { MetricName, Dimensions } = MetricStat?.Metric ?? {}
          return MetricName === 'ApproximateNumberOfMessagesNotVisible'
            ? [of(alarm, Dimensions?.[0]?.Value)]
            : []
        }),
      )
      const late = alarmsOn('ApproximateAgeOfOldestMessage').map(watched)
      const queues = all('AWS::SQS::Queue')
      expect(new Set(dead)).toEqual(new Set(queues.filter(isDeadLetterQueue)))
      expect(new Set(late)).toEqual(new Set(queues.filter((queue) => !isDeadLetterQueue(queue))))
    })

    it('hide a message for six times as long as its function may take', () => {
      const mappings = all('AWS::Lambda::EventSourceMapping')
      expect(mappings).toHaveLength(18)
      for (const mapping of mappings) {
        const queue = of(mapping, mapping.Properties.EventSourceArn)
        const lambda = of(mapping, mapping.Properties.FunctionName)
        const window = mapping.Properties.MaximumBatchingWindowInSeconds ?? 0
        expect(queue?.Properties.VisibilityTimeout).toBeGreaterThanOrEqual(
          6 * (lambda?.Properties.Timeout ?? Number.POSITIVE_INFINITY) + window,
        )
      }
    })

    it('feed functions that report each failed message by itself, with a cap on their concurrency', () => {
      for (const { Properties } of all('AWS::Lambda::EventSourceMapping')) {
        expect(Properties.FunctionResponseTypes).toEqual(['ReportBatchItemFailures'])
        // AWS accepts 2 to 1000.
        expect(Properties.ScalingConfig?.MaximumConcurrency).toBeGreaterThanOrEqual(2)
      }
    })
  })

  describe('functions', () => {
    it('are those of the product, each with a timeout, memory and a log group of 30 days', () => {
      expect([...functions.keys()].sort()).toEqual([...functionNames].sort())
      for (const [name, lambda] of functions) {
        const { Timeout, MemorySize, LoggingConfig, Runtime, VpcConfig } = lambda.Properties
        expect(Timeout, name).toBeGreaterThan(0)
        expect(MemorySize, name).toBeGreaterThanOrEqual(512)
        expect(Runtime, name).toBe('nodejs24.x')
        if (outside.includes(name)) expect(VpcConfig, name).toBeUndefined()
        else expect(VpcConfig, name).toBeDefined()
        expect(of(lambda, LoggingConfig?.LogGroup)?.Properties.RetentionInDays, name).toBe(30)
      }
    })

    it('that read résumés have twice the memory that a reader of documents may take', () => {
      const { MemorySize = 0 } = functions.get('read-resume')!.Properties
      expect(MemorySize * 1024 * 1024).toBeGreaterThanOrEqual(2 * readerBytes)
    })

    it('find in their environment every name they need and no other', () => {
      const { apiConcurrency, aurora, cache } = stageWith(context)
      const cached = cache === 'valkey'
      for (const name of functionNames) {
        const variables = functions.get(name)?.Properties.Environment?.Variables ?? {}
        const expected = [...everywhere, ...(outside.includes(name) ? [] : insideTheNetwork)]
        if (cached && name in apiConcurrency) expected.push('CACHE_URL')
        if (aurora.readers > 0 && readByReader.includes(name)) expected.push('DATABASE_READER_HOST')
        expect(Object.keys(variables).sort(), name).toEqual([...expected, ...environments[name]].sort())
        expect(variables.FUNCTION_TIMEOUT_SECONDS, name).toBe(String(functions.get(name)?.Properties.Timeout))
      }
    })

    it('raise an alarm for their errors', () => {
      expect(new Set(alarmsOn('Errors').map(watched))).toEqual(new Set(functions.values()))
    })

    it('together open no more connections than the database bears at its smallest size', () => {
      const stage = stageWith(context)
      const capped = new Map<Resource | undefined, number>()
      for (const mapping of all('AWS::Lambda::EventSourceMapping')) {
        const lambda = of(mapping, mapping.Properties.FunctionName)
        const cap = mapping.Properties.ScalingConfig?.MaximumConcurrency ?? Number.NaN
        capped.set(lambda, (capped.get(lambda) ?? 0) + cap)
      }
      // The sweep ends before its next minute, but an event may come twice. The migration runs once in a deployment, keys by hand, facets once a night and by hand; the API's share is reserved in prod and
      // assumed elsewhere, where a new account has 10 environments for everything.
      const stated: Record<string, number> = {
        ...stage.apiConcurrency,
        keys: 1,
        facets: 1,
        migrate: 1,
        sweep: 2,
      }
      let connections = 0
      for (const [name, lambda] of functions) {
        if (outside.includes(name)) continue
        const concurrency =
          lambda.Properties.ReservedConcurrentExecutions ?? capped.get(lambda) ?? stated[name] ?? Number.NaN
        connections += concurrency * Number(lambda.Properties.Environment?.Variables.DATABASE_POOL_MAX)
      }
      const smallest =
        only('AWS::RDS::DBCluster').Properties.ServerlessV2ScalingConfiguration?.MinCapacity ?? 0
      expect(connections).toBeGreaterThan(functions.size)
      expect(connections).toBeLessThanOrEqual(connectionsAt(smallest) - spareConnections)
      // A reader has as much capacity as the writer, and connections of its own.
      const byReader = readByReader.map((name) => {
        const variables = functions.get(name)?.Properties.Environment?.Variables
        return (stated[name] ?? Number.NaN) * Number(variables?.DATABASE_POOL_MAX)
      })
      const most = byReader.reduce((sum, connections) => sum + connections, 0)
      expect(most).toBeLessThanOrEqual(connectionsAt(smallest) - spareConnections)
    })

    it('reserve concurrency in prod only, where the account has more than a new one', () => {
      const reserved = [...functions.values()].filter(
        ({ Properties }) => Properties.ReservedConcurrentExecutions !== undefined,
      )
      expect(reserved).toHaveLength(context.stage === 'prod' ? 9 : 0)
    })

    it('may do nothing with every resource, and touch objects only under a prefix', () => {
      for (const policy of all('AWS::IAM::Policy').filter(({ stack }) => stack !== 'data')) {
        for (const { Action, Resource } of policy.Properties.PolicyDocument?.Statement ?? []) {
          expect(Resource, policy.id).not.toBe('*')
          expect(String(Action), policy.id).not.toContain('*')
          if (/s3:(Get|Put|Delete)/.test(String(Action))) {
            expect(JSON.stringify(Resource), policy.id).toMatch(
              /"\/(uploads|rejects|exports|resumes|transcripts|webhooks|person-data)\/\*"/,
            )
          }
        }
      }
    })
  })

  it('have a cache where the stage or the context says so, with TLS, that functions alone reach', () => {
    const caches = all('AWS::ElastiCache::ServerlessCache')
    const asked = 'cache' in context || context.stage === 'local'
    expect(caches).toHaveLength(asked ? 1 : 0)
    for (const cache of caches) {
      expect(cache.Properties).toMatchObject({ Engine: 'valkey', SnapshotRetentionLimit: 0 })
      const url = functions.get('profiles')?.Properties.Environment?.Variables.CACHE_URL
      expect(JSON.stringify(url)).toContain('"rediss://"')
      const inside = all('AWS::EC2::SecurityGroupIngress').filter(({ stack }) => stack === cache.stack)
      expect(inside.map(({ Properties }) => Properties)).toEqual([
        expect.objectContaining({ FromPort: 6379, ToPort: 6379, IpProtocol: 'tcp' }),
      ])
      expect(of(inside[0]!, inside[0]?.Properties.SourceSecurityGroupId)?.id).toContain('Function')
    }
  })

  const schedule = (expression: string) => {
    const rule = all('AWS::Events::Rule').find(
      ({ Properties }) => Properties.ScheduleExpression === expression,
    )
    if (!rule) throw new Error(`Nothing is scheduled by ${expression}`)
    return rule
  }

  it('compare the facets with a full count every night', () => {
    const [target] = schedule('cron(17 3 * * ? *)').Properties.Targets ?? []
    expect(of(schedule('cron(17 3 * * ? *)'), target?.Arn)).toBe(functions.get('facets'))
    expect(target?.Input).toBe('{"action":"verify"}')
  })

  describe('the sweep', () => {
    it('runs every minute, and calls nothing stalled that may still be at work', () => {
      const rule = schedule('rate(1 minute)')
      expect(rule.Properties.ScheduleExpression).toBe('rate(1 minute)')
      const sweep = functions.get('sweep')
      expect(of(rule, rule.Properties.Targets?.[0]?.Arn)).toBe(sweep)
      expect(sweep?.Properties.Timeout).toBeLessThan(60)
      const stalled = Number(sweep?.Properties.Environment?.Variables.STALLED_AFTER_SECONDS)
      for (const name of ['split', 'insert', 'finish', 'remove']) {
        expect(stalled, name).toBeGreaterThan(Number(functions.get(name)?.Properties.Timeout))
      }
    })
  })

  describe('routes', () => {
    it('are those of the route table, each onto its function', () => {
      const found = all('AWS::ApiGatewayV2::Route').map((route) => {
        const integration = of(route, route.Properties.Target)
        const lambda = integration && of(integration, integration.Properties.IntegrationUri)
        return [route.Properties.RouteKey, lambda?.Properties.Environment?.Variables.POWERTOOLS_SERVICE_NAME]
      })
      expect(Object.fromEntries(found)).toEqual(
        Object.fromEntries(gatewayRoutes.map(({ key, function: name }) => [key, name])),
      )
    })
  })

  it('log who called, and neither the path nor the query, which may name people', () => {
    const line = {
      request_id: '$context.requestId',
      time: '$context.requestTimeEpoch',
      ip: '$context.identity.sourceIp',
      route: '$context.routeKey',
      status: '$context.status',
      latency_ms: '$context.responseLatency',
      function_ms: '$context.integrationLatency',
      bytes: '$context.responseLength',
      error: '$context.error.message',
      function_error: '$context.integrationErrorMessage',
    }
    expect(only('AWS::ApiGatewayV2::Stage').Properties).toMatchObject({
      AccessLogSettings: { Format: JSON.stringify(line) },
    })
  })

  describe('data', () => {
    it('lie in a bucket that nobody else can read, encrypted', () => {
      for (const { Properties } of all('AWS::S3::Bucket')) {
        expect(Properties.PublicAccessBlockConfiguration).toEqual({
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        })
        expect(Properties.BucketEncryption).toBeDefined()
      }
    })

    it('expire, and can be brought back for a week then: résumés, transcripts and what is held about a person for a day', () => {
      const bucket = all('AWS::S3::Bucket').find(({ stack }) => stack === 'data')
      const days = stageWith(context).uploadRetentionDays
      const on = { Status: 'Enabled' }
      expect(bucket?.Properties).toMatchObject({
        VersioningConfiguration: on,
        LifecycleConfiguration: {
          Rules: [
            {
              ...on,
              AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
              NoncurrentVersionExpiration: { NoncurrentDays: 7 },
              ExpiredObjectDeleteMarker: true,
            },
            { ...on, Prefix: 'resumes/', NoncurrentVersionExpiration: { NoncurrentDays: 1 } },
            {
              ...on,
              Prefix: 'person-data/',
              ExpirationInDays: 1,
              NoncurrentVersionExpiration: { NoncurrentDays: 1 },
            },
            { ...on, Prefix: 'uploads/', ExpirationInDays: days },
            { ...on, Prefix: 'rejects/', ExpirationInDays: days },
            { ...on, Prefix: 'exports/', ExpirationInDays: 7 },
            {
              ...on,
              Prefix: 'transcripts/',
              ExpirationInDays: 1,
              NoncurrentVersionExpiration: { NoncurrentDays: 1 },
            },
            { ...on, Prefix: 'webhooks/', ExpirationInDays: 30 },
          ],
        },
      })
    })

    it('travel over TLS only, to the bucket, the queues and the topic', () => {
      const policies = ['AWS::S3::BucketPolicy', 'AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy'].flatMap(
        all,
      )
      expect(policies).toHaveLength(all('AWS::SQS::Queue').length + all('AWS::SNS::Topic').length + 1)
      for (const { id, Properties } of policies) {
        expect(Properties.PolicyDocument?.Statement, id).toContainEqual(
          expect.objectContaining({
            Effect: 'Deny',
            Condition: { Bool: { 'aws:SecureTransport': 'false' } },
          }),
        )
      }
    })

    it('reach the queue of their prefix when an object appears there, however it was put', () => {
      const notifications = only('Custom::S3BucketNotifications')
      const settings = notifications.Properties.NotificationConfiguration?.QueueConfigurations ?? []
      for (const { Events } of settings) expect(Events).toEqual(['s3:ObjectCreated:*'])
      const fed = settings.map(({ Filter, QueueArn }) => [
        Filter?.Key?.FilterRules?.[0]?.Value,
        of(notifications, QueueArn)?.Properties.QueueName,
      ])
      expect(Object.fromEntries(fed)).toEqual({
        'uploads/': `insighta-${context.stage}-import-objects`,
        'resumes/': `insighta-${context.stage}-resumes`,
      })
    })

    it('stay in an encrypted database that takes IAM tokens, safe from deletion in prod', () =>
      expect(only('AWS::RDS::DBCluster').Properties).toMatchObject({
        DatabaseName: 'insighta',
        EnableIAMDatabaseAuthentication: true,
        StorageEncrypted: true,
        DeletionProtection: context.stage === 'prod',
      }))

    it('are migrated once the writer is up, by the version that this deployment brings', () => {
      const migration = only('Custom::Trigger')
      const version = of(migration, migration.Properties.HandlerArn)
      expect(version?.Type).toBe('AWS::Lambda::Version')
      expect(version && of(version, version.Properties.FunctionName)).toBe(functions.get('migrate'))
      const before = resources.filter(
        ({ id, stack }) => stack === 'data' && migration.DependsOn?.includes(id),
      )
      expect(before.map(({ Type }) => Type)).toContain('AWS::RDS::DBInstance')
    })

    it('are migrated before code: a failure stops the deployment while the version before goes on', () => {
      // CloudFormation waits for the answer, which is an error where the function threw.
      expect(only('Custom::Trigger').Properties).toMatchObject({ InvocationType: 'RequestResponse' })
      const named = (stack: Stack) => stack.stackName.replace(/^Insighta-[a-z]+-/, '')
      const waiting = stacks.filter(({ dependencies }) => dependencies.map(named).includes('data'))
      const withCode = [...functions].filter(([name]) => name !== 'migrate').map(([, { stack }]) => stack)
      expect(waiting.map(named)).toEqual(expect.arrayContaining(withCode))
    })
  })

  describe('alarms and dashboards', () => {
    it('tell whom to ask: every alarm names its section of the runbook and has a topic', () => {
      for (const { id, Properties } of all('AWS::CloudWatch::Alarm')) {
        expect(Properties.AlarmDescription, id).toMatch(/docs\/operations\.md#[a-z-]+$/)
        expect(Properties.AlarmActions, id).toHaveLength(1)
      }
    })

    it('may publish to their topic, whose policy names whom it lets in', () => {
      const policies = all('AWS::SNS::TopicPolicy')
      expect(policies).toHaveLength(all('AWS::SNS::Topic').length)
      for (const { id, Properties } of policies) {
        expect(Properties.PolicyDocument?.Statement, id).toContainEqual(
          expect.objectContaining({
            Effect: 'Allow',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Action: 'sns:Publish',
          }),
        )
      }
    })

    it('raise an alarm while work waits that a third party refused, for each by itself', () => {
      const parties = alarmsOn('RefusedWork').map(
        ({ Properties }) => Properties.Dimensions?.find(({ Name }) => Name === 'ThirdParty')?.Value,
      )
      expect(parties.sort()).toEqual([...thirdParties])
    })

    it('watch 5xx of the API and the latency of its queries', () => {
      expect(alarmsOn('5xx')).toHaveLength(1)
      const computed = all('AWS::CloudWatch::Alarm').flatMap(({ Properties }) => Properties.Metrics ?? [])
      const queries = computed.filter(({ MetricStat }) => MetricStat?.Metric?.MetricName === 'QueryDuration')
      expect(queries).toHaveLength(1)
    })

    it('look at the metrics of their own stage alone, which an account may share with another', () => {
      const namespace = `Insighta/${context.stage}`
      for (const lambda of functions.values()) {
        expect(lambda.Properties.Environment?.Variables.POWERTOOLS_METRICS_NAMESPACE).toBe(namespace)
      }
      const watching = resources.filter(({ Type }) => Type.startsWith('AWS::CloudWatch::'))
      // Not the names of exports, which begin with Insighta-.
      const named = JSON.stringify(watching).match(/[{"]Insighta(?!-)[^,"\\]*/g) ?? []
      expect(named.length).toBeGreaterThan(50)
      expect(new Set(named.map((name) => name.slice(1)))).toEqual(new Set([namespace]))
    })

    it('draw queries, imports and the database', () => {
      const bodies = all('AWS::CloudWatch::Dashboard').map(({ Properties }) =>
        JSON.stringify(Properties.DashboardBody),
      )
      expect(bodies).toHaveLength(4)
      const { aurora } = stageWith(context)
      for (const metric of publishedMetrics) {
        const drawn = aurora.readers > 0 || !metric.startsWith('Reader')
        expect(bodies.join('\n').includes(metric), metric).toBe(drawn)
      }
    })
  })
})

describe('a restored database', () => {
  const databaseResourceId = 'cluster-RESTORED1'
  const grants = (resources: Resource[]) =>
    resources
      .filter(({ Type }) => Type === 'AWS::IAM::Policy')
      .flatMap(({ Properties }) => Properties.PolicyDocument?.Statement ?? [])
      .filter(({ Action }) => Action === 'rds-db:connect')
      .map(({ Resource }) => JSON.stringify(Resource))

  it('is the one that functions may sign in to, and no other', async () => {
    const [first, restored] = await Promise.all([
      synthesise({ stage: 'prod' }),
      synthesise({ stage: 'prod', databaseResourceId }),
    ])
    expect(grants(restored)).toHaveLength(grants(first).length)
    expect(grants(first).length).toBeGreaterThan(15)
    for (const grant of grants(restored)) expect(grant).toContain(':dbuser:cluster-RESTORED1/insighta_app')
    expect(grants(first).join()).not.toContain(databaseResourceId)
  })
})
