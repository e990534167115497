import { startS3 } from '../../../../infra/local/s3/index.ts'
import { bucket, credentials, region } from './fixture.ts'

/** A server in a process of its own: prints its URL and runs until its standard input ends. */
const server = await startS3({
  dataDir: process.argv[2] ?? '',
  region,
  credentials,
  publish: async () => {},
  log: (line) => process.stderr.write(`${line}\n`),
})
await server.putBucket(bucket, {})
process.stdout.write(`${server.url}\n`)
process.stdin.resume().once('end', () => server.close())
