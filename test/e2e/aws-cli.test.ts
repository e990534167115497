import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dataFolder, startTestCloud, type TestCloud } from './cloud.ts'

function hasAws(): boolean {
  try {
    execFileSync('aws', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    console.warn('The aws CLI is not on the PATH: its tests are skipped')
    return false
  }
}

describe.runIf(hasAws())('the aws CLI with the credentials of the local cloud', () => {
  let cloud: TestCloud
  let folder: string
  beforeAll(async () => {
    cloud = await startTestCloud()
    folder = await dataFolder()
  })
  afterAll(async () => {
    await cloud?.close()
    await rm(folder, { recursive: true, force: true })
  })

  const aws = async (service: 's3' | 'sqs' | 'lambda', ...args: string[]): Promise<string> => {
    const { credentials } = cloud
    const endpoint = credentials.aws[`endpoint_${service}`]
    const { stdout } = await promisify(execFile)('aws', ['--endpoint-url', endpoint, service, ...args], {
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        AWS_ACCESS_KEY_ID: credentials.aws.access_key_id,
        AWS_SECRET_ACCESS_KEY: credentials.aws.secret_access_key,
        AWS_DEFAULT_REGION: credentials.aws.region,
        AWS_EC2_METADATA_DISABLED: 'true',
      },
    })
    return stdout
  }

  test('copies 20 MB into the upload bucket and out again, byte by byte the same', async () => {
    const [source, copy] = [join(folder, 'in.bin'), join(folder, 'out.bin')]
    const bytes = randomBytes(20_000_000)
    await writeFile(source, bytes)
    const target = 's3://insighta-local-data-uploads/copies/in.bin'
    await aws('s3', 'cp', '--quiet', source, target)
    await aws('s3', 'cp', '--quiet', target, copy)
    expect((await readFile(copy)).equals(bytes)).toBe(true)
    await aws('s3', 'rm', '--quiet', target)
    expect(await aws('s3', 'ls', 's3://insighta-local-data-uploads')).toBe('')
  })

  test('sends to a queue and receives from it', async () => {
    const queue = JSON.parse(await aws('sqs', 'create-queue', '--queue-name', 'notes')).QueueUrl
    const url = ['--queue-url', queue]
    await aws('sqs', 'send-message', ...url, '--message-body', 'Größe & "quotes"')
    const { Messages } = JSON.parse(await aws('sqs', 'receive-message', ...url, '--wait-time-seconds', '5'))
    expect(Messages).toMatchObject([{ Body: 'Größe & "quotes"' }])
  })

  test('invokes a function', async () => {
    const output = join(folder, 'keys.json')
    await aws(
      'lambda',
      'invoke',
      '--function-name',
      cloud.credentials.keys_function,
      '--payload',
      '{"action":"list"}',
      output,
    )
    const answer = JSON.parse(await readFile(output, 'utf8'))
    expect(answer).toMatchObject({ status: 'success', keys: [{ team: 'local', role: 'admin' }] })
  })
})
