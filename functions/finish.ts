import { attemptImport } from '../lib/imports/attempt.ts'
import { finish } from '../lib/imports/finish.ts'
import { importMessage } from '../lib/imports/messages.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { env } from '../lib/platform/names.ts'
import { backoffFromEnvironment, queueFunction } from '../lib/platform/queue-function.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))

/** Ends an import whose slices have all ended. */
export const handler = queueFunction(
  async (body) => {
    const { import_id } = importMessage.parse(body)
    correlate(import_id)
    const sql = connect()
    const state = await attemptImport(sql, import_id, () => finish({ sql, storage }, import_id))
    if (!state) return
    if (state !== 'cancelled') metrics.addMetric('ImportsCompleted', MetricUnit.Count, 1)
    logger.info('Import finished', { state })
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)
