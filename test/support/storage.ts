import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { S3Client } from '@aws-sdk/client-s3'
import { startS3 } from '../../infra/local/s3/index.ts'
import { createStorage } from '../../lib/platform/storage.ts'

const credentials = { accessKeyId: 'TESTTESTTESTTESTTEST', secretAccessKey: 'secret' }
const region = 'eu-west-1'

/** A real S3 with the empty bucket `uploads`, in a folder that close() removes. */
export async function startStorage({ maxAttempts }: { maxAttempts?: number } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-test-storage-'))
  const s3 = await startS3({ dataDir: folder, region, credentials, publish: async () => {}, log: () => {} })
  await s3.putBucket('uploads', {})
  const client = new S3Client({
    endpoint: s3.url,
    region,
    credentials,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    ...(maxAttempts !== undefined && { maxAttempts }),
  })
  return {
    s3,
    region,
    credentials,
    client,
    storage: createStorage('uploads', client),
    /** What a function's environment holds of it. */
    env: {
      AWS_REGION: region,
      AWS_ENDPOINT_URL_S3: s3.url,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    async close(): Promise<void> {
      client.destroy()
      await s3.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
