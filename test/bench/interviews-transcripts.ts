import type { Sql } from '../../lib/platform/db.ts'
import { type Turn, turnsOf } from './interviews-events.ts'
import { createInterviews, type InterviewPartOptions } from './interviews-part.ts'
import type { PartResult } from './query-part.ts'
import { figure, table } from './report.ts'
import { quantile } from './statistics.ts'

const turnsEach = 1000
const warmingAsks = 10

/** Where the turns of a transcript are, by the `source` that the answer names. */
export const sources = {
  turns: 'from rows',
  merged: 'from rows, every tenth from the account of the session',
  snapshot: 'from the account of the session',
} as const
export type Source = keyof typeof sources

type Answer = { source: string; total_turns: number; turns: unknown[] }

/** Transcripts of long interviews, from wherever their turns are. */
export async function readTranscripts({ cloud, transcriptAsks }: InterviewPartOptions): Promise<PartResult> {
  const names = Object.keys(sources) as Source[]
  const ids = await createInterviews(cloud, names.length)
  const asked = new Map<Source, { path: string; times: number[]; kib: number }>()
  for (const [index, source] of names.entries()) {
    const id = ids[index]!
    await storeTranscript(cloud.sql, turnsOf(id, turnsEach, index), source)
    asked.set(source, { path: `/api/interviews/${id}/transcript`, times: [], kib: 0 })
  }
  for (let n = -warmingAsks; n < transcriptAsks; n++) {
    for (const [source, one] of asked) {
      const { body, ms, headers } = await cloud.api.call<Answer>('GET', one.path)
      if (body.source !== source || body.turns.length !== turnsEach) {
        throw new Error(
          `${one.path} answers ${body.turns.length} turns from ${body.source}, not from ${source}`,
        )
      }
      one.kib = Number(headers.get('content-length')) / 1024
      if (n >= 0) one.times.push(ms)
    }
  }
  return {
    goals: [...asked].map(([source, { times }]) => ({
      name: `transcript of ${figure(turnsEach)} turns (${source}), p95`,
      value: quantile(times, 0.95),
      limit: 50,
      unit: 'ms',
    })),
    text: `### Transcripts of ${figure(turnsEach)} turns

${table(
  ['ms over HTTP', 'source', 'KiB', 'asked', 'p50', 'p95', 'p99', 'max'],
  [...asked].map(([source, { times, kib }]) => [
    sources[source],
    source,
    figure(kib),
    figure(times.length),
    ...[0.5, 0.95, 0.99, 1].map((q) => figure(quantile(times, q), 1)),
  ]),
)}

One after the other, in turns; each to the last byte of its answer.`,
    bars: [],
  }
}

/** Stores the turns of one interview so that its transcript comes from `source`. */
export async function storeTranscript(sql: Sql, turns: readonly Turn[], source: Source): Promise<void> {
  const rows = { turns, merged: turns.filter((_, index) => index % 10 !== 9), snapshot: [] }[source]
  await sql`
    insert into turns (interview_id, sequence_no, speaker, content, timestamp_sec, is_ai_question)
    select * from jsonb_to_recordset(${sql.json([...rows])}) as turn (
      interview_id uuid, sequence_no int, speaker text, content text, timestamp_sec double precision,
      is_ai_question boolean)`
  if (source === 'turns') return
  await sql`
    update sessions set transcript_json = ${JSON.stringify(turns)} where interview_id = ${turns[0]!.interview_id}`
}
