import { join } from 'node:path'
import { ArnFormat, Duration, type Stack, Validations } from 'aws-cdk-lib'
import type { ISecurityGroup, IVpc } from 'aws-cdk-lib/aws-ec2'
import { SubnetType } from 'aws-cdk-lib/aws-ec2'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { FunctionOptions } from 'aws-cdk-lib/aws-lambda'
import { Architecture, Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { DatabaseCluster } from 'aws-cdk-lib/aws-rds'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import type { Construct } from 'constructs'
import type { FunctionName } from '../lib/platform/names.ts'
import { database, env } from '../lib/platform/names.ts'
import { metricsNamespace, type Stage } from './stage.ts'

export type { LambdaFunction }

/** What a function stands in: its stage, the folder of the bundles, and the network of the database. */
export type Surroundings = {
  stage: Stage
  /** Absolute folder that holds `<name>/index.mjs` of each function. */
  assets: string
  vpc: IVpc
  securityGroup: ISecurityGroup
}

/** Functions that call third parties, and not the database. */
export type OutsideFunctionName = 'enrich' | 'webhooks' | 'gemini' | 'mailer' | 'livekit'
export type InsideFunctionName = Exclude<FunctionName, OutsideFunctionName>

/** MiB. The share of a CPU grows with it: 1,769 MiB are one whole. */
const memory: Record<FunctionName, number> = {
  profiles: 512,
  imports: 512,
  exports: 1024,
  system: 512,
  keys: 512,
  facets: 512,
  migrate: 512,
  split: 1024,
  insert: 1024,
  finish: 1024,
  remove: 512,
  export: 1024,
  'dead-letters': 512,
  sweep: 512,
  operations: 512,
  enrich: 512,
  candidates: 512,
  interviews: 1024,
  webhooks: 512,
  'apply-event': 512,
  assess: 512,
  'send-email': 512,
  // A PDF of 10 MB may inflate to many times that.
  'read-resume': 2048,
  gemini: 512,
  mailer: 512,
  livekit: 512,
}

/**
 * Connections of one execution environment. It serves one event at a time; a page and its total are read
 * side by side, an export says how far it is while it reads, every other worker does one thing after the other.
 */
const poolMax: Record<InsideFunctionName, number> = {
  profiles: 2,
  imports: 1,
  exports: 1,
  system: 1,
  keys: 1,
  facets: 1,
  migrate: 1,
  split: 1,
  insert: 1,
  finish: 1,
  remove: 1,
  export: 2,
  'dead-letters': 1,
  sweep: 1,
  operations: 1,
  candidates: 1,
  interviews: 1,
  'apply-event': 1,
  assess: 1,
  'send-email': 1,
  'read-resume': 1,
}

/** The Lambda of `functions/<name>.ts`, inside the VPC, with its own role and log group. */
export function makeFunction(
  scope: Construct,
  name: InsideFunctionName,
  surroundings: Surroundings,
  environment: Record<string, string>,
): LambdaFunction {
  const { vpc, securityGroup } = surroundings
  const lambda = build(scope, name, surroundings, {
    vpc,
    vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
    securityGroups: [securityGroup],
    environment: {
      ...environment,
      [env.databasePoolMax]: String(poolMax[name]),
      // Lambda's bundle of Amazon's authorities, those of RDS among them. Since Node 20 it is opt-in:
      // https://docs.aws.amazon.com/lambda/latest/dg/lambda-nodejs.html
      NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem',
    },
  })
  acknowledgePolicies(
    lambda,
    'Writing its log and attaching to the VPC, which allows nothing narrower: EC2 takes no resource there.',
    ['AWSLambdaBasicExecutionRole', 'AWSLambdaVPCAccessExecutionRole'],
  )
  return lambda
}

/** A Lambda outside the VPC, which has no way out: it reaches the internet, and the database never. */
export function makeOutsideFunction(
  scope: Construct,
  name: OutsideFunctionName,
  surroundings: Surroundings,
  environment: Record<string, string>,
): LambdaFunction {
  const lambda = build(scope, name, surroundings, { environment })
  acknowledgePolicies(lambda, 'Writing its log, of which the policy allows nothing else.', [
    'AWSLambdaBasicExecutionRole',
  ])
  return lambda
}

/** Lets `caller` invoke the function as it is deployed, and tells it the name under `variable`. */
export function allowInvoke(caller: LambdaFunction, invoked: LambdaFunction, variable: string): void {
  caller.addToRolePolicy(
    // grantInvoke would add every version of it.
    new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [invoked.functionArn] }),
  )
  caller.addEnvironment(variable, invoked.functionName)
}

