import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bucket, credentials, region, send, startTestS3, type TestS3 } from '../infra/local/s3/fixture.ts'
import { type AwsCli, awsPrograms, openAwsCli } from '../support/aws-cli.ts'

describe.each(awsPrograms)('version $version of the AWS CLI, with local S3', (program) => {
  let s3: TestS3
  let cli: AwsCli
  beforeAll(async () => {
    s3 = await startTestS3()
    cli = await openAwsCli(program, { region, ...credentials })
  })
  afterAll(async () => {
    await s3?.dispose()
    await cli?.close()
  })

  const aws = (...args: string[]) => cli.run(s3.url, ...args)
  const api = async (operation: string, key: string, ...args: string[]) =>
    JSON.parse(await aws('s3api', operation, '--bucket', bucket, '--key', key, ...args))

  test('copies a file of 20 MB in, out and to another key, lists and removes it', async () => {
    const data = randomBytes(20_000_000)
    const source = join(cli.folder, 'in.bin')
    const target = join(cli.folder, 'out.bin')
    await writeFile(source, data)
    const name = 'folder/a file +é.bin'
    const key = `s3://${bucket}/${name}`
    await aws('s3', 'cp', source, key, '--content-type', 'text/csv', '--metadata', 'rows=12')
    expect(await aws('s3', 'ls', `s3://${bucket}/folder/`)).toMatch(/20000000 a file \+é\.bin/)
    expect(await api('head-object', name)).toMatchObject({
      ETag: expect.stringMatching(/^"[0-9a-f]{32}-3"$/),
      ContentType: 'text/csv',
      Metadata: { rows: '12' },
    })
    const TagSet = [{ Key: 'team', Value: 'data' }]
    await aws(
      's3api',
      'put-object-tagging',
      ...['--bucket', bucket, '--key', name, '--tagging', JSON.stringify({ TagSet })],
    )
    await aws('s3', 'cp', key, `s3://${bucket}/copy.bin`)
    expect(await aws('s3', 'ls', `s3://${bucket}/`)).toMatch(/PRE folder\/\n.*20000000 copy\.bin/)
    // Version 1 leaves the properties of an object behind that it copies in parts.
    const [tags, metadata] = program.version === 2 ? [TagSet, { rows: '12' }] : [[], {}]
    expect(await api('get-object-tagging', 'copy.bin')).toEqual({ TagSet: tags })
    expect((await api('head-object', 'copy.bin')).Metadata).toEqual(metadata)
    await aws('s3', 'cp', `s3://${bucket}/copy.bin`, target)
    expect((await readFile(target)).equals(data)).toBe(true)
    await aws('s3', 'rm', key)
    await aws('s3', 'rm', '--recursive', `s3://${bucket}/`)
    expect(await aws('s3', 'ls', '--recursive', `s3://${bucket}/`).catch(() => '')).toBe('')
  })

  test('stores a small file, lists buckets, presigns, and shows what was refused', async () => {
    const source = join(cli.folder, 'a.csv')
    await writeFile(source, 'name\nAda\n')
    await aws('s3', 'cp', source, `s3://${bucket}/a/../b.csv`)
    const listed = JSON.parse(await aws('s3api', 'list-objects-v2', '--bucket', bucket))
    expect(listed.Contents[0]).toMatchObject({ Key: 'a/../b.csv', Size: 9 })
    expect(await aws('s3', 'ls')).toContain(bucket)
    await aws('s3', 'cp', source, `s3://${bucket}/to presign.csv`)
    const url = (await aws('s3', 'presign', `s3://${bucket}/to presign.csv`)).trim()
    expect((await send({ method: 'GET', url })).body.toString()).toBe('name\nAda\n')
    const refused = api('get-object', 'a/../b.csv', '--if-match', '"other"', join(cli.folder, 'refused'))
    await expect(refused).rejects.toThrow('PreconditionFailed')
  })
})
