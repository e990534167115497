import { type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type GatewayAnswer, startGateway } from '../../../infra/local/gateway.ts'
import { accessLogLine, type HttpApi, tokenBucket } from '../../../infra/local/http-api.ts'
import { routeTable } from '../../../infra/local/http-routes.ts'
import { LambdaError } from '../../../infra/local/lambda/errors.ts'
import type { InvokeResult } from '../../../infra/local/lambda/functions.ts'

type Event = Record<string, unknown> & {
  requestContext: Record<string, unknown>
  headers: Record<string, string>
}

let api: HttpApi
let events: Event[]
let answers: GatewayAnswer[]
let answer: (name: string, signal: AbortSignal) => Promise<InvokeResult>
let gateway: Awaited<ReturnType<typeof startGateway>> | undefined

const ok = (value: unknown): Promise<InvokeResult> => Promise.resolve({ payload: JSON.stringify(value) })

beforeEach(() => {
  api = {
    apiId: 'shop',
    name: 'shop',
    stage: '$default',
    routes: [
      { routeKey: 'GET /items/{id}', functionName: 'items' },
      { routeKey: 'POST /items', functionName: 'items' },
      { routeKey: '$default', functionName: 'rest' },
    ],
    routeThrottles: new Map(),
  }
  events = []
  answers = []
  answer = () => ok({ statusCode: 200, body: 'fine' })
})
afterEach(async () => {
  await gateway?.close()
  gateway = undefined
})

async function url(path: string): Promise<string> {
  gateway ??= await startGateway({
    api,
    accountId: '000000000000',
    port: 0,
    integrationTimeoutMs: 200,
    log: () => {},
    onAnswer: (one) => answers.push(one),
    invoke(name, payload, { signal }) {
      events.push(JSON.parse(payload))
      return answer(name, signal)
    },
  })
  return gateway.url + path
}

type Sent = { status: number; headers: IncomingHttpHeaders; body: string }

/** fetch would join, drop or refuse some of the headers below. */
async function send(
  path: string,
  options: { method?: string; headers?: string[]; body?: Buffer } = {},
): Promise<Sent> {
  const target = new URL(await url(path))
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = [], body } = options
    // Given as a list, so that repeated names stay repeated.
    const call = request({
      host: target.hostname,
      port: target.port,
      path,
      method,
      headers: ['host', target.host, ...headers] as never,
    })
    call.once('error', reject)
    call.once('response', async (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await text(response) })
    })
    call.end(body)
  })
}

test('the most specific route wins, whatever the order', () => {
  const keys = [
    '$default',
    'ANY /{proxy+}',
    'GET /pets/{proxy+}',
    'GET /pets/{kind}/{id}',
    'ANY /pets/dog/1',
    'GET /pets/dog/1',
    'GET /pets/dog/{id}',
  ]
  const find = routeTable(keys.map((routeKey) => ({ routeKey, functionName: 'f' })))
  const found = (method: string, path: string) => {
    const route = find(method, path)
    return [route?.routeKey, route?.pathParameters]
  }
  expect(found('GET', '/pets/dog/1')).toEqual(['GET /pets/dog/1', undefined])
  expect(found('PUT', '/pets/dog/1')).toEqual(['ANY /pets/dog/1', undefined])
  expect(found('GET', '/pets/dog/2')).toEqual(['GET /pets/dog/{id}', { id: '2' }])
  expect(found('GET', '/pets/cat/2')).toEqual(['GET /pets/{kind}/{id}', { kind: 'cat', id: '2' }])
  expect(found('GET', '/pets/cat/2/x')).toEqual(['GET /pets/{proxy+}', { proxy: 'cat/2/x' }])
  expect(found('POST', '/pets/cat')).toEqual(['ANY /{proxy+}', { proxy: 'pets/cat' }])
  expect(found('GET', '/')).toEqual(['$default', undefined])
  expect(found('GET', '/pets/dog/a%20b%2Fc')).toEqual(['GET /pets/dog/{id}', { id: 'a b/c' }])
  expect(found('GET', '/pets/dog/%zz')).toEqual(['GET /pets/dog/{id}', { id: '%zz' }])
  expect(routeTable([{ routeKey: 'GET /a', functionName: 'f' }])('GET', '/a/')).toBeUndefined()
  expect(() => routeTable([{ routeKey: 'get a', functionName: 'f' }])).toThrow('is not a route key')
})

