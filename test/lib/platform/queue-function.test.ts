import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SQSBatchResponse, SQSRecord } from 'aws-lambda'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Sqs, startSqs } from '../../../infra/local/sqs.ts'
import { UnavailableError } from '../../../lib/platform/errors.ts'
import {
  type QueueFunctionOptions,
  queueFunction,
  secondsAway,
} from '../../../lib/platform/queue-function.ts'
import { RetryLaterError } from '../../../lib/platform/retry.ts'
import { lambdaContext } from '../../support/http-event.ts'

let folder: string
let sqs: Sqs

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-queue-function-'))
  sqs = await startSqs({
    dataDir: folder,
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  })
  vi.stubEnv('AWS_ENDPOINT_URL_SQS', sqs.url)
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await sqs.close()
  await rm(folder, { recursive: true, force: true })
})

let queues = 0

/**
 * Delivers one message to a handler that fails by `error`; answers what goes back, and between how many seconds
 * of the handler's end and of its begin it is seen again: the wait itself lies between the two.
 */
async function deliver(
  error: unknown,
  options?: QueueFunctionOptions,
  change: (record: SQSRecord) => SQSRecord = (record) => record,
) {
  const name = `work-${++queues}`
  const { arn } = sqs.createQueue(name, { VisibilityTimeout: '40000' })
  sqs.sendMessage(arn, '{}')
  const [message] = await sqs.receive(arn, { max: 1, waitSeconds: 5 })
  const handler = queueFunction(async () => {
    if (error !== undefined) throw error
  }, options)
  const record = { ...message!, eventSourceARN: arn } as unknown as SQSRecord
  const begun = Date.now()
  const answer = (await handler({ Records: [change(record)] }, lambdaContext())) as SQSBatchResponse
  const ended = Date.now()
  const visibleAt = sqs.inspect(name)!.inFlight[0]!.visibleAt!
  return {
    failed: answer.batchItemFailures.length,
    most: (visibleAt - begun) / 1000,
    least: (visibleAt - ended) / 1000,
  }
}

/** The visibility timeout was left as it is. */
const untouched = { most: expect.toSatisfy((seconds: number) => seconds > 1000) }

const counted = (count: number) => (record: SQSRecord) => ({
  ...record,
  attributes: { ...record.attributes, ApproximateReceiveCount: String(count) },
})

test('a message that is to come later comes when its error says, whatever the queue has', async () => {
  const delivered = await deliver(new RetryLaterError('Generate assessment', 40, undefined))
  expect(delivered.failed).toBe(1)
  expect(delivered.most).toBeGreaterThanOrEqual(40)
  expect(delivered.least).toBeLessThanOrEqual(44)
})

test('other failures keep the visibility timeout of the queue where it does not ask for growth', async () => {
  expect(await deliver(new UnavailableError('down'))).toMatchObject({ failed: 1, ...untouched })
})

test('where the queue asks for it the wait grows with every delivery, whatever the failure', async () => {
  const backoff = { baseSeconds: 20, maxSeconds: 100 }
  const first = await deliver(new Error('a defect'), { backoff })
  expect(first.failed).toBe(1)
  expect(first.most).toBeGreaterThanOrEqual(10)
  expect(first.least).toBeLessThanOrEqual(20)
  const third = await deliver(new UnavailableError('down'), { backoff }, counted(3))
  expect(third.most).toBeGreaterThanOrEqual(40)
  expect(third.least).toBeLessThanOrEqual(80)
  const tenth = await deliver(new UnavailableError('down'), { backoff }, counted(10))
  expect(tenth.most).toBeGreaterThanOrEqual(50)
  expect(tenth.least).toBeLessThanOrEqual(100)
})

test('a message that was handled stays as it is', async () => {
  const backoff = { baseSeconds: 1, maxSeconds: 1 }
  expect(await deliver(undefined, { backoff })).toMatchObject({ failed: 0, ...untouched })
})

test('where its visibility cannot be changed a failed message goes back all the same', async () => {
  const error = new RetryLaterError('Generate assessment', 40, undefined)
  const delivered = await deliver(error, {}, (record) => ({ ...record, receiptHandle: 'old' }))
  expect(delivered).toMatchObject({ failed: 1, ...untouched })
})

test.each([
  { error: new Error(), count: 1, backoff: undefined, low: undefined, high: undefined },
  { error: new Error(), count: 1, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 5, high: 10 },
  { error: new Error(), count: 4, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 40, high: 80 },
  { error: new Error(), count: 2000, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 450, high: 900 },
  { error: later(30), count: 9, backoff: undefined, low: 30, high: 33 },
  { error: later(30), count: 1, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 30, high: 33 },
  { error: later(30), count: 5, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 80, high: 160 },
  { error: later(86_400), count: 1, backoff: undefined, low: 900, high: 900 },
  { error: later(86_400), count: 1, backoff: { baseSeconds: 1, maxSeconds: 4 }, low: 4, high: 4 },
])('$error.message at delivery $count waits from $low to $high s', ({ error, count, backoff, low, high }) => {
  expect(secondsAway(error, count, backoff, () => 0)).toBe(low)
  expect(secondsAway(error, count, backoff, () => 1)).toBe(high)
})

function later(seconds: number): RetryLaterError {
  return new RetryLaterError('Work', seconds, undefined)
}
