import type { StackProps } from 'aws-cdk-lib'
import { CfnOutput, Duration, Stack, Validations } from 'aws-cdk-lib'
import { AccessLogFormat } from 'aws-cdk-lib/aws-apigateway'
import {
  CorsHttpMethod,
  HttpApi,
  HttpMethod,
  HttpRoute,
  HttpRouteKey,
  HttpStage,
  LogGroupLogDestination,
} from 'aws-cdk-lib/aws-apigatewayv2'
import { HttpLambdaIntegration } from 'aws-cdk-lib/aws-apigatewayv2-integrations'
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import type { Construct } from 'constructs'
import {
  env,
  exportsPrefix,
  personDataPrefix,
  queueVariables,
  rejectsPrefix,
  resumePrefix,
  transcriptPrefix,
  uploadPrefix,
  webhookPrefix,
} from '../../lib/platform/names.ts'
import { gatewayRoutes } from '../../lib/platform/routes.ts'
import type { LambdaFunction, Surroundings } from '../functions.ts'
import {
  allowInvoke,
  allowObjects,
  allowToMiss,
  applicationUser,
  databaseEnvironment,
  makeFunction,
  makeOutsideFunction,
  pascal,
  readerEnvironment,
} from '../functions.ts'
import { addresses } from '../outside.ts'
import { inspect, sendTo } from '../queues.ts'
import type { ApiFunctionName, Stage } from '../stage.ts'
import type { CacheStack } from './cache.ts'
import type { DataStack } from './data.ts'
import type { InterviewsStack } from './interviews.ts'
import type { Recovered } from './recovery.ts'

type HttpFunctionName = ApiFunctionName | 'webhooks'

/** The HTTP API with the functions behind it, and the operator's: one makes keys, one sees to the facets. */
export class ApiStack extends Stack {
  readonly api: HttpApi
  readonly functions: Record<ApiFunctionName | 'keys' | 'facets', LambdaFunction>
  readonly enrich: LambdaFunction
  readonly webhooks: LambdaFunction