test('the event has the shape of payload format 2.0', async () => {
  await send('/items/a%20b?q=one&q=two&empty=&plus=a+b&__proto__=x', {
    headers: ['X-Twice', '1', 'X-Twice', '2', 'Cookie', 'a=1; b=2', 'User-Agent', 'test'],
  })
  const [event] = events
  expect(event).toMatchObject({
    version: '2.0',
    routeKey: 'GET /items/{id}',
    rawPath: '/items/a b',
    rawQueryString: 'q=one&q=two&empty=&plus=a+b&__proto__=x',
    cookies: ['a=1', 'b=2'],
    headers: { 'x-twice': '1,2', 'user-agent': 'test', 'x-forwarded-proto': 'http' },
    pathParameters: { id: 'a b' },
    isBase64Encoded: false,
    requestContext: {
      accountId: '000000000000',
      apiId: 'shop',
      domainName: '127.0.0.1',
      http: {
        method: 'GET',
        path: '/items/a b',
        protocol: 'HTTP/1.1',
        sourceIp: '127.0.0.1',
        userAgent: 'test',
      },
      requestId: expect.any(String),
      routeKey: 'GET /items/{id}',
      stage: '$default',
      time: expect.stringMatching(/^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000$/),
      timeEpoch: expect.any(Number),
    },
  })
  expect(event?.queryStringParameters).toEqual(
    Object.fromEntries([
      ['q', 'one,two'],
      ['empty', ''],
      ['plus', 'a b'],
      ['__proto__', 'x'],
    ]),
  )
  expect(event?.headers).not.toHaveProperty('cookie')
  expect(event).not.toHaveProperty('body')
})

test.each([
  ['application/json', Buffer.from('{"é":1}'), '{"é":1}', false],
  ['text/csv; charset=utf-8', Buffer.from('a,b'), 'a,b', false],
  ['application/vnd.api+json', Buffer.from('{}'), '{}', false],
  ['application/octet-stream', Buffer.from('abc'), 'YWJj', true],
  ['application/x-www-form-urlencoded', Buffer.from('a=1'), 'YT0x', true],
  ['application/json', Buffer.from([0xff, 0xfe]), '//4=', true],
])('a body of %s arrives as text or base64', async (type, body, expected, isBase64Encoded) => {
  await send('/items', { method: 'POST', headers: ['Content-Type', type], body })
  expect(events[0]).toMatchObject({ body: expected, isBase64Encoded })
})

test('answers keep status, headers, cookies and binary bodies', async () => {
  answer = () =>
    ok({
      statusCode: 201,
      headers: { 'X-One': 1, 'Content-Type': 'image/png', 'Content-Length': '99', Connection: 'upgrade' },
      cookies: ['a=1; Path=/', 'b=2'],
      body: Buffer.from([1, 2, 3]).toString('base64'),
      isBase64Encoded: true,
    })
  const { status, headers, body } = await send('/')
  expect([status, body]).toEqual([201, '\x01\x02\x03'])
  expect(headers).toMatchObject({
    'x-one': '1',
    'content-type': 'image/png',
    'content-length': '3',
    'set-cookie': ['a=1; Path=/', 'b=2'],
    'apigw-requestid': expect.any(String),
  })
})

