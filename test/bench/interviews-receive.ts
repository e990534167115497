import { turnEvent, turnsOf } from './interviews-events.ts'
import { refusals, sendWebhooks } from './interviews-load.ts'
import { countFaults, createInterviews, drained, type InterviewPartOptions } from './interviews-part.ts'
import type { PartResult } from './query-part.ts'
import { figure, table } from './report.ts'
import { quantile } from './statistics.ts'

const perSecond = 100
const interviews = 50

/** Signed turns at a fixed rate, each measured from when it was due to its 202. */
export async function receiveWebhooks({
  cloud,
  sign,
  receiveSeconds,
}: InterviewPartOptions): Promise<PartResult> {
  const ids = await createInterviews(cloud, interviews)
  const each = Math.ceil((perSecond * receiveSeconds) / interviews)
  const spoken = ids.map((id, index) => turnsOf(id, each, index))
  // All interviews are held at once: the first turn of each, then the second.
  const turns = Array.from({ length: each }, (_, at) => spoken.map((one) => one[at]!)).flat()
  const webhooks = turns.map((turn) => sign(turnEvent(turn)))
  const samples = await sendWebhooks(cloud.url, webhooks, { perSecond })
  const sent = Date.now()
  const accepted = turns.filter((_, n) => samples[n]!.status === 202)
  const last = await drained(cloud, ids, accepted.length)
  const { lost, doubled } = await countFaults(cloud.sql, accepted)
  const times = samples.map(({ ms }) => ms)
  const behind = Math.max(0, (last?.getTime() ?? Number.NaN) - sent) / 1000
  return {
    goals: [
      { name: 'webhook to its 202, p95', value: quantile(times, 0.95), limit: 50, unit: 'ms' },
      { name: 'webhooks without a 202', value: turns.length - accepted.length, limit: 0, unit: 'webhooks' },
      { name: 'accepted turns lost or doubled', value: lost + doubled, limit: 0, unit: 'turns' },
    ],
    text: `### Webhooks at ${perSecond} a second

${table(
  ['ms', 'webhooks', 'p50', 'p95', 'p99', 'max'],
  [
    [
      'from when it was due to its 202',
      figure(times.length),
      ...[0.5, 0.95, 0.99, 1].map((q) => figure(quantile(times, q), 1)),
    ],
  ],
)}

Signed turns of ${interviews} interviews, at fixed times for ${receiveSeconds} s, while the worker applies them on the same machine: the
last one was in the database ${figure(behind, 1)} s after the last 202. Refused: ${refusals(samples)}.`,
    bars: [],
  }
}
