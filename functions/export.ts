import { exportMessage, writeExport } from '../lib/exports/write.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { env } from '../lib/platform/names.ts'
import { backoffFromEnvironment, queueFunction } from '../lib/platform/queue-function.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))

/** Writes the file of one export. */
export const handler = queueFunction(
  async (body, { remainingMs }) => {
    const { export_id } = exportMessage.parse(body)
    correlate(export_id)
    const started = performance.now()
    const result = await writeExport({ sql: connect(), storage, remainingMs }, export_id)
    const duration_ms = Math.round(performance.now() - started)
    if (result.outcome === 'failed') metrics.addMetric('ExportsFailed', MetricUnit.Count, 1)
    if (result.outcome === 'completed') {
      metrics.addMetric('ExportRows', MetricUnit.Count, result.rows)
      metrics.addMetric('ExportDuration', MetricUnit.Milliseconds, duration_ms)
    }
    logger.info('Export worked on', { ...result, duration_ms })
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)
