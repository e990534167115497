import { attemptImport } from '../lib/imports/attempt.ts'
import { importOfKey, objectMessage } from '../lib/imports/messages.ts'
import { sliceLimits } from '../lib/imports/slices.ts'
import { splitImport } from '../lib/imports/split.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { env } from '../lib/platform/names.ts'
import { createQueue } from '../lib/platform/queue.ts'
import { backoffFromEnvironment, type MessageContext, queueFunction } from '../lib/platform/queue-function.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))
const self = createQueue(requiredEnv(env.importObjectsQueueUrl))
const slices = createQueue(requiredEnv(env.importSlicesQueueUrl))
const finish = createQueue(requiredEnv(env.importFinishQueueUrl))
const limits = { ...sliceLimits, records: numberEnv(env.importSliceRecords, sliceLimits.records) }

async function split(id: string, etag: string | undefined, { remainingMs }: MessageContext): Promise<void> {
  // One id from the upload's request to the report: the import's own.
  correlate(id)
  const sql = connect()
  const context = { sql, storage, self, slices, finish, remainingMs, limits }
  const outcome = await attemptImport(sql, id, () => splitImport(context, id, etag))
  if (outcome === 'failed') metrics.addMetric('ImportsFailed', MetricUnit.Count, 1)
  logger.info('Upload scanned', { outcome })
}

/** Takes up uploaded files: S3 events, and its own word to go on with a long file. */
export const handler = queueFunction(
  async (body, context) => {
    const message = objectMessage.parse(body)
    if ('continue_import_id' in message) return split(message.continue_import_id, undefined, context)
    if (!('Records' in message)) return
    for (const { s3 } of message.Records) {
      const id = importOfKey(s3.object.key)
      if (id) await split(id, s3.object.eTag, context)
      else logger.warn('An object arrived that belongs to no import')
    }
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)
