import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ChangeMessageVisibilityCommand,
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ListQueuesCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Sqs, startSqs } from '../../../infra/local/sqs.ts'

const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
const region = 'eu-west-1'
let dataDir: string
let sqs: Sqs

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'insighta-sqs-'))
  sqs = await startSqs({ dataDir, region, credentials })
})

afterEach(async () => {
  await sqs.close()
  await rm(dataDir, { recursive: true, force: true })
})

async function restart(port = 0) {
  await sqs.close()
  sqs = await startSqs({ dataDir, region, port, credentials })
}

const receive = (arn: string, max = 10, waitSeconds = 0) => sqs.receive(arn, { max, waitSeconds })
const visibleAfter = (seconds: string) => ({ VisibilityTimeout: seconds })

describe('queues', () => {
  test('have an ARN of the region and a URL on 127.0.0.1', () => {
    expect(sqs.createQueue('import-slices')).toEqual({
      url: `http://127.0.0.1:${sqs.port}/000000000000/import-slices`,
      arn: 'arn:aws:sqs:eu-west-1:000000000000:import-slices',
    })
    expect(sqs.queues().map(({ name }) => name)).toEqual(['import-slices'])
  })

  test('that exist take the attributes of a changed template and keep their messages', () => {
    const { arn } = sqs.createQueue('slices', visibleAfter('10'))
    const dlq = sqs.createQueue('slices-dlq')
    sqs.sendMessage(arn, 'kept')
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: dlq.arn, maxReceiveCount: 3 })
    sqs.createQueue('slices', { ...visibleAfter('60'), RedrivePolicy })
    expect(sqs.inspect('slices')?.attributes).toMatchObject({ VisibilityTimeout: '60', RedrivePolicy })
    sqs.createQueue('slices', visibleAfter('60'))
    expect(sqs.inspect('slices')?.attributes).not.toHaveProperty('RedrivePolicy')
    expect(sqs.inspect('slices')?.ready).toHaveLength(1)
  })

  test('are looked into without receiving anything', async () => {
    const { arn } = sqs.createQueue('slices')
    sqs.sendMessage(arn, 'one')
    sqs.sendMessage(arn, 'two')
    await receive(arn, 1)
    expect(sqs.inspect('slices')).toMatchObject({
      ready: [{ body: 'two', receiveCount: 0 }],
      delayed: [],
      inFlight: [{ body: 'one', receiveCount: 1, visibleAt: expect.any(Number) }],
    })
    expect(sqs.inspect('nobody')).toBeUndefined()
  })
})

describe('messages', () => {
  test('wake a waiting receive, and an abort ends it empty', async () => {
    const { arn } = sqs.createQueue('slices')
    const waiting = receive(arn, 10, 20)
    sqs.sendMessage(arn, 'hello')
    expect((await waiting).map(({ body }) => body)).toEqual(['hello'])
    const controller = new AbortController()
    const aborted = sqs.receive(arn, { max: 1, waitSeconds: 20, signal: controller.signal })
    controller.abort()
    expect(await aborted).toEqual([])
  })

  test('come back at the end of their visibility timeout, also to a receive that waits already', async () => {
    const { arn } = sqs.createQueue('slices', visibleAfter('1'))
    sqs.sendMessage(arn, 'again')
    const [first] = await receive(arn)
    const [second] = await receive(arn, 10, 20)
    expect(second?.messageId).toBe(first?.messageId)
    expect(second?.attributes.ApproximateReceiveCount).toBe('2')
  })

  test('made visible at once come back to a receive that waits already', async () => {
    const { arn, url } = sqs.createQueue('slices', visibleAfter('600'))
    const client = new SQSClient({ endpoint: sqs.url, region, credentials, useQueueUrlAsEndpoint: false })
    sqs.sendMessage(arn, 'again')
    const [first] = await receive(arn)
    const waiting = receive(arn, 10, 20)
    await client.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl: url,
        ReceiptHandle: first?.receiptHandle,
        VisibilityTimeout: 0,
      }),
    )
    expect((await waiting).map(({ messageId }) => messageId)).toEqual([first?.messageId])
    client.destroy()
  })

  test('go to the dead-letter queue after maxReceiveCount receives', async () => {
    const dlq = sqs.createQueue('slices-dlq')
    const { arn } = sqs.createQueue('slices', {
      ...visibleAfter('0'),
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dlq.arn, maxReceiveCount: 2 }),
    })
    sqs.sendMessage(arn, 'poison')
    expect(await receive(arn)).toHaveLength(1)
    expect(await receive(arn)).toHaveLength(1)
    expect(await receive(arn)).toHaveLength(0)
    expect((await receive(dlq.arn)).map(({ body }) => body)).toEqual(['poison'])
  })

  test('may be of any Unicode text, and of up to 1 MiB', async () => {
    const { arn, url } = sqs.createQueue('slices')
    const client = new SQSClient({ endpoint: sqs.url, region, credentials, useQueueUrlAsEndpoint: false })
    await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'Zoë 🎉 漢字' }))
    await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'x'.repeat(1024 * 1024) }))
    expect((await receive(arn)).map(({ body }) => body.length)).toEqual([9, 1024 * 1024])
    await expect(
      client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'x'.repeat(1024 * 1024 + 1) })),
    ).rejects.toThrow('shorter than 1048576 bytes')
    await expect(
      client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'a\uFFFFb' })),
    ).rejects.toThrow('Invalid characters')
    expect(() => sqs.sendMessage(arn, 'x'.repeat(1024 * 1024 + 1))).toThrow('shorter than 1048576 bytes')
    client.destroy()
  })
})

