import { emailMessage } from '../lib/interviews/email-store.ts'
import { sendEmail } from '../lib/interviews/emails.ts'
import { mailerFromEnvironment } from '../lib/interviews/model.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { correlate, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { env } from '../lib/platform/names.ts'
import { backoffFromEnvironment, queueFunction } from '../lib/platform/queue-function.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'

const mailer = mailerFromEnvironment()
const consoleUrl = requiredEnv(env.consoleUrl)
const mailFrom = requiredEnv(env.mailFrom)

/** Sends one e-mail. */
export const handler = queueFunction(
  async (body, { remainingMs }) => {
    const { email_id } = emailMessage.parse(body)
    correlate(email_id)
    const outcome = await sendEmail({ sql: connect(), mailer, consoleUrl, mailFrom, remainingMs }, email_id)
    switch (outcome.outcome) {
      case 'done':
        if (outcome.result.state === 'queued') {
          logger.warn('E-mail waits for the quota', { kind: outcome.result.kind })
          return
        }
        count(
          outcome.result.state === 'sent' ? 'EmailsSent' : 'EmailsSuppressed',
          'Kind',
          outcome.result.kind,
        )
        logger.info('E-mail worked on', outcome.result)
        return
      case 'failed':
        count('EmailsFailed', 'Reason', outcome.failure.code)
        logger.error('E-mail cannot be sent', { code: outcome.failure.code, reason: outcome.failure.message })
        return
      case 'ignored':
        logger.info('E-mail needed nothing')
    }
  },
  { backoff: backoffFromEnvironment(), pulse: pulseFromEnvironment() },
)

function count(metric: string, dimension: string, value: string): void {
  const single = metrics.singleMetric()
  single.addDimension(dimension, value)
  single.addMetric(metric, MetricUnit.Count, 1)
}
