import { modelFromEnvironment } from '../lib/interviews/model.ts'
import { embedResume } from '../lib/interviews/resume-embedding.ts'
import { resumeMessage, resumeOfKey } from '../lib/interviews/resume-messages.ts'
import { readResume, removeOrphan } from '../lib/interviews/resume-reading.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { env } from '../lib/platform/names.ts'
import { decodeObjectKey } from '../lib/platform/object-key.ts'
import { backoffFromEnvironment, type MessageContext, queueFunction } from '../lib/platform/queue-function.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))
const model = modelFromEnvironment()

/** Takes up uploaded résumés: S3 events, and our own word to go on with one. */
export const handler = queueFunction(
  async (body, context) => {
    const message = resumeMessage.parse(body)
    if ('resume_id' in message) return read(message.resume_id, undefined, context)
    if (!('Records' in message)) return
    for (const { s3 } of message.Records) {
      const key = decodeObjectKey(s3.object.key)
      const id = resumeOfKey(key)
      if (id) await read(id, key, context)
      else logger.warn('An object arrived that belongs to no résumé')
    }
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)

async function read(id: string, key: string | undefined, { remainingMs }: MessageContext): Promise<void> {
  correlate(id)
  const context = { sql: connect(), storage, model, remainingMs }
  const started = performance.now()
  const outcome = await readResume(context, id)
  const duration_ms = Math.round(performance.now() - started)
  switch (outcome.outcome) {
    case 'done':
      metrics.addMetric('ResumesCompleted', MetricUnit.Count, 1)
      logger.info('Résumé read', { ...outcome.result, duration_ms })
      return
    case 'failed':
      countFailure(outcome.failure.code)
      logger.warn('Résumé cannot be read', { code: outcome.failure.code, duration_ms })
      return
    case 'ignored': {
      const embedded = await embedResume(context, id)
      if (embedded) {
        logger.info('Passages of a résumé tried again', embedded)
        return
      }
      const removed = key !== undefined && (await removeOrphan(context, id, key))
      logger.info('Résumé needed nothing', { removed, duration_ms })
    }
  }
}

function countFailure(reason: string): void {
  const single = metrics.singleMetric()
  single.addDimension('Reason', reason)
  single.addMetric('ResumesFailed', MetricUnit.Count, 1)
}
