import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { childText, parseXml, type XmlElement } from '../../../infra/local/s3/xml.ts'
import { type Sqs, startSqs } from '../../../infra/local/sqs.ts'
import { signedHeaders } from '../../support/sigv4.ts'

const region = 'eu-west-1'
const keys = { accessKeyId: 'local', secretAccessKey: 'local' }
let dataDir: string
let sqs: Sqs
let url: string

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'insighta-sqs-'))
  sqs = await startSqs({ dataDir, region, credentials: keys })
  url = sqs.createQueue('webhooks').url
})
afterEach(async () => {
  await sqs.close()
  await rm(dataDir, { recursive: true, force: true })
})

type Form = Record<string, string>

async function post(form: Form | string, path = '/', signed = true) {
  const body =
    typeof form === 'string' ? form : String(new URLSearchParams({ Version: '2012-11-05', ...form }))
  const plain = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }
  const request = { method: 'POST', url: sqs.url + path, headers: plain, body }
  const headers = signed ? signedHeaders({ ...request, keys, region, service: 'sqs' }).headers : plain
  const response = await fetch(request.url, { method: 'POST', headers, body })
  expect(response.headers.get('content-type')).toBe('text/xml')
  return { status: response.status, root: parseXml(await response.text()) }
}

/** The result of an action: the texts of its elements by name, those of repeated ones in order. */
async function call(Action: string, form: Form = {}, path = '/'): Promise<XmlElement> {
  const { status, root } = await post({ Action, ...form }, path)
  expect([status, root.name]).toEqual([200, `${Action}Response`])
  const metadata = root.children.find(({ name }) => name === 'ResponseMetadata')
  expect(metadata && childText(metadata, 'RequestId')).toMatch(/^[\w-]{36}$/)
  return root.children.find(({ name }) => name === `${Action}Result`) ?? root
}

async function refused(answer: ReturnType<typeof post>) {
  const { status, root } = await answer
  expect(root.name).toBe('ErrorResponse')
  const error = root.children.find(({ name }) => name === 'Error')!
  return { status, type: childText(error, 'Type'), code: childText(error, 'Code') }
}

const every = (element: XmlElement, name: string) => element.children.filter((child) => child.name === name)
const named = (element: XmlElement, name: string, key = 'Name') =>
  Object.fromEntries(every(element, name).map((item) => [childText(item, key), childText(item, 'Value')]))

