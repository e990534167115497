import { applyEvent } from '../lib/interviews/events.ts'
import { webhookMessage } from '../lib/interviews/webhooks.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { env, queues } from '../lib/platform/names.ts'
import { createSourceQueue } from '../lib/platform/queue.ts'
import { backoffFromEnvironment, queueFunction } from '../lib/platform/queue-function.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))
const outbox = { [queues.assessments]: createSourceQueue(requiredEnv(env.assessmentsQueueUrl)) }

/** Applies what agents, LiveKit and Resend tell, one event at a time. */
export const handler = queueFunction(
  async (body) => {
    const message = webhookMessage.parse(body)
    const { source, id } = message
    logger.appendKeys({ source, event_id: id })
    const { type, outcome, interviewId } = await applyEvent(
      { sql: connect(), storage, queues: outbox },
      message,
    )
    if (interviewId) correlate(interviewId)
    logger.info('Webhook event handled', { type, outcome })
    const single = metrics.singleMetric()
    single.addDimension('Outcome', outcome)
    single.addMetric('InterviewEvents', MetricUnit.Count, 1)
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)
