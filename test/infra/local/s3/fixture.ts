import { mkdtemp, rm } from 'node:fs/promises'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import {
  type BucketSettings,
  type LocalS3,
  type S3EventRecord,
  startS3,
} from '../../../../infra/local/s3/index.ts'
import {
  canonicalRequest,
  sha256Hex,
  signingScope,
  signLines,
} from '../../../../infra/local/sigv4/canonical.ts'

export const region = 'eu-west-1'
export const bucket = 'uploads'
export const credentials = { accessKeyId: 'AKIALOCALTEST', secretAccessKey: 'local-test-secret' }

export type Published = { queueArn: string; record: S3EventRecord }

export type TestS3 = LocalS3 & {
  dataDir: string
  client: S3Client
  published: Published[]
  logged: string[]
  newClient(config?: S3ClientConfig): S3Client
  /** Ends the server and starts it anew on the same folder and port. */
  restart(): Promise<void>
  dispose(): Promise<void>
}

export type TestOptions = {
  settings?: BucketSettings
  publish?: (queueArn: string, body: string) => Promise<void>
}

/** A server on a folder of its own with one bucket, and an SDK client for it. */
export async function startTestS3({ settings = {}, publish }: TestOptions = {}): Promise<TestS3> {
  const dataDir = await mkdtemp(join(tmpdir(), 'insighta-s3-'))
  const published: Published[] = []
  const logged: string[] = []
  const clients: S3Client[] = []
  const start = async (port: number) => {
    const server = await startS3({
      dataDir,
      port,
      region,
      credentials,
      log: (line) => logged.push(line),
      async publish(queueArn, body) {
        await publish?.(queueArn, body)
        const { Records } = JSON.parse(body) as { Records: [S3EventRecord] }
        published.push({ queueArn, record: Records[0] })
      },
    })
    await server.putBucket(bucket, settings)
    return server
  }
  let server = await start(0)
  const newClient = (config: S3ClientConfig = {}) => {
    const client = new S3Client({
      region,
      endpoint: server.url,
      forcePathStyle: true,
      credentials,
      maxAttempts: 1,
      ...config,
    })
    clients.push(client)
    return client
  }
  return {
    url: server.url,
    port: server.port,
    dataDir,
    published,
    logged,
    client: newClient(),
    newClient,
    putBucket: (name, bucketSettings) => server.putBucket(name, bucketSettings),
    injectFault: (rule) => server.injectFault(rule),
    close: () => server.close(),
    async restart() {
      await server.close()
      server = await start(server.port)
    },
    async dispose() {
      for (const client of clients) client.destroy()
      await server.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export type RawAnswer = { status: number; headers: IncomingHttpHeaders; body: Buffer; continued: boolean }

export type RawRequest = {
  method: string
  url: string
  headers?: Record<string, string>
  body?: Buffer
  /** Sends the body only once the server says 100 Continue. */
  waitForContinue?: boolean
}

/** One plain HTTP request on a connection of its own. */
export function send({
  method,
  url,
  headers = {},
  body,
  waitForContinue = false,
}: RawRequest): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const expect = waitForContinue ? { expect: '100-continue' } : {}
    const outgoing = httpRequest(url, { method, headers: { ...headers, ...expect }, agent: false })
    let continued = false
    outgoing.on('continue', () => {
      continued = true
      outgoing.end(body)
    })
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(chunks),
          continued,
        })
      })
    })
    outgoing.on('error', reject)
    if (waitForContinue) outgoing.flushHeaders()
    else outgoing.end(body)
  })
}

export type SignedRequest = RawRequest & {
  payloadHash?: string
  at?: Date
  keys?: { accessKeyId: string; secretAccessKey: string }
  /** Headers sent but not signed. */
  unsigned?: Record<string, string>
}

/** Headers of a request signed as the SDKs do, for bodies and mistakes that no SDK would send. */
export function signedHeaders(request: SignedRequest): {
  headers: Record<string, string>
  signature: string
} {
  const {
    method,
    headers = {},
    body,
    payloadHash,
    at = new Date(),
    keys = credentials,
    unsigned = {},
  } = request
  const url = new URL(request.url)
  const date = at.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const hash = payloadHash ?? sha256Hex(body ?? '')
  const all: Record<string, string> = {
    host: url.host,
    'x-amz-date': date,
    'x-amz-content-sha256': hash,
    ...(body === undefined ? {} : { 'content-length': String(body.length) }),
    ...headers,
  }
  const names = Object.keys(all).sort()
  const scope = signingScope(keys.secretAccessKey, date, region, 's3')
  const canonical = canonicalRequest({
    method,
    path: decodeURIComponent(url.pathname),
    query: [...url.searchParams],
    headers: all,
    signedHeaders: names,
    payloadHash: hash,
  })
  const signature = signLines('AWS4-HMAC-SHA256', scope, sha256Hex(canonical))
  const authorization = `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope.scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return { headers: { ...all, authorization, ...unsigned }, signature }
}

export function sendSigned(request: SignedRequest): Promise<RawAnswer> {
  return send({ ...request, headers: signedHeaders(request).headers })
}

/** The code of an S3 error document. */
export function errorCode(answer: RawAnswer | { body: Buffer }): string | undefined {
  return /<Code>(\w+)<\/Code>/.exec(answer.body.toString())?.[1]
}