test.each([
  [{ hello: 1 }, 200, 'application/json', '{"hello":1}'],
  ['text', 200, 'application/json', 'text'],
  [null, 200, 'application/json', 'null'],
  [{ statusCode: 404 }, 404, undefined, ''],
  [{ statusCode: 200, body: 'x' }, 200, 'text/plain;charset=UTF-8', 'x'],
  [{ statusCode: 'many' }, 500, 'application/json', '{"message":"Internal Server Error"}'],
  [{ statusCode: 200, body: { a: 1 } }, 500, 'application/json', '{"message":"Internal Server Error"}'],
  [
    { statusCode: 200, headers: { a: 'x\r\ny: z' } },
    500,
    'application/json',
    '{"message":"Internal Server Error"}',
  ],
])('the answer %j becomes a %i', async (value, status, type, body) => {
  answer = () => ok(value)
  const sent = await send('/')
  expect([sent.status, sent.headers['content-type'], sent.body]).toEqual([status, type, body])
  expect(sent.headers).not.toHaveProperty('y')
})

test('HEAD reaches the route and gets the length without the body', async () => {
  const { status, headers, body } = await send('/anything', { method: 'HEAD' })
  expect([status, headers['content-length'], body]).toEqual([200, '4', ''])
  expect(events[0]?.requestContext).toMatchObject({ http: { method: 'HEAD' } })
})

test.each([
  ['get /items/1 HTTP/1.1', 400, 'Bad Request'],
  ['FOO /items/1 HTTP/1.1', 400, 'Bad Request'],
  ['GET /items/1 HTTP/9', 400, 'Bad Request'],
  ['CONNECT items.test:443 HTTP/1.1', 400, 'Bad Request'],
  [`GET /items/1 HTTP/1.1\r\nx-long: ${'x'.repeat(20_000)}`, 431, 'Request Header Fields Too Large'],
])('what is no request, as %.30j, is a %i of the gateway alone', async (line, status, message) => {
  const target = new URL(await url('/'))
  const socket = connect(Number(target.port), target.hostname)
  socket.write(`${line}\r\nhost: ${target.host}\r\n\r\n`)
  const [head, body] = (await text(socket)).split('\r\n\r\n')
  expect(head).toMatch(`HTTP/1.1 ${status} ${message}\r\ncontent-type: application/json\r\n`)
  expect(body).toBe(JSON.stringify({ message }))
  expect(events).toEqual([])
  expect((await send('/items/1')).status).toBe(200)
})

test('a method that HTTP knows and the API does not goes to $default', async () => {
  for (const method of ['PROPFIND', 'TRACE', 'PURGE']) {
    expect((await send('/items/1', { method })).status).toBe(200)
    expect(events.at(-1)).toMatchObject({ routeKey: '$default', requestContext: { http: { method } } })
  }
})

test('a failed function is a 500 that says nothing of it', async () => {
  answer = async () => ({ payload: '{"errorMessage":"secret"}', functionError: 'Unhandled' })
  expect(await send('/')).toMatchObject({ status: 500, body: '{"message":"Internal Server Error"}' })
  answer = () => Promise.reject(new Error('secret'))
  expect(await send('/')).toMatchObject({ status: 500, body: '{"message":"Internal Server Error"}' })
})

