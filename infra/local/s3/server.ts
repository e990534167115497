import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { forOwnHosts, loopback, urlHost } from '../hosts.ts'
import type { AwsCredentials } from '../sigv4/verify.ts'
import { errorAnswer, sendAnswer } from './answer.ts'
import { authenticate } from './auth.ts'
import { type Bucket, openBucket } from './bucket.ts'
import type { S3Context } from './context.ts'
import { corsHeaders, preflightHeaders } from './cors.ts'
import { isS3Error, S3Error } from './errors.ts'
import { type S3FaultRule, withFault } from './faults.ts'
import { createKeyedLock } from './lock.ts'
import { checkRules } from './notifications.ts'
import { findOperation } from './routes.ts'
import { readTarget, type Target, withQueryHeaders } from './target.ts'
import type { BucketSettings, S3Answer } from './types.ts'

export type S3Options = {
  dataDir: string
  /** 0 or none: a free one. */
  port?: number
  /** The address or name to listen on; without one loopback. */
  host?: string
  region: string
  credentials: AwsCredentials
  /** Sends an event message `{"Records":[record]}`; on a rejection it is called again later. */
  publish(queueArn: string, body: string): Promise<void>
  log(line: string): void
  /** Lets requests fail, from the start on. */
  fault?: S3FaultRule
}

export type LocalS3 = {
  url: string
  port: number
  /** Opens the bucket, with what an earlier run stored in it, or gives an open one new settings. */
  putBucket(name: string, settings: BucketSettings): Promise<void>
  /** Lets requests fail from now on as the rule says; without one they no longer do. */
  injectFault(rule?: S3FaultRule): void
  close(): Promise<void>
}

const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

/**
 * S3 over HTTP, path-style, for one key pair. A bucket exists once putBucket has named it.
 * An object is durable, and its events are stored, before its PUT is answered.
 */
export async function startS3(options: S3Options): Promise<LocalS3> {
  const { dataDir, host = loopback, region, credentials, publish, log } = options
  const buckets = new Map<string, Bucket>()
  const opening = createKeyedLock()
  const active = new Set<Promise<void>>()
  let faultRule = options.fault
  const context: S3Context = {
    region,
    buckets: () => [...buckets.values()],
    bucket(name) {
      const bucket = buckets.get(name)
      if (bucket === undefined) throw new S3Error('NoSuchBucket', undefined, { BucketName: name })
      return bucket
    },
  }

  async function answer(
    incoming: IncomingMessage,
    target: Target,
    id: string,
    acceptBody: () => void,
  ): Promise<S3Answer> {
    const method = incoming.method ?? ''
    if (method === 'OPTIONS') {
      const headers = preflightHeaders(context.bucket(target.bucket).settings.cors, target.headers)
      return { status: 200, headers }
    }
    const authorization = authenticate({ method, ...target }, credentials, region, Date.now())
    const request = {
      id,
      method,
      bucket: target.bucket,
      key: target.key,
      query: new Map(target.query),
      headers: withQueryHeaders(target),
      incoming,
      authorization,
      sourceIp: incoming.socket.remoteAddress ?? '127.0.0.1',
      acceptBody,
    }
    const operation = findOperation(request)
    return withFault(faultRule?.(request), () => operation(request, context))
  }

  async function handle(incoming: IncomingMessage, outgoing: ServerResponse, acceptBody: () => void) {
    const id = randomBytes(8).toString('hex').toUpperCase()
    let result: S3Answer
    let cors: Record<string, string> = {}
    try {
      const target = readTarget(incoming)
      cors = corsHeaders(buckets.get(target.bucket)?.settings.cors, incoming.method ?? '', target.headers)
      result = await answer(incoming, target, id, acceptBody)
    } catch (error) {
      // The client left in the middle of its body: nothing was stored and nobody listens.
      if (incoming.destroyed && !incoming.complete) return
      if (!isS3Error(error))
        log(`request ${id} failed: ${error instanceof Error ? error.stack : String(error)}`)
      const known = isS3Error(error) ? error : new S3Error('InternalError')
      result = errorAnswer(known, incoming.url?.split('?')[0] ?? '', id)
    }
    const headers = { 'x-amz-request-id': id, 'x-amz-id-2': id, ...cors, ...result.headers }
    try {
      await sendAnswer(incoming, outgoing, { ...result, headers })
    } catch (error) {
      outgoing.destroy()
      if (!isDisconnect(error)) log(`answer ${id} failed: ${String(error)}`)
    } finally {
      result.release?.()
    }
  }

  function accept(incoming: IncomingMessage, outgoing: ServerResponse, acceptBody: () => void): void {
    const handling = handle(incoming, outgoing, acceptBody).finally(() => active.delete(handling))
    active.add(handling)
  }

  // No requestTimeout: node's default of 5 minutes would cut long uploads.
  const server = createServer(
    { requestTimeout: 0, keepAliveTimeout: 60_000 },
    forOwnHosts((incoming, outgoing) => accept(incoming, outgoing, () => {}), host),
  )
  server.on(
    'checkContinue',
    forOwnHosts((incoming, outgoing) => accept(incoming, outgoing, () => outgoing.writeContinue()), host),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, host, resolve)
  })
  const { port } = server.address() as AddressInfo

  return {
    url: `http://${urlHost(host)}:${port}`,
    port,

    async putBucket(name, settings) {
      if (!bucketName.test(name) || name.includes('..')) throw new Error(`${name} is not a bucket name`)
      checkRules(settings.notifications ?? [])
      await opening(name, async () => {
        const open = buckets.get(name)
        if (open !== undefined) {
          open.settings = settings
          return
        }
        const folder = join(dataDir, name)
        buckets.set(name, await openBucket({ folder, name, region, settings, publish, log }))
      })
    },

    injectFault(rule) {
      faultRule = rule
    },

    async close() {
      for (const bucket of buckets.values()) bucket.close()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      await Promise.allSettled(active)
    },
  }
}

function isDisconnect(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET' || code === 'EPIPE'
}