function build(
  scope: Construct,
  name: FunctionName,
  { stage, assets }: Surroundings,
  options: FunctionOptions,
): LambdaFunction {
  const logGroup = new LogGroup(scope, `${pascal(name)}Logs`, {
    retention: RetentionDays.ONE_MONTH,
    removalPolicy: stage.removalPolicy,
  })
  const reserved = stage.reserveConcurrency && reservedConcurrency(stage, name)
  return new LambdaFunction(scope, pascal(name), {
    ...options,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    code: Code.fromAsset(join(assets, name)),
    handler: 'index.handler',
    timeout: Duration.seconds(stage.timeouts[name]),
    memorySize: memory[name],
    ...(reserved && { reservedConcurrentExecutions: reserved }),
    logGroup,
    environment: {
      ...options.environment,
      [env.functionTimeoutSeconds]: String(stage.timeouts[name]),
      // V8 lets its young generation grow with the memory that is there: an insert worker came to 353 MB, with
      // this bound to 184 MB, in the same time. A runtime that gives node a bound of its own outdoes it.
      NODE_OPTIONS: '--max-semi-space-size=8',
      POWERTOOLS_SERVICE_NAME: name,
      POWERTOOLS_METRICS_NAMESPACE: metricsNamespace(stage.name),
    },
  })
}

function acknowledgePolicies(lambda: LambdaFunction, reason: string, policies: readonly string[]): void {
  for (const policy of policies) {
    Validations.of(lambda).acknowledge({
      id: `AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/${policy}]`,
      reason,
    })
  }
}

/** Where the database is, and how to connect. */
export function databaseEnvironment(cluster: DatabaseCluster): Record<string, string> {
  return {
    [env.databaseHost]: cluster.clusterEndpoint.hostname,
    [env.databasePort]: String(cluster.clusterEndpoint.port),
    [env.databaseName]: database.name,
    [env.databaseTls]: 'verify-full',
  }
}

/** Where readers are, for the functions that ask them; nothing where the stage has none. */
export function readerEnvironment(cluster: DatabaseCluster, { aurora }: Stage): Record<string, string> {
  return aurora.readers > 0 ? { [env.databaseReaderHost]: cluster.clusterReadEndpoint.hostname } : {}
}

/** Lets the functions sign in as the application's role, and tells them its name. */
export function applicationUser(
  { databaseResourceId }: Stage,
  cluster: DatabaseCluster,
  ...functions: LambdaFunction[]
): void {
  for (const lambda of functions) {
    if (databaseResourceId === undefined) cluster.grantConnect(lambda, database.appUser)
    else lambda.addToRolePolicy(allowConnect(lambda.stack, databaseResourceId))
    lambda.addEnvironment(env.databaseUser, database.appUser)
  }
}

/** The grant of a cluster that took the name, and so the address, of the one that the template made. */
function allowConnect(stack: Stack, resourceId: string): PolicyStatement {
  const resource = stack.formatArn({
    service: 'rds-db',
    resource: 'dbuser',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    resourceName: `${resourceId}/${database.appUser}`,
  })
  return new PolicyStatement({ actions: ['rds-db:connect'], resources: [resource] })
}

export type ObjectAction = 's3:GetObject' | 's3:PutObject' | 's3:DeleteObject' | 's3:AbortMultipartUpload'

/** Allows the actions on the objects under one prefix, and no others. */
export function allowObjects(
  lambda: LambdaFunction,
  bucket: Bucket,
  prefix: string,
  actions: readonly ObjectAction[],
): void {
  lambda.addToRolePolicy(
    new PolicyStatement({ actions: [...actions], resources: [bucket.arnForObjects(`${prefix}*`)] }),
  )
  const exported: { 'Fn::ImportValue': string } = lambda.stack.resolve(
    bucket.stack.exportValue(bucket.bucketArn),
  )
  Validations.of(lambda).acknowledge({
    id: `AwsSolutions-IAM5[Resource::${exported['Fn::ImportValue']}/${prefix}*]`,
    reason: `Every import and export names an object of its own under ${prefix}, and nothing else is kept there.`,
  })
}

/** Without it S3 answers 403 for an object that expired, which reads like a fault of ours instead of a 404. */
export function allowToMiss(lambda: LambdaFunction, bucket: Bucket): void {
  lambda.addToRolePolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }))
}

/** For the functions behind the gateway and the operator's; those of a queue are capped by their mapping. */
function reservedConcurrency(stage: Stage, name: FunctionName): number | false {
  const api: Partial<Record<FunctionName, number>> = stage.apiConcurrency
  return name === 'keys' || name === 'facets' ? 1 : (api[name] ?? false)
}

/** `import-objects` becomes `ImportObjects`, the form of construct ids. */
export function pascal(name: string): string {
  return name.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
