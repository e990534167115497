import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type EventSource,
  type EventSourceMapping,
  failedItems,
  startEventSource,
} from '../../../infra/local/event-source.ts'
import type { LambdaOptions } from '../../../infra/local/lambda/functions.ts'
import { createMetrics } from '../../../infra/local/metrics.ts'
import { type Sqs, startSqs } from '../../../infra/local/sqs.ts'
import { startTestLambda, until } from './lambda/handlers.ts'

describe('an answer with ReportBatchItemFailures', () => {
  const none: string[] = []
  const all = ['a', 'b']
  test.each([
    ['null', none],
    ['{}', none],
    ['{"batchItemFailures":null}', none],
    ['{"batchItemFailures":[]}', none],
    ['{"batchItemFailures":[{"itemIdentifier":"b"}]}', ['b']],
    ['{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"b"}]}', ['b']],
    ['{"batchItemFailures":[{"itemIdentifier":""}]}', all],
    ['{"batchItemFailures":[{"itemIdentifier":null}]}', all],
    ['{"batchItemFailures":[{"itemIdentifier":"b"},{"itemIdentifier":"unknown"}]}', all],
    ['{"batchItemFailures":[{"id":"b"}]}', all],
    ['{"batchItemFailures":[null]}', all],
    ['{"batchItemFailures":"b"}', all],
    ['"text"', all],
    ['["b"]', all],
    ['7', all],
    ['not json', all],
  ])('%s leaves %j', (payload, left) => {
    expect([...failedItems(payload, all)]).toEqual(left)
  })
})

type Cloud = Awaited<ReturnType<typeof startCloud>>
let cloud: Cloud | undefined
let source: EventSource | undefined

afterEach(async () => {
  await source?.close()
  await cloud?.sqs.close()
  await cloud?.close()
  cloud = source = undefined
})

