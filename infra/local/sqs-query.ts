import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { renderXml, type XmlContent } from './s3/xml.ts'
import { isSignatureRefusal } from './sigv4/refusal.ts'
import type { SignedBody } from './sigv4/signed-body.ts'
import { errorNames } from './sigv4/wire-errors.ts'

/** A call of SQS's JSON protocol; `queryError` is its header `x-amzn-query-error`. */
export type JsonCall = (
  action: string,
  body: object,
) => Promise<{ status: number; queryError: string | undefined; body: string }>

export type QueryOptions = {
  /** The queue that the path names, for clients that do not repeat it in the form. */
  queueUrl: string | undefined
  /** Rejects with a SignatureRefusal. */
  body(): Promise<SignedBody>
  call: JsonCall
}

type Json = { readonly [name: string]: unknown }

/** The parameters of a form by the dots in their names: `Attribute.1.Name`. */
type Parameter = { text: string; members: Map<string, Parameter> }

const namespace = 'http://queue.amazonaws.com/doc/2012-11-05/'
/** Of a request in either protocol: as much as fauxqs takes of JSON. A message of 1 MiB has up to 3 MiB in a form. */
export const maxBodyBytes = 11 * 1024 * 1024
// SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue has six.
const maxNameParts = 8

const integers = new Set([
  'DelaySeconds',
  'MaxNumberOfMessages',
  'MaxResults',
  'VisibilityTimeout',
  'WaitTimeSeconds',
])
const lists: Record<string, string> = {
  AttributeName: 'AttributeNames',
  MessageAttributeName: 'MessageAttributeNames',
  MessageSystemAttributeName: 'MessageSystemAttributeNames',
  TagKey: 'TagKeys',
}
type MapForm = { member: string; key: 'Name' | 'Key' }
const maps: Record<string, MapForm> = {
  Attribute: { member: 'Attributes', key: 'Name' },
  MessageAttribute: { member: 'MessageAttributes', key: 'Name' },
  MessageSystemAttribute: { member: 'MessageSystemAttributes', key: 'Name' },
  Tag: { member: 'Tags', key: 'Key' },
  // So botocore writes it for TagQueue, against the documentation.
  Tags: { member: 'Tags', key: 'Key' },
}
const withoutResult = new Set([
  'ChangeMessageVisibility',
  'DeleteMessage',
  'DeleteQueue',
  'PurgeQueue',
  'SetQueueAttributes',
  'TagQueue',
  'UntagQueue',
])
// The other codes are written without the prefix that the header x-amzn-query-error gives to all.
const prefixedCodes =
  /^AWS\.SimpleQueueService\.(BatchEntryIdsNotDistinct|BatchRequestTooLong|EmptyBatchRequest|InvalidBatchEntryId|MessageNotInflight|NonExistentQueue|PurgeQueueInProgress|QueueDeletedRecently|TooManyEntriesInBatchRequest|UnsupportedOperation)$/

class QueryError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.name = 'QueryError'
    this.status = status
    this.code = code
  }
}

/** Whether a request speaks this protocol, well or badly. */
export function isQueryRequest({ method, url = '/', headers }: IncomingMessage): boolean {
  const form = headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false
  return (method === 'POST' && form) || new URLSearchParams(url.split('?')[1]).has('Action')
}

/**
 * Answers a request of SQS's older query protocol: `Action=...` in a form, XML in return. SDKs and CLIs from before
 * November 2023 speak it, fauxqs does not: it is translated into a call of the JSON protocol. `queueUrl` is the queue
 * that the path names, for clients that do not repeat it in the form. Every error is an `ErrorResponse` document.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-making-api-requests.html
 */
export async function answerQuery(
  request: IncomingMessage,
  response: ServerResponse,
  { queueUrl, body: signedBody, call }: QueryOptions,
): Promise<void> {
  const requestId = randomUUID()
  const answer = (status: number, xml: string) => {
    response.writeHead(status, { 'content-type': 'text/xml', 'x-amzn-requestid': requestId })
    response.end(xml)
  }
  try {
    const form = await readForm(request, signedBody)
    const action = form.get('Action') ?? ''
    if (action === '') throw new QueryError(400, 'MissingAction', 'The request has no parameter Action')
    const body = requestBody(action, form)
    const result = await call(action, queueUrl === undefined ? body : { QueueUrl: queueUrl, ...body })
    const json = (result.body === '' ? {} : JSON.parse(result.body)) as Json
    if (result.status !== 200) throw callError(result.status, result.queryError, json)
    const content = {
      ...(withoutResult.has(action) ? {} : { [`${action}Result`]: elements(action, json) }),
      ResponseMetadata: { RequestId: requestId },
    }
    answer(200, renderXml(`${action}Response`, content, namespace))
  } catch (error) {
    const known = queryError(error)
    const { status, code, message } = known
    const content = {
      Error: { Type: status < 500 ? 'Sender' : 'Receiver', Code: code, Message: message, Detail: {} },
      RequestId: requestId,
    }
    answer(status, renderXml('ErrorResponse', content, namespace))
  }
}