describe('a restart', () => {
  test('keeps ready messages, those in flight until their deadline, and those made visible', async () => {
    const { arn, url } = sqs.createQueue('slices', visibleAfter('2'))
    for (const body of ['flying', 'returned', 'ready', 'deleted']) sqs.sendMessage(arn, body)
    const received = await receive(arn, 4)
    const handle = (body: string) => received.find((message) => message.body === body)?.receiptHandle
    sqs.deleteMessages(arn, [handle('deleted') ?? ''])
    const client = new SQSClient({ endpoint: sqs.url, region, credentials, useQueueUrlAsEndpoint: false })
    for (const body of ['returned', 'ready']) {
      const ReceiptHandle = handle(body)
      await client.send(
        new ChangeMessageVisibilityCommand({ QueueUrl: url, ReceiptHandle, VisibilityTimeout: 0 }),
      )
    }
    client.destroy()
    await restart()
    expect(sqs.queues()[0]?.url).toBe(`${sqs.url}/000000000000/slices`)
    expect(sqs.inspect('slices')?.inFlight.map(({ body }) => body)).toEqual(['flying'])
    const back = await receive(arn, 10)
    expect(back.map(({ body }) => body).sort()).toEqual(['ready', 'returned'])
    expect(back[0]?.attributes.ApproximateReceiveCount).toBe('2')
    const [flying] = await receive(arn, 1, 20)
    expect(flying).toMatchObject({ body: 'flying', attributes: { ApproximateReceiveCount: '2' } })
  })

  test('on the same port is a restart for its clients too', async () => {
    const { url } = sqs.createQueue('slices')
    await restart(sqs.port)
    const client = new SQSClient({ endpoint: sqs.url, region, credentials, useQueueUrlAsEndpoint: false })
    await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'still there' }))
    expect(sqs.inspect('slices')?.ready).toHaveLength(1)
    client.destroy()
  })
})

describe('over HTTP', () => {
  // With an endpoint, and with nothing but the URL of the queue.
  test.each([false, true])('the SDK works with useQueueUrlAsEndpoint %s', async (useQueueUrlAsEndpoint) => {
    const client = new SQSClient({ endpoint: sqs.url, region, credentials, useQueueUrlAsEndpoint })
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: 'webhooks' }))
    expect(QueueUrl).toBe(`${sqs.url}/000000000000/webhooks`)
    expect((await client.send(new ListQueuesCommand())).QueueUrls).toEqual([QueueUrl])
    await client.send(
      new SendMessageCommand({
        QueueUrl,
        MessageBody: 'one',
        MessageAttributes: { source: { DataType: 'String', StringValue: 'livekit' } },
      }),
    )
    const batch = await client.send(
      new SendMessageBatchCommand({ QueueUrl, Entries: [{ Id: 'a', MessageBody: 'two' }] }),
    )
    expect(batch.Successful).toHaveLength(1)
    const { Messages = [] } = await client.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ['All'],
        WaitTimeSeconds: 1,
      }),
    )
    expect(Messages.map(({ Body }) => Body)).toEqual(['one', 'two'])
    expect(Messages[0]?.MessageAttributes?.source?.StringValue).toBe('livekit')
    for (const { ReceiptHandle } of Messages) {
      await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }))
    }
    const { Attributes } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
    )
    expect(Attributes).toMatchObject({
      ApproximateNumberOfMessages: '0',
      ApproximateNumberOfMessagesNotVisible: '0',
    })
    client.destroy()
  })

  test('an unknown queue has the name of its error', async () => {
    const client = new SQSClient({ endpoint: sqs.url, region, credentials, useQueueUrlAsEndpoint: false })
    const QueueUrl = `${sqs.url}/000000000000/nobody`
    await expect(client.send(new ReceiveMessageCommand({ QueueUrl }))).rejects.toMatchObject({
      name: 'QueueDoesNotExist',
    })
    client.destroy()
  })

  test.each([
    ['GET', '/'],
    ['PUT', '/bucket/key'],
    ['GET', '/_fauxqs/queues'],
    ['POST', '/bucket/key'],
  ])('nothing but SQS is answered: %s %s is 404', async (method, path) => {
    const body = method === 'GET' ? {} : { body: 'Action=ListTopics' }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const response = await fetch(sqs.url + path, { method, headers, ...body })
    expect(response.status).toBe(404)
    await response.body?.cancel()
  })

  test('only 127.0.0.1 is listened on', async () => {
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
    for (const { address } of others) await expect(fetch(`http://${address}:${sqs.port}/`)).rejects.toThrow()
    const listening = await readFile('/proc/net/tcp', 'utf8').catch(() => '')
    const port = sqs.port.toString(16).toUpperCase().padStart(4, '0')
    const sockets = listening
      .split('\n')
      .filter((line) => new RegExp(`^ *\\d+: \\w+:${port} \\w+:0000 0A`).test(line))
    expect(sockets.every((line) => line.includes('0100007F:'))).toBe(true)
  })
})
