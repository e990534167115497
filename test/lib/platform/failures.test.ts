import { S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import postgres from 'postgres'
import { expect, test } from 'vitest'
import { UnavailableError, UnprocessableError } from '../../../lib/platform/errors.ts'
import { describeFailure } from '../../../lib/platform/failures.ts'
import { RetryLaterError } from '../../../lib/platform/retry.ts'
import { createStorage, ObjectMissingError } from '../../../lib/platform/storage.ts'

const answered = (status: number) =>
  new S3ServiceException({
    name: 'Code',
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
    message: 'secret/key.csv',
  })

async function thrown(work: PromiseLike<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('Nothing was thrown')
}

test.each([
  [
    new UnavailableError('The queue did not accept a message'),
    'dependency',
    'The queue did not accept a message',
  ],
  [new RetryLaterError('Ask', 5, new UnavailableError('Gemini is out')), 'dependency', 'Gemini is out'],
  [new RetryLaterError('Ask', 5, undefined), 'dependency', 'Ask is to be tried again in 5 s'],
  [new ObjectMissingError(), 'defect', 'The object is not there'],
  [new UnprocessableError('No'), 'defect', 'No'],
  [answered(503), 'dependency', 'AWS answered 503 (Code)'],
  [answered(429), 'dependency', 'AWS answered 429 (Code)'],
  [answered(403), 'defect', 'AWS answered 403 (Code)'],
  [new TypeError('Ada is not a function'), 'defect', 'An internal error occurred (TypeError)'],
  ['thrown text', 'defect', 'An internal error occurred (string)'],
])('%s is the fault of a %s', (error, cause, text) => {
  expect(describeFailure(error)).toEqual({ error: text, cause })
})

test('what cannot be reached is out, whoever says so', async () => {
  const sql = postgres({ host: '127.0.0.1', port: 1, max: 1 })
  expect(describeFailure(await thrown(sql`select 1`))).toEqual({
    error: 'The database did not answer',
    cause: 'dependency',
  })
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const client = new S3Client({
    region: 'eu-west-1',
    endpoint: 'http://127.0.0.1:1',
    credentials,
    maxAttempts: 1,
  })
  const failure = describeFailure(await thrown(createStorage('uploads', client).head('x')))
  expect(failure).toEqual({ error: 'AWS did not answer (ECONNREFUSED)', cause: 'dependency' })
  client.destroy()
})
