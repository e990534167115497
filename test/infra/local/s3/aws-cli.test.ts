import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, credentials, region, send, startTestS3, type TestS3 } from './fixture.ts'

function hasAws(): boolean {
  try {
    execFileSync('aws', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    console.warn('The aws CLI is not on the PATH: its tests are skipped')
    return false
  }
}

describe.skipIf(!hasAws())('the aws CLI', { timeout: 60_000 }, () => {
  let s3: TestS3
  let folder: string
  beforeAll(async () => {
    s3 = await startTestS3()
    folder = await mkdtemp(join(tmpdir(), 'insighta-cli-'))
    // Version 1 presigns with the withdrawn signature version 2 unless told.
    await writeFile(join(folder, 'config'), '[default]\ns3 =\n  signature_version = s3v4\n')
  })
  afterAll(async () => {
    await s3.dispose()
    await rm(folder, { recursive: true, force: true })
  })

  const aws = async (...args: string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)('aws', ['--endpoint-url', s3.url, ...args], {
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        AWS_CONFIG_FILE: join(folder, 'config'),
        AWS_ACCESS_KEY_ID: credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
        AWS_DEFAULT_REGION: region,
        AWS_EC2_METADATA_DISABLED: 'true',
      },
    })
    return stdout
  }

  test('copies a file of 20 MB in and out, lists and removes it', async () => {
    const data = randomBytes(20_000_000)
    const source = join(folder, 'in.bin')
    const target = join(folder, 'out.bin')
    await writeFile(source, data)
    const key = `s3://${bucket}/folder/a file +é.bin`
    await aws('s3', 'cp', source, key)
    expect(await aws('s3', 'ls', `s3://${bucket}/folder/`)).toMatch(/20000000 a file \+é\.bin/)
    await aws('s3', 'cp', key, target)
    expect((await readFile(target)).equals(data)).toBe(true)
    const head = JSON.parse(
      await aws('s3api', 'head-object', '--bucket', bucket, '--key', 'folder/a file +é.bin'),
    )
    expect(head.ETag).toMatch(/^"[0-9a-f]{32}-3"$/)
    await aws('s3', 'cp', key, `s3://${bucket}/copy.bin`)
    expect(await aws('s3', 'ls', `s3://${bucket}/`)).toMatch(/PRE folder\/\n.*20000000 copy\.bin/)
    await aws('s3', 'rm', key)
    await aws('s3', 'rm', '--recursive', `s3://${bucket}/`)
    expect(await aws('s3', 'ls', '--recursive', `s3://${bucket}/`).catch(() => '')).toBe('')
  })

  test('stores a small file, lists buckets, and presigns', async () => {
    const source = join(folder, 'a.csv')
    await writeFile(source, 'name\nAda\n')
    await aws('s3', 'cp', source, `s3://${bucket}/a/../b.csv`)
    const listed = JSON.parse(await aws('s3api', 'list-objects-v2', '--bucket', bucket))
    expect(listed.Contents[0]).toMatchObject({ Key: 'a/../b.csv', Size: 9 })
    expect(await aws('s3', 'ls')).toContain(bucket)
    await aws('s3', 'cp', source, `s3://${bucket}/to presign.csv`)
    const url = (await aws('s3', 'presign', `s3://${bucket}/to presign.csv`)).trim()
    expect((await send({ method: 'GET', url })).body.toString()).toBe('name\nAda\n')
    const again = aws(
      's3api',
      'put-object',
      '--bucket',
      bucket,
      '--key',
      'a/../b.csv',
      '--if-none-match',
      '*',
    )
    await expect(again).rejects.toThrow('PreconditionFailed')
  })
})
