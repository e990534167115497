import type { Sql } from '../platform/db.ts'
import { NotFoundError } from '../platform/errors.ts'
import { etagOf } from '../platform/http/etag.ts'
import type { InterviewState } from './interviews.ts'
import { buildTranscript, type StoredTurn, type Transcript, type TranscriptTurn } from './transcript.ts'

/** Turns of one response at most: half a day of talk. */
export const mostTurns = 5000

/** Bytes of one response's turns in Lambda's payload, which takes 6 MB and holds the body as a JSON text. */
export const mostBytes = 5_000_000

/** Characters of one text in a page: the four texts of a turn fit into it, whatever they consist of. */
const mostCharacters = 150_000
const cutMark = ' […]'

export type PageView = {
  /** Only the turns after this number; clock and total stay those of the whole. */
  afterSequenceNo?: number | undefined
  limit?: number | undefined
}

export type TranscriptPage = Pick<Transcript, 'source' | 'skipped_elements'> & {
  /** Of the whole interview. */
  total_turns: number
  turns: TranscriptTurn[]
  /** The number after which the next page begins; null at the end. */
  next: number | null
}

/** The first items that fit into a response: one at least, so that a walk always goes on. */
export function boundedPage<T>(items: readonly T[], limit: number, bytes = mostBytes): T[] {
  let left = bytes
  const end = items.slice(0, limit).findIndex((item, index) => {
    left -= payloadBytes(item)
    return left < 0 && index > 0
  })
  return items.slice(0, end === -1 ? limit : end)
}

function payloadBytes(item: unknown): number {
  return Buffer.byteLength(JSON.stringify(JSON.stringify(item))) + 1
}

/** A page of a transcript. Texts that would fill a response by themselves are cut: exports have them whole. */
export function pageOf(
  { source, skipped_elements, turns }: Transcript,
  { afterSequenceNo, limit = mostTurns }: PageView = {},
): TranscriptPage {
  const from =
    afterSequenceNo === undefined ? 0 : turns.findIndex(({ sequence_no }) => sequence_no > afterSequenceNo)
  const most = Math.min(limit, mostTurns)
  const rest = from === -1 ? [] : turns.slice(from)
  const page = boundedPage(rest.slice(0, most).map(cut), most)
  return {
    source,
    skipped_elements,
    total_turns: turns.length,
    turns: page,
    next: page.length < rest.length ? page.at(-1)!.sequence_no : null,
  }
}

function cut(turn: TranscriptTurn): TranscriptTurn {
  return {
    ...turn,
    speaker: cutText(turn.speaker),
    speaker_name: turn.speaker_name === null ? null : cutText(turn.speaker_name),
    content: cutText(turn.content),
    corrected_content: turn.corrected_content === null ? null : cutText(turn.corrected_content),
  }
}

function cutText(text: string): string {
  if (text.length <= mostCharacters) return text
  return text.slice(0, mostCharacters - cutMark.length).toWellFormed() + cutMark
}

type Read = Omit<StoredTurn, 'sequence_no'> & { sequence_no: number | null }

/**
 * A page of the transcript of an interview in one query. Until the account of the session is there, only the texts
 * of the page are read: of the other turns their number and times, which the clock is made of.
 */
export async function readTranscriptPage(
  sql: Sql,
  interviewId: string,
  view: PageView = {},
): Promise<TranscriptPage> {
  const after = view.afterSequenceNo ?? -1
  const most = Math.min(view.limit ?? mostTurns, mostTurns)
  const read = await sql<Read[]>`
    with account as (
      select transcript_json from sessions
      where interview_id = ${interviewId} and transcript_json is not null
    ), numbered as (
      select *, exists (select from account) or (sequence_no > ${after}::bigint
        and count(*) filter (where sequence_no > ${after}::bigint) over before < ${most}
        and coalesce(sum(octet_length(content)) filter (where sequence_no > ${after}::bigint) over before, 0)
          < ${mostBytes}) as shown
      from turns where interview_id = ${interviewId}
      window before as (order by sequence_no rows between unbounded preceding and 1 preceding)
    )
    select sequence_no, speaker, speaker_name, case when shown then content else '' end as content,
      timestamp_sec, is_ai_question, created_at
    from numbered
    union all
    select null, null, null, transcript_json, null, null, null from account`
  const rows = read.filter((row): row is StoredTurn => row.sequence_no !== null)
  const account = read.find((row) => row.sequence_no === null)
  return pageOf(buildTranscript(interviewId, rows, account?.content ?? null), view)
}

/** What tells whether anything was said, or happened to an interview, since it was last asked for. */
export type TranscriptMark = {
  id: string
  state: InterviewState
  created_at: Date
  started_at: Date | null
  transcript_expired_at: Date | null
  transcript_version: number
}

/** Reads no turn. Throws NotFoundError where the team has no such interview. */
export async function readMark(sql: Sql, teamId: string, interviewId: string): Promise<TranscriptMark> {
  const [mark] = await sql<TranscriptMark[]>`
    select i.id, i.state, i.created_at, i.started_at, i.transcript_expired_at,
      coalesce(s.transcript_version, 0) as transcript_version
    from interviews i left join sessions s on s.interview_id = i.id
    where i.id = ${interviewId} and i.team_id = ${teamId}`
  if (!mark) throw new NotFoundError('Interview not found')
  return mark
}

/** Goes up with each change of what responses are made of turns: a client must not keep those of another form. */
const form = 1

/** The entity tag of a response about a transcript, without its turns: `view` is what else was asked for. */
export function markTag(mark: TranscriptMark, view: object): string {
  return etagOf(JSON.stringify([form, mark, view]))
}
