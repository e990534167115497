import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readAssembly } from '../../../infra/local/assembly.ts'
import { type Deployment, deploy } from '../../../infra/local/deployment.ts'
import { registry } from '../../../infra/local/resources/registry.ts'
import type { Services } from '../../../infra/local/resources/services.ts'

type Calls = { queues: [string, Record<string, string>][]; functions: unknown[]; invoked: string[] }

let outDir: string
let calls: Calls
let services: Services
let failing: boolean

beforeEach(async () => {
  outDir = await mkdtemp(join(tmpdir(), 'insighta-assembly-'))
  calls = { queues: [], functions: [], invoked: [] }
  failing = false
  services = {
    region: 'us-east-1',
    accountId: '000000000000',
    apiUrl: 'http://127.0.0.1:1',
    secrets: { find: () => undefined, create: () => Promise.reject(), attach: () => Promise.reject() },
    createQueue(name, attributes) {
      calls.queues.push([name, attributes])
      return { url: `http://sqs/${name}`, arn: `arn:aws:sqs:us-east-1:000000000000:${name}` }
    },
    queueUrl: (arn) => `http://sqs/${arn.split(':').at(-1)}`,
    sendMessage: () => {},
    defineFunction(definition) {
      calls.functions.push(definition)
      return { arn: `arn:aws:lambda:us-east-1:000000000000:function:${definition.name}` }
    },
    async invoke(name) {
      calls.invoked.push(name)
      return failing ? { payload: '{"errorType":"Boom"}', functionError: 'Unhandled' } : { payload: '{}' }
    },
    startCluster: () => Promise.reject(),
    startReader: () => Promise.reject(),
    startCache: async () => undefined,
    refreshLogins: async () => {},
    clusters: new Map(),
    buckets: new Map(),
    eventSources: [],
    apis: new Map(),
    schedules: [],
    alarms: [],
    dashboards: [],
  }
})
afterEach(() => rm(outDir, { recursive: true, force: true }))

type Template = { Resources: Record<string, object>; Outputs?: Record<string, object> }

/** Writes the stacks, each depending on those before it, and deploys them. */
async function deployed(stacks: Record<string, Template>): Promise<Deployment> {
  const artifacts: Record<string, object> = {}
  const before: string[] = []
  for (const [name, template] of Object.entries(stacks)) {
    const properties = { templateFile: `${name}.template.json` }
    artifacts[`${name}.assets`] = { type: 'cdk:asset-manifest', properties: { file: `${name}.assets.json` } }
    artifacts[name] = {
      type: 'aws:cloudformation:stack',
      environment: 'aws://unknown-account/unknown-region',
      dependencies: [`${name}.assets`, ...before],
      properties,
    }
    before.push(name)
    await writeFile(join(outDir, properties.templateFile), JSON.stringify(template))
    const files = { abc: { source: { path: 'asset.abc', packaging: 'zip' } } }
    await writeFile(join(outDir, `${name}.assets.json`), JSON.stringify({ files }))
  }
  await writeFile(join(outDir, 'manifest.json'), JSON.stringify({ artifacts }))
  return deploy({
    stacks: await readAssembly(outDir),
    registry,
    services,
    secretField: () => Promise.reject(new Error('no secrets')),
  })
}

const code = { S3Bucket: 'assets', S3Key: 'abc.zip' }
const worker = {
  Type: 'AWS::Lambda::Function',
  Properties: { Code: code, Handler: 'index.handler', Runtime: 'nodejs24.x', Timeout: 5, MemorySize: 256 },
}

test('a cache that no server of this machine can be is named, and has no address', async () => {
  const { outputs, warnings, differences } = await deployed({
    App: {
      Resources: { Cache: { Type: 'AWS::ElastiCache::ServerlessCache', Properties: { Engine: 'valkey' } } },
      Outputs: { Address: { Value: { 'Fn::GetAtt': ['Cache', 'Endpoint.Address'] } } },
    },
  })
  expect(warnings).toEqual([])
  expect(differences).toEqual([expect.stringContaining('no valkey-server or redis-server is on the PATH')])
  expect(outputs.get('App.Address')).toBe('none.invalid')
})

test('stacks follow those they depend on and import their exports', async () => {
  const { outputs, warnings } = await deployed({
    Zeta: {
      Resources: {
        Dead: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'dead' } },
        Work12345678: {
          Type: 'AWS::SQS::Queue',
          Properties: {
            RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': ['Dead', 'Arn'] }, maxReceiveCount: 3 },
            VisibilityTimeout: 30,
          },
        },
      },
      Outputs: { Arn: { Value: { 'Fn::GetAtt': ['Work12345678', 'Arn'] }, Export: { Name: 'Zeta:Arn' } } },
    },
    Alpha: {
      Resources: {
        Worker: worker,
        Mapping: {
          Type: 'AWS::Lambda::EventSourceMapping',
          Properties: {
            EventSourceArn: { 'Fn::ImportValue': 'Zeta:Arn' },
            FunctionName: { Ref: 'Worker' },
            BatchSize: 1,
            FunctionResponseTypes: ['ReportBatchItemFailures'],
            ScalingConfig: { MaximumConcurrency: 2 },
          },
        },
      },
    },
  })
  expect(warnings).toEqual([])
  expect(outputs.get('Zeta.Arn')).toBe('arn:aws:sqs:us-east-1:000000000000:Zeta-Work')
  expect(calls.queues[1]).toEqual([
    'Zeta-Work',
    {
      VisibilityTimeout: '30',
      RedrivePolicy: '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":3}',
    },
  ])
  expect(calls.functions).toEqual([
    {
      name: 'Alpha-Worker',
      assetDir: join(outDir, 'asset.abc'),
      handler: 'index.handler',
      timeoutSeconds: 5,
      memoryMb: 256,
      environment: {},
    },
  ])
  expect(services.eventSources).toEqual([
    {
      functionName: 'Alpha-Worker',
      queueArn: 'arn:aws:sqs:us-east-1:000000000000:Zeta-Work',
      queueUrl: 'http://sqs/Zeta-Work',
      batchSize: 1,
      windowSeconds: 0,
      maximumConcurrency: 2,
      reportBatchItemFailures: true,
    },
  ])
})

