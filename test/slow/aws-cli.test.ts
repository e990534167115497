import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestCloud, type TestCloud } from '../e2e/cloud.ts'
import { type AwsCli, awsPrograms, openAwsCli } from '../support/aws-cli.ts'

describe.each(awsPrograms)(
  'version $version of the AWS CLI, with the credentials of the local cloud',
  (program) => {
    let cloud: TestCloud
    let cli: AwsCli
    beforeAll(async () => {
      cloud = await startTestCloud()
      const { region, access_key_id, secret_access_key } = cloud.credentials.aws
      cli = await openAwsCli(program, {
        region,
        accessKeyId: access_key_id,
        secretAccessKey: secret_access_key,
      })
    })
    afterAll(async () => {
      await cloud?.close()
      await cli?.close()
    })

    const aws = (service: 's3' | 'sqs' | 'lambda' | 'secretsmanager', ...args: string[]) =>
      cli.run(cloud.credentials.aws[`endpoint_${service}`], service, ...args)

    test('copies 20 MB into the upload bucket, to another key and out again, byte by byte the same', async () => {
      const [source, target] = [join(cli.folder, 'in.bin'), join(cli.folder, 'out.bin')]
      const bytes = randomBytes(20_000_000)
      await writeFile(source, bytes)
      const [key, copy] = ['in', 'copy'].map((name) => `s3://insighta-local-data-uploads/copies/${name}.bin`)
      await aws('s3', 'cp', '--quiet', source, key!)
      await aws('s3', 'cp', '--quiet', key!, copy!)
      await aws('s3', 'cp', '--quiet', copy!, target)
      expect((await readFile(target)).equals(bytes)).toBe(true)
      await aws('s3', 'rm', '--quiet', '--recursive', 's3://insighta-local-data-uploads/copies/')
      expect(await aws('s3', 'ls', 's3://insighta-local-data-uploads')).toBe('')
    })

    test('sends to a queue and receives from it', async () => {
      const queue = JSON.parse(await aws('sqs', 'create-queue', '--queue-name', 'notes')).QueueUrl
      const url = ['--queue-url', queue]
      await aws('sqs', 'send-message', ...url, '--message-body', 'Größe & "quotes"')
      const { Messages } = JSON.parse(await aws('sqs', 'receive-message', ...url, '--wait-time-seconds', '5'))
      expect(Messages).toMatchObject([{ Body: 'Größe & "quotes"' }])
      const names = ['--attribute-names', 'All']
      const { Attributes } = JSON.parse(await aws('sqs', 'get-queue-attributes', ...url, ...names))
      expect(Attributes).toMatchObject({
        QueueArn: expect.stringMatching(/:notes$/),
        ApproximateNumberOfMessagesNotVisible: '1',
      })
      expect(JSON.parse(await aws('sqs', 'list-queues')).QueueUrls).toContain(queue)
    })

    test('invokes a function', async () => {
      const output = join(cli.folder, 'keys.json')
      const payload = ['--payload', '{"action":"list"}', output]
      await aws('lambda', 'invoke', '--function-name', cloud.credentials.keys_function, ...payload)
      const answer = JSON.parse(await readFile(output, 'utf8'))
      expect(answer).toMatchObject({ status: 'success', keys: [{ team: 'local', role: 'admin' }] })
    })

    test('reads a secret', async () => {
      const secret = ['--secret-id', 'insighta-local-agent', '--query', 'SecretString', '--output', 'text']
      const text = await aws('secretsmanager', 'get-secret-value', ...secret)
      expect(JSON.parse(text)).toMatchObject({ webhook_secret: expect.stringMatching(/.{20}/) })
    })
  },
)
