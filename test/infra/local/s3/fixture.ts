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
import { type RequestToSign, signedHeaders as sign } from '../../../support/sigv4.ts'

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

export type SignedRequest = RawRequest & Partial<Omit<RequestToSign, keyof RawRequest>>

/** Headers of a request signed with the test's key, unless it brings another one. */
export function signedHeaders(request: SignedRequest): ReturnType<typeof sign> {
  return sign({ keys: credentials, region, service: 's3', ...request })
}

export function sendSigned(request: SignedRequest): Promise<RawAnswer> {
  return send({ ...request, headers: signedHeaders(request).headers })
}

/** The code of an S3 error document. */
export function errorCode(answer: RawAnswer | { body: Buffer }): string | undefined {
  return /<Code>(\w+)<\/Code>/.exec(answer.body.toString())?.[1]
}
