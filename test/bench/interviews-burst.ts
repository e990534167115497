import { scrambledEvents, turnsOf } from './interviews-events.ts'
import { refusals, sendWebhooks } from './interviews-load.ts'
import { countFaults, createInterviews, drained, type InterviewPartOptions } from './interviews-part.ts'
import type { PartResult } from './query-part.ts'
import { figure, table } from './report.ts'

const interviews = 100
/** The share of the events that come a second time. */
const doubledShare = 0.05
const atOnce = 8

/** Many events as fast as they are taken, some of them twice and none in order, until the last is applied. */
export async function drainBurst({ cloud, sign, burstEvents }: InterviewPartOptions): Promise<PartResult> {
  const again = Math.round(burstEvents * doubledShare)
  const each = Math.floor((burstEvents - again) / interviews)
  const ids = await createInterviews(cloud, interviews)
  const turns = ids.flatMap((id, index) => turnsOf(id, each, index))
  const events = scrambledEvents(turns, again, 1)
  const webhooks = events.map(sign)

  const started = Date.now()
  const secondsUntil = (at: number) => (at - started) / 1000
  const samples = await sendWebhooks(cloud.url, webhooks, { atOnce })
  const sent = secondsUntil(Date.now())
  const accepted = events.filter((_, n) => samples[n]!.status === 202)
  const last = await drained(cloud, ids, new Set(accepted.map(({ id }) => id)).size)
  const applied = secondsUntil(last?.getTime() ?? Number.NaN)
  const kept = new Set<object>(accepted.map(({ data }) => data))
  const { lost, doubled } = await countFaults(
    cloud.sql,
    turns.filter((turn) => kept.has(turn)),
  )
  return {
    goals: [
      {
        name: 'burst: webhooks without a 202',
        value: events.length - accepted.length,
        limit: 0,
        unit: 'webhooks',
      },
      { name: 'burst: accepted turns lost', value: lost, limit: 0, unit: 'turns' },
      { name: 'burst: turns doubled', value: doubled, limit: 0, unit: 'turns' },
    ],
    text: `### A burst of ${figure(events.length)} webhooks

${table(
  ['from the first webhook on', 's', 'webhooks/s'],
  [
    ['all are answered with 202', figure(sent, 1), figure(events.length / sent)],
    ['all are in the database', figure(applied, 1), figure(events.length / applied)],
  ],
)}

${figure(turns.length)} turns of ${interviews} interviews in an order by lot, ${atOnce} webhooks at once, ${figure(again)} of them again: half as they were, half
under another id. Refused: ${refusals(samples)}. Every turn is looked up afterwards. Two workers apply them, ten events
an invocation at the most and each in a transaction of its own, on the same machine that sends and receives.`,
    bars: [],
  }
}
