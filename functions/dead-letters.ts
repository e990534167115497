import { exportOwners } from '../lib/exports/dead-letter.ts'
import { importOwners } from '../lib/imports/dead-letter.ts'
import { finishOwed } from '../lib/imports/store.ts'
import { interviewOwners } from '../lib/interviews/dead-letter.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { recordDeadLetter } from '../lib/platform/dead-letters.ts'
import { ConfigurationError } from '../lib/platform/errors.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { env, type QueueName, queues } from '../lib/platform/names.ts'
import { createQueue } from '../lib/platform/queue.ts'
import { recordFunction } from '../lib/platform/queue-function.ts'

const maxReceiveCount = numberEnv(env.maxReceiveCount, 5)
const owners = {
  ...importOwners(maxReceiveCount),
  ...exportOwners(maxReceiveCount),
  ...interviewOwners(maxReceiveCount),
}
const finish = createQueue(requiredEnv(env.importFinishQueueUrl))

/** `arn:...:insighta-<stage>-import-slices-dlq` holds the dead letters of import-slices. */
function queueOf(arn: string): QueueName {
  const name = Object.values(queues).find((name) => arn.endsWith(`-${name}-dlq`))
  if (name) return name
  throw new ConfigurationError(`No queue of this product has the dead-letter queue ${arn}`)
}

/** Takes messages out of the dead-letter queues into the table where people look, choose and redrive. */
export const handler = recordFunction(async (record) => {
  const { ApproximateReceiveCount, SentTimestamp } = record.attributes
  const queue = queueOf(record.eventSourceARN)
  const sql = connect()
  const { ownerId, verdict } = await recordDeadLetter(sql, queue, owners[queue], {
    id: record.messageId,
    body: record.body,
    attributes: { ApproximateReceiveCount, SentTimestamp },
    receiveCount: Number(ApproximateReceiveCount),
    sentAt: new Date(Number(SentTimestamp)),
  })
  if (ownerId !== null) {
    correlate(ownerId)
    // After the commit, and again whenever the letter comes again: an import whose last slice failed has an end too.
    if (await finishOwed(sql, ownerId)) await finish.send([{ import_id: ownerId }])
  }
  logger.warn('Dead letter recorded', {
    queue,
    message_id: record.messageId,
    ...(verdict && { reason: verdict.error, cause: verdict.cause, moot: verdict.moot }),
  })
})
