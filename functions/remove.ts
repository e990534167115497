import { attemptImport } from '../lib/imports/attempt.ts'
import { importMessage } from '../lib/imports/messages.ts'
import { removeProfiles } from '../lib/imports/remove.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { env } from '../lib/platform/names.ts'
import { createQueue } from '../lib/platform/queue.ts'
import { backoffFromEnvironment, queueFunction } from '../lib/platform/queue-function.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const self = createQueue(requiredEnv(env.importRemovalsQueueUrl))

/** Takes out what an import put in. */
export const handler = queueFunction(
  async (body, { remainingMs }) => {
    const { import_id } = importMessage.parse(body)
    correlate(import_id)
    const sql = connect()
    const outcome = await attemptImport(sql, import_id, () =>
      removeProfiles({ sql, self, remainingMs }, import_id),
    )
    logger.info('Removal worked on', { outcome: outcome ?? 'nothing to do' })
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)
