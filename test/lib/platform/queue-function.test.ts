import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SQSBatchResponse, SQSRecord } from 'aws-lambda'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Sqs, startSqs } from '../../../infra/local/sqs.ts'
import { UnavailableError } from '../../../lib/platform/errors.ts'
import { logger } from '../../../lib/platform/log.ts'
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

describe('a queue whose workers say that they live', () => {
  const pulse = { beat: 0.02, lease: 60, visibility: 85, grace: 25 }
  const backoff = { baseSeconds: 20, maxSeconds: 100 }

  /** Delivers a batch to `handle`, which is given how many seconds each message is hidden for yet. */
  async function deliverBatch(
    size: number,
    handle: (body: number, hidden: () => number[]) => Promise<void>,
    options: QueueFunctionOptions = { backoff, pulse },
  ) {
    const name = `work-${++queues}`
    const { arn } = sqs.createQueue(name, { VisibilityTimeout: '40000' })
    for (let body = 0; body < size; body++) sqs.sendMessage(arn, String(body))
    const records: SQSRecord[] = []
    while (records.length < size) {
      const some = await sqs.receive(arn, { max: 10, waitSeconds: 5 })
      records.push(...some.map((message) => ({ ...message, eventSourceARN: arn }) as unknown as SQSRecord))
    }
    records.sort((one, other) => Number(one.body) - Number(other.body))
    const hidden = () =>
      records.map(({ messageId }) => {
        const message = sqs.inspect(name)!.inFlight.find((each) => each.messageId === messageId)
        return (message!.visibleAt! - Date.now()) / 1000
      })
    const handler = queueFunction((body) => handle(body as number, hidden), options)
    const answer = (await handler({ Records: records }, lambdaContext())) as SQSBatchResponse
    return { failed: answer.batchItemFailures.length, hidden: hidden() }
  }

  const shortly = expect.toSatisfy((seconds: number) => seconds > 60 && seconds <= 85)
  const long = expect.toSatisfy((seconds: number) => seconds > 1000)

  test('hides a message no longer than a dead worker may keep it, from the beginning', async () => {
    await deliverBatch(1, async (_, hidden) => {
      await vi.waitFor(() => expect(hidden()).toEqual([shortly]))
    })
  })

  test('goes on hiding it for as long as its worker lives', async () => {
    await deliverBatch(1, async (_, hidden) => {
      await vi.waitFor(() => expect(hidden()).toEqual([shortly]))
      const first = Date.now() + hidden()[0]! * 1000
      await vi.waitFor(() => expect(Date.now() + hidden()[0]! * 1000).toBeGreaterThan(first + 40))
    })
  })

  test('leaves the wait of a message that failed as it is, and hides the rest of its batch', async () => {
    const waits: number[] = []
    const { failed, hidden } = await deliverBatch(12, async (body, seconds) => {
      await vi.waitFor(() => expect(seconds().slice(body)).toEqual(Array(12 - body).fill(shortly)))
      waits.push(...seconds().slice(0, Math.min(body, 1)))
      if (body === 0) throw new UnavailableError('down')
    })
    expect(failed).toBe(1)
    expect(waits.length).toBeGreaterThan(5)
    for (const wait of [...waits, hidden[0]!]) expect(wait).toBeLessThanOrEqual(20)
  })

  test('brings a message back exactly when the lease that it met ends', async () => {
    const held = new RetryLaterError('Work that another worker holds', 42, undefined, { exact: true })
    const { hidden } = await deliverBatch(1, () => Promise.reject(held))
    expect(hidden[0]).toBeGreaterThan(30)
    expect(hidden[0]).toBeLessThanOrEqual(42)
  })

  test('does its work also while SQS hides nothing', async () => {
    const warn = vi.spyOn(logger, 'warn').mockImplementation(() => {})
    let done = 0
    const name = `work-${++queues}`
    const { arn } = sqs.createQueue(name, { VisibilityTimeout: '40000' })
    sqs.sendMessage(arn, '{}')
    const [message] = await sqs.receive(arn, { max: 1, waitSeconds: 5 })
    const handler = queueFunction(
      async () => {
        await vi.waitFor(() =>
          expect(warn).toHaveBeenCalledWith('Hiding messages at work failed', expect.anything()),
        )
        done++
      },
      { backoff, pulse },
    )
    const record = { ...message!, eventSourceARN: arn, receiptHandle: 'old' } as unknown as SQSRecord
    const answer = (await handler({ Records: [record] }, lambdaContext())) as SQSBatchResponse
    expect([done, answer.batchItemFailures.length]).toEqual([1, 0])
    warn.mockRestore()
  })

  test('keeps the visibility timeout of its queue if it is not asked for', async () => {
    await deliverBatch(1, async (_, hidden) => expect(hidden()).toEqual([long]), { backoff })
  })
})

test.each([
  { error: new Error(), count: 1, backoff: undefined, low: undefined, high: undefined },
  { error: new Error(), count: 1, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 5, high: 10 },
  { error: new Error(), count: 4, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 40, high: 80 },
  { error: new Error(), count: 2000, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 450, high: 900 },
  { error: later(30), count: 9, backoff: undefined, low: 30, high: 33 },
  { error: later(30), count: 1, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 30, high: 33 },
  { error: later(30), count: 5, backoff: { baseSeconds: 10, maxSeconds: 900 }, low: 80, high: 160 },
  { error: later(30, true), count: 5, backoff: { baseSeconds: 10, maxSeconds: 20 }, low: 30, high: 30 },
  { error: later(86_400, true), count: 1, backoff: undefined, low: 900, high: 900 },
  { error: later(86_400), count: 1, backoff: undefined, low: 900, high: 900 },
  { error: later(86_400), count: 1, backoff: { baseSeconds: 1, maxSeconds: 4 }, low: 4, high: 4 },
])('$error.message at delivery $count waits from $low to $high s', ({ error, count, backoff, low, high }) => {
  expect(secondsAway(error, count, backoff, () => 0)).toBe(low)
  expect(secondsAway(error, count, backoff, () => 1)).toBe(high)
})

function later(seconds: number, exact = false): RetryLaterError {
  return new RetryLaterError('Work', seconds, undefined, { exact })
}
