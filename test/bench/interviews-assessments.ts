import { setTimeout as wait } from 'node:timers/promises'
import type { Sql } from '../../lib/platform/db.ts'
import { turnsOf } from './interviews-events.ts'
import { sendWebhooks } from './interviews-load.ts'
import { createInterviews, type InterviewPartOptions } from './interviews-part.ts'
import type { PartResult } from './query-part.ts'
import { figure, table } from './report.ts'
import { median } from './statistics.ts'

const turnsEach = 20

/** From the end of a session to its assessment, by a model that answers at once. */
export async function assessSessions({
  cloud,
  sign,
  assessments,
}: InterviewPartOptions): Promise<PartResult> {
  // The first one starts the functions and is not measured.
  const ids = await createInterviews(cloud, assessments + 1)
  const times: number[] = []
  for (const [index, interview_id] of ids.entries()) {
    const data = { interview_id, transcript: turnsOf(interview_id, turnsEach, index) }
    const started = performance.now()
    const [sample] = await sendWebhooks(
      cloud.url,
      [sign({ id: `${interview_id}-completed`, type: 'session.completed', data })],
      { atOnce: 1 },
    )
    if (sample!.status !== 202) throw new Error(`The end of a session was answered ${sample!.status}`)
    await assessed(cloud.sql, interview_id)
    if (index > 0) times.push(performance.now() - started)
  }
  return {
    goals: [],
    text: `### From the end of a session to its assessment

${table(
  ['ms', 'sessions', 'p50', 'least', 'most'],
  [
    [
      'from `session.completed` to the completed assessment',
      times.length,
      ...[median(times), Math.min(...times), Math.max(...times)].map((ms) => figure(ms)),
    ],
  ],
)}

One after the other, ${turnsEach} turns each, with the simulated Gemini, which answers at once: what is left is our own way
through two queues and four functions. For information; the real model takes seconds.`,
    bars: [],
  }
}

/** Waits for the assessment. Throws where it failed. */
async function assessed(sql: Sql, interviewId: string): Promise<void> {
  for (;;) {
    const [row] = await sql<{ state: string; failure: unknown }[]>`
      select state, failure from assessments where interview_id = ${interviewId}`
    if (row?.state === 'completed') return
    if (row?.state === 'failed') throw new Error(`An assessment failed: ${JSON.stringify(row.failure)}`)
    await wait(5)
  }
}