test('unsupported types and properties are named, at any depth, apart from known differences', async () => {
  const { warnings, differences } = await deployed({
    Shop: {
      Resources: {
        Table: { Type: 'AWS::DynamoDB::Table', Properties: {} },
        Role: { Type: 'AWS::IAM::Role', Properties: { Anything: { 'Fn::If': [] } } },
        Worker: { ...worker, Properties: { ...worker.Properties, Layers: ['x'], Role: 'r' } },
        Bucket: {
          Type: 'AWS::S3::Bucket',
          Properties: {
            VersioningConfiguration: { Status: 'Enabled' },
            CorsConfiguration: { CorsRules: [{ AllowedOrigins: ['*'], AllowedMethods: ['GET'], Odd: 1 }] },
          },
        },
      },
    },
  })
  expect(warnings.sort()).toEqual([
    'Shop/Bucket (AWS::S3::Bucket): CorsConfiguration.CorsRules.0.Odd has no effect in the local cloud',
    'Shop/Table (AWS::DynamoDB::Table): this type is not supported by the local cloud',
    'Shop/Worker (AWS::Lambda::Function): Layers has no effect in the local cloud',
  ])
  expect(differences).toEqual([
    'Shop/Bucket (AWS::S3::Bucket): no versions are kept here: a deleted file is gone',
  ])
  expect(services.buckets.get('shop-bucket')?.cors).toEqual([
    { allowedOrigins: ['*'], allowedMethods: ['GET'] },
  ])
})

test('a value that cannot be honoured stops the start with its place', async () => {
  const python = { ...worker, Properties: { ...worker.Properties, Runtime: 'python3.13' } }
  await expect(deployed({ Shop: { Resources: { Worker: python } } })).rejects.toThrow(
    'Shop/Worker.Runtime: only Node.js functions run in the local cloud',
  )
  const route = {
    Type: 'AWS::ApiGatewayV2::Route',
    Properties: { ApiId: 'a', RouteKey: 'GET /', Target: 'integrations/x', AuthorizationType: 'AWS_IAM' },
  }
  await expect(deployed({ Shop: { Resources: { Route: route } } })).rejects.toThrow(
    /authorizers are not supported/,
  )
})

test('notifications reach the bucket, and the function that CDK makes for them is not run', async () => {
  const { warnings } = await deployed({
    Shop: {
      Resources: {
        Handler: {
          Type: 'AWS::Lambda::Function',
          Properties: { Code: { ZipFile: 'x' }, Runtime: 'python3.13' },
        },
        Queue: { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'q' } },
        Uploads: { Type: 'AWS::S3::Bucket', Properties: { BucketName: 'uploads' } },
        Notify: {
          Type: 'Custom::S3BucketNotifications',
          Properties: {
            ServiceToken: { 'Fn::GetAtt': ['Handler', 'Arn'] },
            BucketName: { Ref: 'Uploads' },
            Managed: true,
            NotificationConfiguration: {
              QueueConfigurations: [
                {
                  Events: ['s3:ObjectCreated:*'],
                  Filter: { Key: { FilterRules: [{ Name: 'Prefix', Value: 'uploads/' }] } },
                  QueueArn: { 'Fn::GetAtt': ['Queue', 'Arn'] },
                },
              ],
            },
          },
        },
      },
    },
  })
  expect(warnings).toEqual([])
  expect(calls.functions).toEqual([])
  expect(services.buckets.get('uploads')?.notifications).toEqual([
    {
      id: 'Notify-0',
      events: ['s3:ObjectCreated:*'],
      prefix: 'uploads/',
      queueArn: 'arn:aws:sqs:us-east-1:000000000000:q',
    },
  ])
})

test('a trigger runs once its dependencies exist, and its failure fails the start', async () => {
  const template: Template = {
    Resources: {
      Version: { Type: 'AWS::Lambda::Version', Properties: { FunctionName: { Ref: 'Worker' } } },
      Worker: worker,
      Migration: {
        Type: 'Custom::Trigger',
        Properties: { HandlerArn: { Ref: 'Version' }, InvocationType: 'RequestResponse', Timeout: '330000' },
        DependsOn: ['Queue'],
      },
      Queue: { Type: 'AWS::SQS::Queue', Properties: {} },
    },
  }
  await deployed({ Shop: template })
  expect(calls.invoked).toEqual(['Shop-Worker'])
  failing = true
  await expect(deployed({ Shop: template })).rejects.toThrow(/Shop\/Migration: Shop-Worker failed: .*Boom/)
})

test('resources that wait for each other are refused', async () => {
  const refers = (id: string) => ({ Type: 'AWS::SQS::Queue', Properties: { QueueName: { Ref: id } } })
  await expect(deployed({ Shop: { Resources: { A: refers('B'), B: refers('A') } } })).rejects.toThrow(
    'Shop: A -> B -> A is a circle',
  )
})
