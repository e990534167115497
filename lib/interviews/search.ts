import { hash } from 'node:crypto'
import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { UnprocessableError } from '../platform/errors.ts'
import { lineOfText } from './text.ts'
import { type Transcript, turnId } from './transcript.ts'

/** Words of a search at most: what a match costs PostgreSQL grows with their square. */
const maxWords = 32

/** What is looked for, as the API takes it. */
export const searchText = lineOfText(500).refine(
  (q) => (q.match(/[\p{L}\p{N}]+/gu)?.length ?? 0) <= maxWords,
  {
    error: `must have at most ${maxWords} words`,
  },
)

export const turnHitSchema = z
  .strictObject({
    interview_id: z.uuid(),
    turn_id: z.uuid(),
    sequence_no: z.int(),
    snippet: z.string().meta({ description: 'Text, not HTML: what was found stands between ** and **' }),
    role_title: z.string(),
    candidate_name: z.string(),
  })
  .meta({ id: 'TurnHit' })
export type TurnHit = z.output<typeof turnHitSchema>

export type TurnPage = { limit: number; cursor?: string | undefined }

type Place = { rank: number; interview_id: string; sequence_no: number }
type Found = Place & Omit<TurnHit, 'turn_id'>

/** Control characters that no stored text needs: they stand where ts_headline marks what was found. */
const [start, stop] = ['\u0002', '\u0003']
const headline = `StartSel=${start}, StopSel=${stop}, MaxWords=35, MinWords=15`

/**
 * Characters of a turn that ts_headline is given: a repeated word and a phrase of it cost it 0.7 s in 6,000
 * characters and 26 s in 25,000. Pieces overlap, so that a phrase lies within one of them.
 */
const [pieceLength, pieceStep] = [2000, 1800]

/** PostgreSQL refuses more than 32 hyphens in a row, each of which would negate what the one before negates. */
function withoutRepeatedHyphens(q: string): string {
  return q.replaceAll(/-(?:[\s!&|()]*-)+/g, '-')
}

/**
 * The turns of the team's interviews that hold what is looked for, the best first: words in any of their
 * forms, "a phrase", either or another, -without; hyphens in a row count as one. Words that every text has, such
 * as "the", find nothing.
 * Throws UnprocessableError (`invalid_cursor`) where the cursor is not one of this search.
 */
export async function searchTurns(
  sql: Sql,
  teamId: string,
  q: string,
  { limit, cursor }: TurnPage,
): Promise<{ hits: TurnHit[]; next_cursor: string | null }> {
  const after = cursor === undefined ? undefined : decodeCursor(cursor, q)
  const words = withoutRepeatedHyphens(q.replaceAll('\0', ' '))
  const rows = await sql<Found[]>`
    with hits as (
      select t.interview_id, t.sequence_no, t.content, query, ts_rank_cd(t.words, query) as rank
      from turn_texts t, websearch_to_tsquery('english', ${words}) query
      where t.team_id = ${teamId} and t.words @@ query
    ), page as (
      select * from hits
      ${after ? sql`where (-rank, interview_id, sequence_no) > (${-after.rank}::real, ${after.interview_id}, ${after.sequence_no})` : sql``}
      order by -rank, interview_id, sequence_no limit ${limit + 1}
    )
    select page.interview_id, page.sequence_no, page.rank, i.role_title, c.full_name as candidate_name,
      ts_headline('english', translate(best.piece, ${start + stop}, ''), query, ${headline}) as snippet
    from page
    cross join lateral (
      select piece from generate_series(1, greatest(length(page.content), 1), ${pieceStep}) place,
        substr(page.content, place, ${pieceLength}) piece, to_tsvector('english', piece) piece_words
      order by (piece_words @@ query) desc, ts_rank(piece_words, query) desc, place limit 1
    ) best
    join interviews i on i.id = page.interview_id
    join candidates c on c.id = i.candidate_id
    order by -page.rank, page.interview_id, page.sequence_no`
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { hits: shown.map(toHit), next_cursor: last && rows.length > limit ? encodeCursor(last, q) : null }
}

function toHit({ rank: _, snippet, ...row }: Found): TurnHit {
  return {
    ...row,
    turn_id: turnId(row.interview_id, row.sequence_no),
    snippet: snippet.replaceAll(start, '**').replaceAll(stop, '**'),
  }
}

/** Binds a cursor to its search: 48 bits, against mistakes, not a signature. */
function searchDigest(q: string): string {
  return hash('sha256', q, 'base64url').slice(0, 8)
}

function encodeCursor({ rank, interview_id, sequence_no }: Place, q: string): string {
  return Buffer.from(JSON.stringify([searchDigest(q), rank, interview_id, sequence_no])).toString('base64url')
}

function decodeCursor(cursor: string, q: string): Place {
  const decoded = z
    .tuple([z.literal(searchDigest(q)), z.number(), z.uuid(), z.int32()])
    .safeParse(decodeJson(cursor))
  if (!decoded.success) {
    const message = 'The cursor is not one of this search'
    throw new UnprocessableError(message, [{ field: 'cursor', message }], 'invalid_cursor')
  }
  const [, rank, interview_id, sequence_no] = decoded.data
  return { rank, interview_id, sequence_no }
}

function decodeJson(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString())
  } catch {
    return undefined
  }
}

/** Characters of a turn that are searched: PostgreSQL refuses a text whose words fill more than 1 MB. */
const searchedCharacters = 100_000

/** Makes the turns of a transcript, or some of them, findable by the team. May run again, and beside itself. */
export async function indexTranscript(
  tx: Transaction,
  teamId: string,
  interviewId: string,
  { turns }: Pick<Transcript, 'turns'>,
): Promise<void> {
  const texts = turns.map(({ sequence_no, content }) => ({
    sequence_no,
    content: content.slice(0, searchedCharacters).toWellFormed(),
  }))
  await tx`
    insert into turn_texts (interview_id, team_id, sequence_no, content)
    select ${interviewId}, ${teamId}, sequence_no, content
    from jsonb_to_recordset(${tx.json(texts)}) as turn (sequence_no int, content text)
    order by sequence_no
    on conflict (interview_id, sequence_no) do update set content = excluded.content
    where turn_texts.content <> excluded.content`
}