describe('the query protocol of SQS', () => {
  test('makes, finds, lists and deletes queues, with attributes and tags', async () => {
    const made = await call('CreateQueue', {
      QueueName: 'exports',
      'Attribute.1.Name': 'VisibilityTimeout',
      'Attribute.1.Value': '60',
      'Attribute.2.Name': 'DelaySeconds',
      'Attribute.2.Value': '0',
      'Tag.1.Key': 'team',
      'Tag.1.Value': 'data & <b>',
    })
    const QueueUrl = childText(made, 'QueueUrl') ?? ''
    expect(QueueUrl).toBe(`${sqs.url}/000000000000/exports`)
    expect(sqs.inspect('exports')?.attributes.QueueArn).toBe('arn:aws:sqs:eu-west-1:000000000000:exports')
    const listed = await call('ListQueues')
    expect(every(listed, 'QueueUrl').map(({ text }) => text)).toEqual([QueueUrl, url])
    expect(childText(await call('GetQueueUrl', { QueueName: 'exports' }), 'QueueUrl')).toBe(QueueUrl)
    await call('SetQueueAttributes', {
      QueueUrl,
      'Attribute.1.Name': 'VisibilityTimeout',
      'Attribute.1.Value': '90',
    })
    const attributes = await call('GetQueueAttributes', {
      QueueUrl,
      'AttributeName.1': 'VisibilityTimeout',
      'AttributeName.2': 'DelaySeconds',
    })
    expect(named(attributes, 'Attribute')).toEqual({ VisibilityTimeout: '90', DelaySeconds: '0' })
    // As botocore writes them, and as the documentation does.
    await call('TagQueue', { QueueUrl, 'Tags.1.Key': 'a', 'Tags.1.Value': '1' })
    await call('TagQueue', { QueueUrl, 'Tag.1.Key': 'b', 'Tag.1.Value': '2' })
    await call('UntagQueue', { QueueUrl, 'TagKey.1': 'a' })
    expect(named(await call('ListQueueTags', { QueueUrl }), 'Tag', 'Key')).toEqual({
      team: 'data & <b>',
      b: '2',
    })
    expect((await call('DeleteQueue', { QueueUrl })).name).toBe('DeleteQueueResponse')
    expect(sqs.inspect('exports')).toBeUndefined()
  })

  test('carries a message with its attributes out and in', async () => {
    const body = 'Größe\r\n\t"quotes" & <b> 🎉'
    const sent = await call('SendMessage', {
      QueueUrl: url,
      MessageBody: body,
      DelaySeconds: '0',
      'MessageAttribute.1.Name': 'source',
      'MessageAttribute.1.Value.DataType': 'String',
      'MessageAttribute.1.Value.StringValue': 'livekit',
      'MessageAttribute.2.Name': 'bytes',
      'MessageAttribute.2.Value.DataType': 'Binary',
      'MessageAttribute.2.Value.BinaryValue': 'AAEC',
    })
    const received = await call('ReceiveMessage', {
      QueueUrl: url,
      MaxNumberOfMessages: '10',
      WaitTimeSeconds: '1',
      'AttributeName.1': 'ApproximateReceiveCount',
      'MessageAttributeName.1': 'All',
    })
    const [message] = every(received, 'Message')
    expect(childText(message!, 'Body')).toBe(body)
    expect(childText(message!, 'MessageId')).toBe(childText(sent, 'MessageId'))
    expect(childText(message!, 'MD5OfBody')).toBe(childText(sent, 'MD5OfMessageBody'))
    expect(named(message!, 'Attribute')).toEqual({ ApproximateReceiveCount: '1' })
    const values = every(message!, 'MessageAttribute').map(({ children }) => children[1]!)
    expect(values.map((value) => [childText(value, 'DataType'), value.children[1]?.text])).toEqual([
      ['String', 'livekit'],
      ['Binary', 'AAEC'],
    ])
    const ReceiptHandle = childText(message!, 'ReceiptHandle') ?? ''
    await call('ChangeMessageVisibility', { QueueUrl: url, ReceiptHandle, VisibilityTimeout: '600' })
    await call('DeleteMessage', { QueueUrl: url, ReceiptHandle })
    expect(sqs.inspect('webhooks')).toMatchObject({ ready: [], inFlight: [] })
    expect(every(await call('ReceiveMessage', { QueueUrl: url }), 'Message')).toEqual([])
  })

  test('sends, postpones and deletes batches, and names the entries that fail', async () => {
    const entries: Form = { QueueUrl: url }
    for (let number = 1; number <= 10; number += 1) {
      entries[`SendMessageBatchRequestEntry.${number}.Id`] = `id-${number}`
      entries[`SendMessageBatchRequestEntry.${number}.MessageBody`] =
        number === 3 ? '\u0001' : `body ${number}`
      entries[`SendMessageBatchRequestEntry.${number}.MessageAttribute.1.Name`] = 'n'
      entries[`SendMessageBatchRequestEntry.${number}.MessageAttribute.1.Value.DataType`] = 'Number'
      entries[`SendMessageBatchRequestEntry.${number}.MessageAttribute.1.Value.StringValue`] = `${number}`
    }
    const sent = await call('SendMessageBatch', entries)
    expect(every(sent, 'SendMessageBatchResultEntry')).toHaveLength(9)
    const failed = every(sent, 'BatchResultErrorEntry').map((entry) => [
      childText(entry, 'Id'),
      childText(entry, 'SenderFault'),
      childText(entry, 'Code'),
    ])
    expect(failed).toEqual([['id-3', 'true', 'InvalidMessageContents']])
    // In the order of their numbers, of which the tenth comes last.
    expect(sqs.inspect('webhooks')?.ready.map(({ body }) => body)).toEqual(
      [1, 2, 4, 5, 6, 7, 8, 9, 10].map((number) => `body ${number}`),
    )
    const received = await call('ReceiveMessage', { QueueUrl: url, MaxNumberOfMessages: '2' })
    const handles = every(received, 'Message').map((message) => childText(message, 'ReceiptHandle') ?? '')
    const batch = (entry: string, more: Form = {}) => ({
      QueueUrl: url,
      ...Object.fromEntries(
        handles.flatMap((handle, index) => [
          [`${entry}.${index + 1}.Id`, `id-${index}`],
          [`${entry}.${index + 1}.ReceiptHandle`, handle],
          ...Object.entries(more).map(([name, value]) => [`${entry}.${index + 1}.${name}`, value]),
        ]),
      ),
    })
    const changed = await call(
      'ChangeMessageVisibilityBatch',
      batch('ChangeMessageVisibilityBatchRequestEntry', { VisibilityTimeout: '600' }),
    )
    expect(every(changed, 'ChangeMessageVisibilityBatchResultEntry')).toHaveLength(2)
    const deleted = await call('DeleteMessageBatch', batch('DeleteMessageBatchRequestEntry'))
    expect(every(deleted, 'DeleteMessageBatchResultEntry')).toHaveLength(2)
    await call('PurgeQueue', { QueueUrl: url })
    expect(sqs.inspect('webhooks')?.ready).toEqual([])
  })

  test('takes the queue from the path, and names without numbers, as boto 2 writes them', async () => {
    const path = '/000000000000/webhooks'
    await call('SendMessage', { MessageBody: 'by path' }, path)
    expect(sqs.inspect('webhooks')?.ready.map(({ body }) => body)).toEqual(['by path'])
    await call('SetQueueAttributes', { 'Attribute.Name': 'VisibilityTimeout', 'Attribute.Value': '7' }, path)
    const attributes = await call('GetQueueAttributes', { AttributeName: 'VisibilityTimeout' }, path)
    expect(named(attributes, 'Attribute')).toEqual({ VisibilityTimeout: '7' })
  })

  test.each<[string, Form, number, string]>([
    ['no action', {}, 400, 'MissingAction'],
    ['an action of another service', { Action: 'ListTopics' }, 400, 'InvalidAction'],
    ['no queue', { Action: 'PurgeQueue' }, 400, 'InvalidParameterValue'],
    [
      'an unknown queue',
      { Action: 'ReceiveMessage', QueueUrl: 'http://127.0.0.1/000000000000/nobody' },
      400,
      'AWS.SimpleQueueService.NonExistentQueue',
    ],
    [
      'a number that is none',
      { Action: 'ReceiveMessage', MaxNumberOfMessages: 'ten' },
      400,
      'InvalidParameterValue',
    ],
    [
      'a name without its value',
      { Action: 'SetQueueAttributes', 'Attribute.1.Name': 'DelaySeconds' },
      400,
      'MissingParameter',
    ],
    [
      'names nested without end',
      { Action: 'SendMessage', [Array.from({ length: 50_000 }, () => 'a').join('.')]: 'x' },
      400,
      'MalformedInput',
    ],
    [
      'the name of a prototype',
      { Action: 'SendMessage', 'MessageAttribute.1.Name': '__proto__', '__proto__.polluted': 'x' },
      400,
      'MissingParameter',
    ],
  ])('refuses %s in its own form of an error', async (_what, form, status, code) => {
    expect(await refused(post(form))).toEqual({ status, type: 'Sender', code })
    expect({}).not.toHaveProperty('polluted')
  })

  test('refuses a queue that exists otherwise, and an empty batch, with the codes of this protocol', async () => {
    const other = { 'Attribute.1.Name': 'VisibilityTimeout', 'Attribute.1.Value': '5' }
    expect(await refused(post({ Action: 'CreateQueue', QueueName: 'webhooks', ...other }))).toMatchObject({
      code: 'QueueAlreadyExists',
    })
    expect(await refused(post({ Action: 'SendMessageBatch', QueueUrl: url }))).toMatchObject({
      code: 'AWS.SimpleQueueService.EmptyBatchRequest',
    })
  })

  test('refuses a form that any page of a browser could send, and does nothing for it', async () => {
    sqs.sendMessage('arn:aws:sqs:eu-west-1:000000000000:webhooks', 'kept')
    const purge = { Action: 'PurgeQueue', QueueUrl: url }
    expect(await refused(post(purge, '/', false))).toEqual({
      status: 403,
      type: 'Sender',
      code: 'MissingAuthenticationToken',
    })
    const query = { method: 'GET', url: `${sqs.url}/?${new URLSearchParams(purge)}` }
    const { headers } = signedHeaders({ ...query, keys, region, service: 'sqs' })
    const response = await fetch(query.url, { headers })
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining('<Code>AWS.SimpleQueueService.UnsupportedOperation</Code>'),
    ])
    expect(sqs.inspect('webhooks')?.ready).toHaveLength(1)
  })

  test('takes a message of 1 MiB, every byte of it escaped, and refuses a form over 11 MiB', async () => {
    const MessageBody = '&'.repeat(1024 * 1024)
    await call('SendMessage', { QueueUrl: url, MessageBody })
    expect(sqs.inspect('webhooks')?.ready[0]?.body.length).toBe(MessageBody.length)
    expect(await refused(post(`Action=SendMessage&MessageBody=${'x'.repeat(12_000_000)}`))).toMatchObject({
      status: 413,
      code: 'RequestEntityTooLarge',
    })
  })
})
