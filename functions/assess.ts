import { assessmentMessage } from '../lib/interviews/assessment-store.ts'
import { assess } from '../lib/interviews/assessments.ts'
import { modelFromEnvironment } from '../lib/interviews/model.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { env, queues } from '../lib/platform/names.ts'
import { createSourceQueue } from '../lib/platform/queue.ts'
import { backoffFromEnvironment, queueFunction } from '../lib/platform/queue-function.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const model = modelFromEnvironment()
const outbox = { [queues.emails]: createSourceQueue(requiredEnv(env.emailsQueueUrl)) }

/** Makes the assessment of one interview. */
export const handler = queueFunction(
  async (body, { remainingMs }) => {
    const { interview_id } = assessmentMessage.parse(body)
    correlate(interview_id)
    const started = performance.now()
    const outcome = await assess({ sql: connect(), model, queues: outbox, remainingMs }, interview_id)
    const duration_ms = Math.round(performance.now() - started)
    switch (outcome.outcome) {
      case 'done':
        metrics.addMetric('AssessmentsCompleted', MetricUnit.Count, 1)
        metrics.addMetric('AssessmentDuration', MetricUnit.Milliseconds, duration_ms)
        logger.info('Interview assessed', { generation: outcome.result.generation, duration_ms })
        return
      case 'failed':
        countFailure(outcome.failure.code)
        logger.error('Interview cannot be assessed', { code: outcome.failure.code, duration_ms })
        return
      case 'ignored':
        logger.info('Assessment needed nothing', { duration_ms })
    }
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)

function countFailure(reason: string): void {
  const single = metrics.singleMetric()
  single.addDimension('Reason', reason)
  single.addMetric('AssessmentsFailed', MetricUnit.Count, 1)
}