  constructor(
    scope: Construct,
    id: string,
    surroundings: Surroundings,
    { data, exports, imports, interviews }: Recovered,
    cache: CacheStack | undefined,
    props?: StackProps,
  ) {
    super(scope, id, props)
    const { bucket, cluster } = data
    const environment = databaseEnvironment(cluster)
    const reading = { ...environment, ...readerEnvironment(cluster, surroundings.stage) }
    const uploads = { ...environment, [env.uploadBucket]: bucket.bucketName }
    this.functions = {
      profiles: makeFunction(this, 'profiles', surroundings, reading),
      imports: makeFunction(this, 'imports', surroundings, uploads),
      exports: makeFunction(this, 'exports', surroundings, uploads),
      system: makeFunction(this, 'system', surroundings, reading),
      candidates: makeFunction(this, 'candidates', surroundings, {
        ...uploads,
        [env.uploadRetentionDays]: String(surroundings.stage.uploadRetentionDays),
      }),
      interviews: makeFunction(this, 'interviews', surroundings, {
        ...uploads,
        ...(surroundings.stage.livekitAgent !== undefined && {
          [env.livekitAgentName]: surroundings.stage.livekitAgent,
        }),
      }),
      keys: makeFunction(this, 'keys', surroundings, environment),
      facets: makeFunction(this, 'facets', surroundings, environment),
      operations: makeFunction(this, 'operations', surroundings, {
        ...environment,
        [env.maxReceiveCount]: String(surroundings.stage.maxReceiveCount),
      }),
    }
    applicationUser(surroundings.stage, cluster, ...Object.values(this.functions))
    if (cache) this.shareCache(cache, surroundings.stage)
    this.enrich = makeOutsideFunction(
      this,
      'enrich',
      surroundings,
      addresses(env.genderizeUrl, env.agifyUrl, env.nationalizeUrl),
    )
    allowInvoke(this.functions.profiles, this.enrich, env.enrichFunctionName)
    // A presigned address can do no more than the role that signed it.
    // Reading: whether an upload is still there before it is worked on again, and that it may be missing.
    allowObjects(this.functions.imports, bucket, uploadPrefix, ['s3:GetObject', 's3:PutObject'])
    allowObjects(this.functions.imports, bucket, rejectsPrefix, ['s3:GetObject', 's3:PutObject'])
    allowToMiss(this.functions.imports, bucket)
    allowObjects(this.functions.exports, bucket, exportsPrefix, ['s3:GetObject'])
    const { exportInlineRows } = surroundings.stage
    if (exportInlineRows !== undefined) {
      this.functions.exports.addEnvironment(env.exportInlineRows, String(exportInlineRows))
    }
    for (const work of imports.queues) sendTo(this.functions.imports, work, queueVariables[work.name].source)
    sendTo(this.functions.exports, exports.files, env.exportsQueueUrl)
    this.serveInterviews(interviews, data)
    this.webhooks = makeWebhooks(this, surroundings, interviews, data.bucket)
    for (const work of [...imports.queues, ...exports.queues, ...interviews.queues]) {
      const variables = queueVariables[work.name]
      sendTo(this.functions.operations, work, variables.source)
      inspect(this.functions.operations, work, variables.deadLetters)
    }

    new Rule(this, 'EveryNight', {
      description: 'Compares the facets with a full count',
      schedule: Schedule.cron({ hour: '3', minute: '17' }),
      targets: [
        new LambdaTarget(this.functions.facets, { event: RuleTargetInput.fromObject({ action: 'verify' }) }),
      ],
    })

    this.api = makeGateway(this, surroundings.stage)
    addRoutes(this, this.api, { ...this.functions, webhooks: this.webhooks })
    new CfnOutput(this, 'ApiUrl', { value: this.api.apiEndpoint })
    new CfnOutput(this, 'KeysFunctionName', { value: this.functions.keys.functionName })
    new CfnOutput(this, 'FacetsFunctionName', { value: this.functions.facets.functionName })
  }