test('exhausted concurrency and an integration that takes too long are a 503', async () => {
  answer = () => Promise.reject(new LambdaError('TooManyRequestsException', 'Rate Exceeded.'))
  expect(await send('/')).toMatchObject({ status: 503, body: '{"message":"Service Unavailable"}' })
  answer = (_name, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
  expect(await send('/')).toMatchObject({ status: 503, body: '{"message":"Service Unavailable"}' })
})

test('a body over 10 MiB is a 413 whether or not its length was declared', async () => {
  const body = Buffer.alloc(10 * 1024 * 1024 + 1)
  const declared = await send('/items', {
    method: 'POST',
    headers: ['Expect', '100-continue', 'Content-Length', String(body.length)],
    body,
  })
  expect(declared).toMatchObject({ status: 413, body: '{"message":"Request Entity Too Large"}' })
  const chunked = await send('/items', { method: 'POST', headers: ['Transfer-Encoding', 'chunked'], body })
  expect(chunked).toMatchObject({ status: 413, body: '{"message":"Request Entity Too Large"}' })
  expect(events).toEqual([])
  const largest = await send('/items', {
    method: 'POST',
    headers: ['Content-Length', String(body.length - 1)],
    body: body.subarray(1),
  })
  expect(largest.status).toBe(200)
})

test('without a matching route and without $default it is a 404', async () => {
  api.routes.pop()
  expect(await send('/nothing')).toMatchObject({ status: 404, body: '{"message":"Not Found"}' })
})

test('beyond the burst of its throttle a route answers 429, the others go on', async () => {
  api.throttle = { rate: 0.001, burst: 2 }
  api.routeThrottles.set('POST /items', { rate: 0.001, burst: 1 })
  const statuses = []
  for (const method of ['GET', 'GET', 'GET', 'POST', 'POST'])
    statuses.push((await send('/items', { method })).status)
  expect(statuses).toEqual([200, 200, 429, 200, 429])
})

test('a token bucket refills at its rate up to its burst', () => {
  let now = 0
  const bucket = tokenBucket({ rate: 2, burst: 2 }, () => now)
  const take = () => bucket.take()
  expect([take(), take(), take()]).toEqual([true, true, false])
  now = 500
  expect([take(), take()]).toEqual([true, false])
  now = 60_000
  expect([take(), take(), take()]).toEqual([true, true, false])
})

test('with a CORS configuration the gateway answers preflights and decides on the headers', async () => {
  api.cors = {
    AllowOrigins: ['http://*', 'https://shop.example'],
    AllowMethods: ['GET'],
    AllowHeaders: ['x-api-key'],
    ExposeHeaders: ['etag'],
    MaxAge: 60,
  }
  answer = () => ok({ statusCode: 200, headers: { 'access-control-allow-origin': '*' }, body: '' })
  const preflight = (origin: string) =>
    send('/items', { method: 'OPTIONS', headers: ['Origin', origin, 'Access-Control-Request-Method', 'GET'] })
  const allowed = await preflight('http://localhost:5173')
  expect(allowed.status).toBe(204)
  expect(allowed.headers).toMatchObject({
    'access-control-allow-origin': 'http://localhost:5173',
    'access-control-allow-methods': 'GET',
    'access-control-allow-headers': 'x-api-key',
    'access-control-max-age': '60',
  })
  const refused = await preflight('https://evil.example')
  expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([204, undefined])
  expect(events).toEqual([])
  const actual = await send('/items', { headers: ['Origin', 'https://shop.example'] })
  expect(actual.headers).toMatchObject({
    'access-control-allow-origin': 'https://shop.example',
    'access-control-expose-headers': 'etag',
  })
  expect((await send('/items')).headers).not.toHaveProperty('access-control-allow-origin')
  expect((await send('/items', { method: 'OPTIONS' })).status).toBe(200)
  expect(events).toHaveLength(3)
})

test('a client that goes away in the middle of its body disturbs nobody', async () => {
  const target = new URL(await url('/items'))
  const call = request({
    host: target.hostname,
    port: target.port,
    path: '/items',
    method: 'POST',
    headers: { 'content-length': 1000 },
  })
  await new Promise<void>((resolve) => {
    call.once('error', () => resolve())
    call.once('close', () => resolve())
    call.write('half', () => call.destroy())
  })
  expect((await send('/items')).status).toBe(200)
  expect(events).toHaveLength(1)
})

test('each answer is reported with its route, and the access log fills in its variables', async () => {
  await send('/items/7?secret=1')
  expect(answers).toMatchObject([
    {
      routeKey: 'GET /items/{id}',
      method: 'GET',
      path: '/items/7',
      sourceIp: '127.0.0.1',
      status: 200,
      bytes: 4,
      integrationMs: expect.any(Number),
    },
  ])
  const line = accessLogLine('{"s":"$context.status","m":"$context.error.message","p":"$context.path"}', {
    status: 200,
    path: '/"x',
  })
  expect(line).toBe('{"s":"200","m":"-","p":"/\\"x"}')
})