function queryError(error: unknown): QueryError {
  if (error instanceof QueryError) return error
  if (!isSignatureRefusal(error)) return new QueryError(500, 'InternalFailure', String(error))
  const { queryCode } = errorNames(error)
  return new QueryError(queryCode === 'IncompleteSignature' ? 400 : 403, queryCode, error.message)
}

async function readForm(
  request: IncomingMessage,
  signedBody: QueryOptions['body'],
): Promise<URLSearchParams> {
  const { bytes, size } = await signedBody()
  if (request.method !== 'POST') {
    throw new QueryError(
      400,
      'AWS.SimpleQueueService.UnsupportedOperation',
      'The local cloud takes the query protocol by POST only',
    )
  }
  if (size > maxBodyBytes) {
    throw new QueryError(413, 'RequestEntityTooLarge', `The request is longer than ${maxBodyBytes} bytes`)
  }
  return new URLSearchParams(bytes.toString('utf8'))
}

function requestBody(action: string, form: URLSearchParams): Json {
  const root: Parameter = { text: '', members: new Map() }
  for (const [name, value] of form) {
    if (name === 'Action' || name === 'Version') continue
    const parts = name.split('.')
    if (parts.length > maxNameParts) {
      throw new QueryError(400, 'MalformedInput', `The parameter ${name.slice(0, 200)} is nested too deeply`)
    }
    let parameter = root
    for (const part of parts) {
      const next = parameter.members.get(part) ?? { text: '', members: new Map() }
      parameter.members.set(part, next)
      parameter = next
    }
    parameter.text = value
  }
  const body = jsonMembers(root)
  // The one member of the JSON protocol in lower case.
  return action === 'CreateQueue' && body.Tags !== undefined ? { ...body, tags: body.Tags } : body
}

function jsonMembers({ members }: Parameter): Json {
  const json: Record<string, unknown> = Object.create(null)
  for (const [name, parameter] of members) {
    const list = Object.hasOwn(lists, name) ? lists[name] : undefined
    const map = Object.hasOwn(maps, name) ? maps[name] : undefined
    if (list !== undefined) json[list] = items(parameter).map(({ text }) => text)
    else if (map !== undefined) json[map.member] = jsonMap(name, map, parameter)
    else if (name.endsWith('RequestEntry')) json.Entries = items(parameter).map(jsonMembers)
    else if (integers.has(name)) json[name] = integer(name, parameter.text)
    else json[name] = parameter.text
  }
  return json
}

/** `Name.1`, `Name.2` in this order. A bare `Name` is the only one, and none if it is empty. */
function items({ text, members }: Parameter): Parameter[] {
  if (members.size === 0) return text === '' ? [] : [{ text, members }]
  return [...members].sort(([left], [right]) => Number(left) - Number(right)).map(([, item]) => item)
}

function jsonMap(name: string, { key }: MapForm, parameter: Parameter): Json {
  const entries = parameter.members.has(key) ? [parameter] : items(parameter)
  const json: Record<string, unknown> = Object.create(null)
  for (const { members } of entries) {
    const value = members.get('Value')
    const given = members.get(key)?.text
    if (given === undefined || value === undefined) {
      throw new QueryError(400, 'MissingParameter', `Each ${name} needs its ${key} and its Value`)
    }
    json[given] = value.members.size === 0 ? value.text : jsonMembers(value)
  }
  return json
}

function integer(name: string, text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) {
    throw new QueryError(
      400,
      'InvalidParameterValue',
      `Value ${text} for parameter ${name} is invalid. Reason: Must be an integer.`,
    )
  }
  return Number(text)
}

function callError(status: number, queryError: string | undefined, json: Json): QueryError {
  const full = queryError?.split(';')[0] ?? String(json.__type ?? 'InternalFailure').replace(/^.*#/, '')
  const bare = full.replace('AWS.SimpleQueueService.', '')
  const code = prefixedCodes.test(full) ? full : bare.replace('QueueNameExists', 'QueueAlreadyExists')
  return new QueryError(status, code, String(json.message ?? bare))
}

/** A JSON answer as the elements of the query protocol: lists and maps become repeated elements. */
function elements(action: string, json: Json): XmlContent {
  const listElements: Record<string, string> = {
    QueueUrls: 'QueueUrl',
    Messages: 'Message',
    Successful: `${action}ResultEntry`,
    Failed: 'BatchResultErrorEntry',
  }
  const content: Record<string, XmlContent[string]> = {}
  for (const [name, value] of Object.entries(json)) {
    const map = Object.entries(maps).find(([, { member }]) => member === name)
    const nested = (item: unknown) =>
      typeof item === 'object' && item !== null ? elements(action, item as Json) : String(item)
    if (Array.isArray(value)) {
      content[listElements[name] ?? name] = value.map(nested)
    } else if (map !== undefined) {
      const [element, { key }] = map
      content[element] = Object.entries(value as Json).map(([item, inner]) => ({
        [key]: item,
        Value: nested(inner),
      }))
    } else {
      content[name] = nested(value)
    }
  }
  return content
}
