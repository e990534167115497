import * as z from 'zod'
import { adapter, boolean, functionOf, number } from './adapter.ts'

export const lambdaFunction = adapter({
  honoured: z.object({
    FunctionName: z.string().optional(),
    Code: z.strictObject({ S3Bucket: z.string(), S3Key: z.string() }),
    Handler: z.string(),
    Runtime: z.string().startsWith('nodejs', 'only Node.js functions run in the local cloud'),
    Timeout: number.default(3),
    MemorySize: number.default(128),
    Environment: z.strictObject({ Variables: z.record(z.string(), z.coerce.string()) }).optional(),
    ReservedConcurrentExecutions: number.optional(),
  }),
  withoutEffect: [
    'Architectures',
    'Description',
    'KmsKeyArn',
    'LoggingConfig',
    'RecursiveLoop',
    'Role',
    'TracingConfig',
    'VpcConfig',
  ],
  async create(properties, context, services) {
    const name = properties.FunctionName ?? context.physicalName
    const { arn } = services.defineFunction({
      name,
      assetDir: context.asset(properties.Code.S3Key.replace(/\.zip$/, '')),
      handler: properties.Handler,
      timeoutSeconds: properties.Timeout,
      memoryMb: properties.MemorySize,
      environment: properties.Environment?.Variables ?? {},
      ...(properties.ReservedConcurrentExecutions !== undefined && {
        reservedConcurrency: properties.ReservedConcurrentExecutions,
      }),
    })
    return { ref: name, attributes: { Arn: arn } }
  },
})

/** Every version is the function as it is now: a local deployment has no earlier one to keep. */
export const functionVersion = adapter({
  honoured: z.object({ FunctionName: z.string() }),
  withoutEffect: ['CodeSha256', 'Description'],
  async create({ FunctionName }, _context, { region, accountId }) {
    const name = FunctionName.includes(':') ? functionOf(FunctionName) : FunctionName
    const arn = `arn:aws:lambda:${region}:${accountId}:function:${name}:1`
    return { ref: arn, attributes: { FunctionArn: arn, Version: '1' } }
  },
})

/** Runs a function of the deployment once what it depends on exists; its failure fails the start. */
export const trigger = adapter({
  honoured: z.object({ HandlerArn: z.string(), InvocationType: z.literal('RequestResponse').optional() }),
  // It runs at every start, which covers every change of its handler.
  withoutEffect: ['ServiceToken', 'Timeout', 'ExecuteOnHandlerChange'],
  async create({ HandlerArn }, context, services) {
    const name = functionOf(HandlerArn)
    const result = await services.invoke(name, '{}')
    if (result.functionError)
      throw new Error(`${context.stack}/${context.logicalId}: ${name} failed: ${result.payload}`)
    await services.refreshLogins()
    return { ref: context.physicalName }
  },
})

export const eventSourceMapping = adapter({
  honoured: z.object({
    EventSourceArn: z.string().regex(/^arn:[^:]+:sqs:/, 'only SQS is an event source in the local cloud'),
    FunctionName: z.string(),
    BatchSize: number.default(10),
    MaximumBatchingWindowInSeconds: number.default(0),
    Enabled: boolean.default(true),
    FunctionResponseTypes: z.array(z.literal('ReportBatchItemFailures')).default([]),
    ScalingConfig: z.strictObject({ MaximumConcurrency: number }).optional(),
  }),
  async create(properties, context, services) {
    const { EventSourceArn: queueArn, FunctionName, ScalingConfig } = properties
    if (properties.Enabled) {
      services.eventSources.push({
        functionName: FunctionName.includes(':') ? functionOf(FunctionName) : FunctionName,
        queueArn,
        queueUrl: services.queueUrl(queueArn),
        batchSize: properties.BatchSize,
        windowSeconds: properties.MaximumBatchingWindowInSeconds,
        reportBatchItemFailures: properties.FunctionResponseTypes.length > 0,
        ...(ScalingConfig && { maximumConcurrency: ScalingConfig.MaximumConcurrency }),
      })
    }
    return { ref: context.physicalName }
  },
})
