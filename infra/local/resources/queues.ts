import * as z from 'zod'
import { adapter, boolean, number } from './adapter.ts'

const queueProperties = z.object({
  QueueName: z.string().optional(),
  DelaySeconds: number.optional(),
  MaximumMessageSize: number.optional(),
  MessageRetentionPeriod: number.optional(),
  ReceiveMessageWaitTimeSeconds: number.optional(),
  VisibilityTimeout: number.optional(),
  FifoQueue: boolean.optional(),
  ContentBasedDeduplication: boolean.optional(),
  RedrivePolicy: z.strictObject({ deadLetterTargetArn: z.string(), maxReceiveCount: number }).optional(),
})

export const queue = adapter({
  honoured: queueProperties,
  withoutEffect: [
    'KmsMasterKeyId',
    'KmsDataKeyReusePeriodSeconds',
    'SqsManagedSseEnabled',
    'RedriveAllowPolicy',
  ],
  async create({ QueueName, ...properties }, context, services) {
    const name = QueueName ?? context.physicalName
    const attributes: Record<string, string> = {}
    for (const [key, value] of Object.entries(properties)) {
      if (value !== undefined)
        attributes[key] = typeof value === 'object' ? JSON.stringify(value) : String(value)
    }
    const { url, arn } = services.createQueue(name, attributes)
    return { ref: url, attributes: { Arn: arn, QueueName: name, QueueUrl: url } }
  },
})
