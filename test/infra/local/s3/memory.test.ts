import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, credentials, region } from './fixture.ts'

const size = 300 * 1024 * 1024
const chunk = Buffer.alloc(64 * 1024, 'some,row,of,a,file\n')

describe.skipIf(!existsSync('/proc/self/status'))('a body of 300 MB', { timeout: 120_000 }, () => {
  let folder: string
  let server: ChildProcessWithoutNullStreams
  let client: S3Client

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'insighta-s3-memory-'))
    server = spawn(process.execPath, [join(import.meta.dirname, 'serve.ts'), folder])
    const [url] = (await once(server.stdout, 'data')) as [Buffer]
    client = new S3Client({ region, endpoint: url.toString().trim(), forcePathStyle: true, credentials })
  })
  afterAll(async () => {
    client.destroy()
    const ended = once(server, 'exit')
    server.stdin.end()
    await ended
    await rm(folder, { recursive: true, force: true })
  })

  /** The most memory the server has ever had, in MB. */
  async function peak(): Promise<number> {
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8')
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024
  }

  test('is stored and read in less than 100 MB more than an idle server has', async () => {
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'small', Body: 'x' }))
    const idle = await peak()
    const Body = Readable.from(
      (function* () {
        for (let sent = 0; sent < size; sent += chunk.length) yield chunk
      })(),
    )
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'large', Body, ContentLength: size }))
    const object = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'large' }))
    let received = 0
    for await (const piece of object.Body as Readable) received += (piece as Buffer).length
    expect(received).toBe(size)
    const grown = (await peak()) - idle
    console.info(`peak memory grew by ${grown.toFixed(0)} MB over ${idle.toFixed(0)} MB`)
    expect(grown).toBeLessThan(100)
  })
})
