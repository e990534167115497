import type { Metrics } from '../metrics.ts'
import type { Sqs } from '../sqs.ts'

const everyMs = 5_000

/** Records what SQS tells CloudWatch of each queue, every five seconds until it is closed. */
export function watchQueues(sqs: Sqs, metrics: Metrics): { close(): void } {
  const timer = setInterval(() => recordQueues(sqs, metrics), everyMs)
  return { close: () => clearInterval(timer) }
}

/** The depth of each queue and the age of its oldest message now, under the dimension `QueueName`. */
export function recordQueues(sqs: Pick<Sqs, 'queues' | 'inspect'>, metrics: Metrics, now = Date.now()): void {
  for (const { name } of sqs.queues()) {
    const found = sqs.inspect(name)
    if (!found) continue
    const { ready, inFlight } = found
    const oldest = [...ready, ...inFlight].reduce(
      (time, { sentTimestamp }) => Math.min(time, sentTimestamp),
      now,
    )
    const points = {
      ApproximateNumberOfMessagesVisible: ready.length,
      ApproximateNumberOfMessagesNotVisible: inFlight.length,
      ApproximateAgeOfOldestMessage: (now - oldest) / 1000,
    }
    for (const [metric, value] of Object.entries(points)) {
      const unit = metric.startsWith('ApproximateAge') ? 'Seconds' : 'Count'
      metrics.record({ namespace: 'AWS/SQS', metric, dimensions: { QueueName: name }, value, unit })
    }
  }
}
