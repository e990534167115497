import { attemptSlice } from '../lib/imports/attempt.ts'
import { insertSlice } from '../lib/imports/insert.ts'
import { sliceMessage } from '../lib/imports/messages.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { env } from '../lib/platform/names.ts'
import { createQueue } from '../lib/platform/queue.ts'
import { backoffFromEnvironment, queueFunction } from '../lib/platform/queue-function.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))
const finish = createQueue(requiredEnv(env.importFinishQueueUrl))

/** Inserts one slice of an uploaded file. */
export const handler = queueFunction(
  async (body) => {
    const { import_id, slice_no } = sliceMessage.parse(body)
    correlate(import_id)
    logger.appendKeys({ slice_no })
    const started = performance.now()
    const sql = connect()
    const result = await attemptSlice(sql, import_id, slice_no, () =>
      insertSlice({ sql, storage, finish }, import_id, slice_no),
    )
    const duration_ms = Math.round(performance.now() - started)
    if (result.outcome === 'upload_lost') {
      logger.warn('The upload is gone: what was not read of it fails')
      return
    }
    if (result.outcome !== 'done') {
      logger.info('Slice needed nothing', { outcome: result.outcome })
      return
    }
    const { inserted, skipped, reasons, dry_run } = result
    metrics.addMetric('SliceDuration', MetricUnit.Milliseconds, duration_ms)
    logger.info('Slice inserted', { inserted, skipped, duration_ms, dry_run })
    if (dry_run) return
    metrics.addMetric('RowsInserted', MetricUnit.Count, inserted)
    for (const [reason, count] of Object.entries(reasons)) {
      const single = metrics.singleMetric()
      single.addDimension('Reason', reason)
      single.addMetric('RowsSkipped', MetricUnit.Count, count)
    }
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)
