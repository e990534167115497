import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import { mockClient } from 'aws-sdk-client-mock'
import { expect, test } from 'vitest'
import { createQueue, createSourceQueue } from '../../../lib/platform/queue.ts'

type Entry = { Id?: string; MessageBody?: string }

/** A client whose batches are answered by `failing`, which picks the entries that SQS refuses. */
function client(failing: (entries: Entry[]) => Entry[] = () => []) {
  const sqs = mockClient(SQSClient)
  const batches: string[][] = []
  sqs.on(SendMessageBatchCommand).callsFake(({ Entries }: { Entries: Entry[] }) => {
    batches.push(Entries.map(({ MessageBody = '' }) => MessageBody))
    return { Failed: failing(Entries).map(({ Id }) => ({ Id, Code: 'InternalError' })) }
  })
  return { sqs: new SQSClient({}), batches }
}

test('messages go out ten at a time, in order', async () => {
  const { sqs, batches } = client()
  await createQueue('url', sqs).send(Array.from({ length: 23 }, (_, n) => ({ n })))
  expect(batches.map((batch) => batch.length)).toEqual([10, 10, 3])
  expect(batches.flat()).toEqual(Array.from({ length: 23 }, (_, n) => `{"n":${n}}`))
})

test('bodies go back as they were, no batch larger than SQS takes', async () => {
  const { sqs, batches } = client()
  const bodies = ['not json {', 'x'.repeat(600_000), 'é'.repeat(300_000), '', '{"a" : 1}']
  await createSourceQueue('url', sqs).sendBodies(bodies)
  expect(batches.map((batch) => batch.length)).toEqual([2, 3])
  expect(batches.flat()).toEqual(bodies)
})

test('what SQS refuses is sent again alone, three times at the most', async () => {
  let left = 2
  const once = client((entries) => (left-- > 0 ? entries.slice(0, 1) : []))
  await createQueue('url', once.sqs).send([1, 2])
  expect(once.batches).toEqual([['1', '2'], ['1'], ['1']])
  const never = client((entries) => entries)
  await expect(createQueue('url', never.sqs).send([1])).rejects.toMatchObject({ code: 'unavailable' })
  expect(never.batches).toHaveLength(3)
})