  private serveInterviews(stack: InterviewsStack, { bucket, resumes }: DataStack): void {
    const { candidates, interviews } = this.functions
    allowObjects(candidates, bucket, resumePrefix, ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'])
    allowObjects(candidates, bucket, personDataPrefix, [
      's3:GetObject',
      's3:PutObject',
      's3:AbortMultipartUpload',
    ])
    allowToMiss(candidates, bucket)
    sendTo(candidates, resumes, env.resumesQueueUrl)
    allowInvoke(candidates, stack.mailer, env.mailerFunctionName)
    allowObjects(interviews, bucket, transcriptPrefix, ['s3:GetObject', 's3:PutObject'])
    allowInvoke(interviews, stack.gemini, env.geminiFunctionName)
    stack.share('livekit', interviews)
    allowInvoke(interviews, stack.livekit, env.livekitFunctionName)
    sendTo(interviews, stack.assessments, env.assessmentsQueueUrl)
    sendTo(interviews, stack.emails, env.emailsQueueUrl)
  }

  /** Among the functions behind the gateway: each counts requests there, and one keeps its answers. */
  private shareCache(cache: CacheStack, stage: Stage): void {
    for (const name of Object.keys(stage.apiConcurrency) as ApiFunctionName[]) {
      this.functions[name].addEnvironment(env.cacheUrl, cache.url)
    }
  }
}

/** Outside the VPC, so that the database cannot be in its way: what comes in is put into a queue. */
function makeWebhooks(
  scope: Stack,
  surroundings: Surroundings,
  interviews: InterviewsStack,
  bucket: Bucket,
): LambdaFunction {
  const webhooks = makeOutsideFunction(scope, 'webhooks', surroundings, {
    [env.uploadBucket]: bucket.bucketName,
  })
  for (const name of ['agent', 'livekit', 'resend'] as const) interviews.share(name, webhooks)
  sendTo(webhooks, interviews.events, env.interviewEventsQueueUrl)
  allowObjects(webhooks, bucket, webhookPrefix, ['s3:PutObject'])
  return webhooks
}

function makeGateway(scope: Stack, stage: Stage): HttpApi {
  const api = new HttpApi(scope, 'Api', {
    apiName: `insighta-${stage.name}`,
    createDefaultStage: false,
    ...(stage.consoleOrigins.length > 0 && {
      corsPreflight: {
        allowOrigins: stage.consoleOrigins,
        allowMethods: [
          CorsHttpMethod.GET,
          CorsHttpMethod.HEAD,
          CorsHttpMethod.POST,
          CorsHttpMethod.PATCH,
          CorsHttpMethod.PUT,
          CorsHttpMethod.DELETE,
        ],
        allowHeaders: [
          'authorization',
          'content-type',
          'idempotency-key',
          'if-match',
          'if-none-match',
          'prefer',
          'x-api-key',
          'x-api-version',
        ],
        exposeHeaders: [
          'content-disposition',
          'etag',
          'link',
          'location',
          'preference-applied',
          'ratelimit-limit',
          'ratelimit-remaining',
          'ratelimit-reset',
          'retry-after',
          'server-timing',
          'x-api-version',
          'x-cache',
          'x-interpreted-query',
        ],
        maxAge: Duration.hours(1),
      },
    }),
  })
  const logGroup = new LogGroup(scope, 'AccessLogs', {
    retention: RetentionDays.ONE_MONTH,
    removalPolicy: stage.removalPolicy,
  })
  new HttpStage(scope, 'DefaultStage', {
    httpApi: api,
    stageName: '$default',
    autoDeploy: true,
    throttle: { rateLimit: stage.throttle.rate, burstLimit: stage.throttle.burst },
    accessLogSettings: {
      destination: new LogGroupLogDestination(logGroup),
      // The route, never the path or the query: a search may hold a person's name.
      format: AccessLogFormat.custom(
        JSON.stringify({
          request_id: '$context.requestId',
          time: '$context.requestTimeEpoch',
          // Whoever opened the connection: of requests through CloudFront it is the edge's.
          ip: '$context.identity.sourceIp',
          route: '$context.routeKey',
          status: '$context.status',
          latency_ms: '$context.responseLatency',
          function_ms: '$context.integrationLatency',
          bytes: '$context.responseLength',
          error: '$context.error.message',
          function_error: '$context.integrationErrorMessage',
        }),
      ),
    },
  })
  return api
}

/** Every route of the table, onto one integration for each function. */
function addRoutes(scope: Stack, api: HttpApi, functions: Record<HttpFunctionName, LambdaFunction>): void {
  const integrations = new Map<HttpFunctionName, HttpLambdaIntegration>()
  for (const { key, function: name } of gatewayRoutes) {
    const integration =
      integrations.get(name) ??
      new HttpLambdaIntegration(pascal(name), functions[name], { scopePermissionToRoute: false })
    integrations.set(name, integration)
    const route = new HttpRoute(scope, routeId(key), { httpApi: api, routeKey: routeKey(key), integration })
    Validations.of(route).acknowledge({
      id: 'AwsSolutions-APIG4',
      reason:
        'The function checks the key and the role, so that 401 and 403 wear the error envelope of the API.',
    })
  }
}

function routeKey(key: string): HttpRouteKey {
  if (key === '$default') return HttpRouteKey.DEFAULT
  const [verb, path] = key.split(' ')
  const method = Object.values(HttpMethod).find((known) => known === verb)
  if (!method || !path) throw new Error(`"${key}" is not a route key of API Gateway`)
  return HttpRouteKey.with(path, method)
}

/** `GET /api/profiles/{id}` becomes `Route GET api profiles {id}`: construct ids know no slash. */
function routeId(key: string): string {
  return `Route ${key.replaceAll('/', ' ').replaceAll(/ +/g, ' ')}`
}