async function startCloud(
  handler: string,
  queueAttributes: Record<string, string>,
  options: Partial<LambdaOptions>,
) {
  const functions = await startTestLambda(options)
  const sqs: Sqs = await startSqs({
    dataDir: join(functions.dir, 'sqs'),
    region: 'eu-west-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  })
  const queue = sqs.createQueue('work', queueAttributes)
  // Every record that a handler sees is written to a file named for the invocation.
  await functions.define(
    'worker',
    `import { appendFileSync, existsSync, readFileSync } from 'node:fs'
     const dir = ${JSON.stringify(functions.dir)}
     const wait = () => new Promise((resolve) => setTimeout(resolve, 5))
     ${handler}
     export const handler = async (event, context) => {
       appendFileSync(dir + '/events', JSON.stringify(event) + '\\n')
       return run(event.Records, context)
     }`,
  )
  return { ...functions, sqs, queue }
}

type SqsEvent = { Records: { messageId: string; body: string; attributes: Record<string, string> }[] }

async function start(
  handler: string,
  mapping: Partial<EventSourceMapping> = {},
  {
    attributes = {},
    lambda = {},
  }: { attributes?: Record<string, string>; lambda?: Partial<LambdaOptions> } = {},
) {
  const started = await startCloud(handler, attributes, lambda)
  cloud = started
  const { sqs, queue, dir } = started
  const log: string[] = []
  return {
    ...started,
    log,
    poll() {
      source = startEventSource({
        sqs,
        lambda: started.lambda,
        log: (message) => log.push(message),
        mapping: {
          functionName: 'worker',
          queueArn: queue.arn,
          queueUrl: queue.url,
          batchSize: 10,
          windowSeconds: 0,
          reportBatchItemFailures: false,
          ...mapping,
        },
      })
    },
    send: (...bodies: string[]) => bodies.map((body) => sqs.sendMessage(queue.arn, body).messageId),
    async events(): Promise<SqsEvent[]> {
      const text = await readFile(join(dir, 'events'), 'utf8').catch(() => '')
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    },
    isEmpty: () => {
      const found = sqs.inspect('work')
      return found !== undefined && found.ready.length + found.delayed.length + found.inFlight.length === 0
    },
  }
}

describe('an event source mapping', () => {
  test('invokes with the records as SQS has them, and deletes them on success', async () => {
    const { poll, send, events, isEmpty, queue } = await start('const run = async () => {}')
    const ids = send('one', 'two 🎉')
    poll()
    await until(isEmpty)
    expect(await events()).toEqual([
      {
        Records: ['one', 'two 🎉'].map((body, i) => ({
          messageId: ids[i],
          receiptHandle: expect.any(String),
          body,
          attributes: {
            ApproximateReceiveCount: '1',
            SentTimestamp: expect.stringMatching(/^\d{13}$/),
            SenderId: '000000000000',
            ApproximateFirstReceiveTimestamp: expect.stringMatching(/^\d{13}$/),
          },
          messageAttributes: {},
          md5OfBody: expect.stringMatching(/^[0-9a-f]{32}$/),
          eventSource: 'aws:sqs',
          eventSourceARN: queue.arn,
          awsRegion: 'eu-west-1',
        })),
      },
    ])
  })

  test('wakes for a message that comes later', async () => {
    const { poll, send, isEmpty, events } = await start('const run = async () => {}')
    poll()
    send('first')
    await until(isEmpty)
    send('second')
    await until(async () => (await events()).length === 2)
  })

  test('deletes nothing of a failed batch: all of it comes back after the visibility timeout, not before', async () => {
    const { poll, send, events, isEmpty, sqs } = await start(
      `let runs = 0
       const run = async () => { if (++runs === 1) throw new Error('no database') }`,
      {},
      { attributes: { VisibilityTimeout: '1' } },
    )
    const sent = Date.now()
    send('one', 'two')
    poll()
    await until(async () => (await events()).length === 1 && sqs.inspect('work')?.inFlight.length === 2)
    await until(isEmpty)
    const [first, ...again] = (await events()).map(({ Records }) =>
      Records.map(({ body, attributes }) => [body, attributes.ApproximateReceiveCount]),
    )
    expect(first).toEqual([
      ['one', '1'],
      ['two', '1'],
    ])
    // Their timeouts may end a moment apart: SQS does not keep a batch together.
    expect(again.flat().sort()).toEqual([
      ['one', '2'],
      ['two', '2'],
    ])
    expect(Date.now() - sent).toBeGreaterThanOrEqual(1000)
  })

  test('with ReportBatchItemFailures keeps just the failed messages', async () => {
    const { poll, send, isEmpty, events } = await start(
      `const run = async (records) => ({
         batchItemFailures: records
           .filter(({ body, attributes }) => body === 'bad' && attributes.ApproximateReceiveCount === '1')
           .map(({ messageId }) => ({ itemIdentifier: messageId })) })`,
      { reportBatchItemFailures: true },
      { attributes: { VisibilityTimeout: '1' } },
    )
    send('good', 'bad', 'good')
    poll()
    await until(isEmpty)
    expect((await events()).map(({ Records }) => Records.map(({ body }) => body))).toEqual([
      ['good', 'bad', 'good'],
      ['bad'],
    ])
  })

  test('without ReportBatchItemFailures the answer means nothing', async () => {
    const { poll, send, isEmpty, events } = await start(
      `const run = async (records) => ({ batchItemFailures: [{ itemIdentifier: records[0].messageId }] })`,
    )
    send('one')
    poll()
    await until(isEmpty)
    expect(await events()).toHaveLength(1)
  })

  test('sends a message that always fails to the dead-letter queue after maxReceiveCount tries', async () => {
    const { poll, send, events, sqs, isEmpty } = await start(
      `const run = async () => { throw new Error('poison') }`,
      {},
      { attributes: { VisibilityTimeout: '1' } },
    )
    const dlq = sqs.createQueue('work-dlq')
    sqs.createQueue('work', {
      VisibilityTimeout: '1',
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dlq.arn, maxReceiveCount: 2 }),
    })
    const [id] = send('poison')
    poll()
    await until(() => sqs.inspect('work-dlq')?.ready.length === 1)
    expect(sqs.inspect('work-dlq')?.ready[0]).toMatchObject({ messageId: id, body: 'poison' })
    expect(await events()).toHaveLength(2)
    expect(isEmpty()).toBe(true)
  })

  test('gathers more than ten messages while the window is open, and ends it when the batch is full', async () => {
    const { poll, send, events, isEmpty } = await start('const run = async () => {}', {
      batchSize: 25,
      windowSeconds: 300,
    })
    send(...Array.from({ length: 50 }, (_, i) => String(i)))
    poll()
    await until(isEmpty)
    expect((await events()).map(({ Records }) => Records.length).sort()).toEqual([25, 25])
  })

  test('sends what there is when the window ends', async () => {
    const { poll, send, events, isEmpty } = await start('const run = async () => {}', {
      batchSize: 100,
      windowSeconds: 1,
    })
    send(...Array.from({ length: 15 }, (_, i) => String(i)))
    poll()
    await until(isEmpty)
    expect((await events()).map(({ Records }) => Records.length)).toEqual([15])
  })

  test('keeps a batch under 6 MiB: what does not fit is in the next one', async () => {
    const { poll, send, events, isEmpty } = await start('const run = async () => {}', {
      maximumConcurrency: 1,
    })
    send(...Array.from({ length: 8 }, () => 'x'.repeat(1024 * 1024)))
    poll()
    await until(isEmpty)
    expect((await events()).map(({ Records }) => Records.length)).toEqual([5, 3])
  })

  test('runs no more than maximumConcurrency invocations at once', async () => {
    const { poll, send, events, isEmpty, dir, sqs } = await start(
      `const run = async () => { while (!existsSync(dir + '/release')) await wait() }`,
      { batchSize: 1, maximumConcurrency: 2 },
    )
    send('1', '2', '3', '4')
    poll()
    await until(async () => (await events()).length === 2)
    // The others have not even been received, so their visibility timeout does not run.
    expect(sqs.inspect('work')).toMatchObject({ ready: [{}, {}], inFlight: [{}, {}] })
    await writeFile(join(dir, 'release'), '')
    await until(isEmpty)
    expect(await events()).toHaveLength(4)
  })

  test('tries again when Lambda throttles, with the same messages', async () => {
    const metrics = createMetrics()
    const throttles = () =>
      metrics.query({
        namespace: 'AWS/Lambda',
        metric: 'Throttles',
        dimensions: { FunctionName: 'worker' },
        statistic: 'Sum',
      })
    const { poll, send, events, isEmpty, dir, lambda, define } = await start(
      'const run = async () => {}',
      {},
      { lambda: { maxConcurrency: 1, metrics } },
    )
    await define(
      'holder',
      `import { existsSync, writeFileSync } from 'node:fs'
       const dir = ${JSON.stringify(dir)}
       export const handler = async () => {
         writeFileSync(dir + '/held', '')
         while (!existsSync(dir + '/release')) await new Promise((resolve) => setTimeout(resolve, 5))
       }`,
    )
    const held = lambda.invoke('holder', '{}')
    await until(() => existsSync(join(dir, 'held')))
    send('one')
    poll()
    await until(() => throttles().length > 0)
    await writeFile(join(dir, 'release'), '')
    await held
    await until(isEmpty)
    expect((await events()).map(({ Records }) => Records[0]?.attributes.ApproximateReceiveCount)).toEqual([
      '1',
    ])
  })

  test('close lets a running invocation end, and nothing is polled after it', async () => {
    const { poll, send, isEmpty, dir, sqs, events } = await start(
      `const run = async () => { while (!existsSync(dir + '/release')) await wait() }`,
    )
    send('one')
    poll()
    await until(async () => (await events()).length === 1)
    const closed = source?.close()
    await writeFile(join(dir, 'release'), '')
    await closed
    expect(isEmpty()).toBe(true)
    send('two')
    expect(sqs.inspect('work')?.ready).toHaveLength(1)
  })

  test('close gives up on an invocation that does not end, and leaves its messages in the queue', async () => {
    const { send, sqs, queue, lambda, events } = await start(
      `const run = async () => new Promise((resolve) => setTimeout(resolve, 15_000))`,
    )
    send('one')
    const stubborn = startEventSource({
      sqs,
      lambda,
      closeWithinMs: 50,
      mapping: {
        functionName: 'worker',
        queueArn: queue.arn,
        queueUrl: queue.url,
        batchSize: 1,
        windowSeconds: 0,
        reportBatchItemFailures: true,
      },
    })
    await until(async () => (await events()).length === 1)
    await stubborn.close()
    expect(sqs.inspect('work')?.inFlight).toHaveLength(1)
  })
})
