import { hash } from 'node:crypto'
import type postgres from 'postgres'
import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { UnprocessableError } from '../platform/errors.ts'
import { foldedText, folding, tokensOf } from './folding.ts'
import { foldedQuery } from './search-query.ts'
import { type Found, snippetOf } from './snippet.ts'
import { lineOfText } from './text.ts'
import { turnId } from './transcript.ts'

/** Words of a search at most: what a match costs PostgreSQL grows with their square. */
const maxWords = 32

/** The same of characters in scripts that write no blanks between words. */
const maxCharacters = 100

/** What is looked for, as the API takes it. */
export const searchText = lineOfText(500)
  .refine((q) => (q.match(/[\p{L}\p{N}]+/gu)?.length ?? 0) <= maxWords, {
    error: `must have at most ${maxWords} words`,
  })
  .refine((q) => [...tokensOf(q)].length <= maxCharacters, {
    error: `must have at most ${maxCharacters} characters of a script without blanks`,
  })

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
type Hit = Place & Omit<TurnHit, 'turn_id' | 'snippet'> & { content: string; found: Found[] }

/** As websearch_to_tsquery has it; one character of a script without blanks may have others behind it. */
function tsquery(sql: Sql, q: string): postgres.Fragment {
  return sql`regexp_replace(websearch_to_tsquery('english', ${foldedQuery(q)})::text,
    ${"'(zq[0-9a-f]{5})'"}, ${String.raw`'\1':*`}, 'g')::tsquery`
}

/** The turns of a team that hold what is looked for, each with its rank. */
export function matches(sql: Sql, teamId: string, q: string): postgres.Fragment {
  const query = tsquery(sql, q)
  return sql`
    select interview_id, sequence_no, content, tokens, ts_rank_cd(tokens, ${query}) as rank
    from turn_texts where team_id = ${teamId} and tokens @@ ${query}`
}

/**
 * The turns of the team's interviews that hold what is looked for, the best first: words in any of their
 * English forms, "a phrase", either or another, -without, whatever their case and accents; in scripts that write no
 * blanks between words any characters in a row. Words that every text has, such as "the", find nothing.
 * Throws UnprocessableError (`invalid_cursor`) where the cursor is not one of this search.
 */
export async function searchTurns(
  sql: Sql,
  teamId: string,
  q: string,
  { limit, cursor }: TurnPage,
): Promise<{ hits: TurnHit[]; next_cursor: string | null }> {
  const after = cursor === undefined ? undefined : decodeCursor(cursor, q)
  const rows = await sql<Hit[]>`
    with hits as (${matches(sql, teamId, q)}), page as (
      select * from hits
      ${after ? sql`where (-rank, interview_id, sequence_no) > (${-after.rank}::real, ${after.interview_id}, ${after.sequence_no})` : sql``}
      order by -rank, interview_id, sequence_no limit ${limit + 1}
    ), wanted as (
      select distinct m[1] as lexeme, m[2] is not null as open
      from regexp_matches(querytree(${tsquery(sql, q)}), ${String.raw`'([a-z0-9]+)'(:\*)?`}, 'g') m
    )
    select page.interview_id, page.sequence_no, page.rank, page.content,
      i.role_title, c.full_name as candidate_name,
      coalesce((
        select jsonb_agg(jsonb_build_object('position', position, 'lexeme', wanted.lexeme, 'open', open)
          order by position)
        from unnest(page.tokens) held, wanted, unnest(held.positions) position
        where held.lexeme = wanted.lexeme or (open and starts_with(held.lexeme, wanted.lexeme))
      ), '[]') as found
    from page
    join interviews i on i.id = page.interview_id
    join candidates c on c.id = i.candidate_id
    order by -page.rank, page.interview_id, page.sequence_no`
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { hits: shown.map(toHit), next_cursor: last && rows.length > limit ? encodeCursor(last, q) : null }
}

function toHit({ rank: _, content, found, ...row }: Hit): TurnHit {
  return { ...row, turn_id: turnId(row.interview_id, row.sequence_no), snippet: snippetOf(content, found) }
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

/** Characters of a turn that are searched. */
const searchedCharacters = 100_000

type Text = { sequence_no: number; content: string }

/** Makes the turns of a transcript, or some of them, findable by the team. May run again, and beside itself. */
export async function indexTranscript(
  tx: Transaction,
  teamId: string,
  interviewId: string,
  { turns }: { turns: readonly Text[] },
): Promise<void> {
  const texts = turns.map(({ sequence_no, content }) => ({
    sequence_no,
    content: content.slice(0, searchedCharacters).toWellFormed(),
  }))
  const missing = await tx<{ sequence_no: number }[]>`
    select turn.sequence_no
    from jsonb_to_recordset(${tx.json(texts)}) as turn (sequence_no int, content text)
    left join turn_texts t on t.interview_id = ${interviewId} and t.sequence_no = turn.sequence_no
    where t.content is distinct from turn.content or t.folding <> ${folding}`
  const numbers = new Set(missing.map(({ sequence_no }) => sequence_no))
  const rows = texts
    .filter(({ sequence_no }) => numbers.has(sequence_no))
    .map((text) => ({ ...text, folded: foldedText(text.content) }))
  if (rows.length === 0) return
  await tx`
    insert into turn_texts (interview_id, team_id, sequence_no, content, tokens, folding)
    select ${interviewId}, ${teamId}, sequence_no, content, to_tsvector('english', folded), ${folding}
    from jsonb_to_recordset(${tx.json(rows)}) as turn (sequence_no int, content text, folded text)
    order by sequence_no
    on conflict (interview_id, sequence_no) do update
    set content = excluded.content, tokens = excluded.tokens, folding = excluded.folding`
}

/** Turns of one transaction: their rows are locked for a tenth of a second. */
const refoldedAtOnce = 200

/**
 * Folds the turns that were stored by an earlier release, or under an earlier folding, batch by batch until none is
 * left or time is over: a later call goes on. Returns how many it did.
 */
export async function refoldTurns(sql: Sql, remainingMs: () => number): Promise<number> {
  let done = 0
  while (remainingMs() > 0) {
    const count = await sql.begin(refoldSome)
    if (count === 0) break
    done += count
  }
  return done
}

async function refoldSome(tx: Transaction): Promise<number> {
  const rows = await tx<(Text & { interview_id: string })[]>`
    select interview_id, sequence_no, content from turn_texts
    where folding < ${folding} limit ${refoldedAtOnce} for no key update skip locked`
  const folded = rows.map(({ content, ...row }) => ({ ...row, folded: foldedText(content) }))
  await tx`
    update turn_texts t set tokens = to_tsvector('english', r.folded), folding = ${folding}
    from jsonb_to_recordset(${tx.json(folded)}) as r (interview_id uuid, sequence_no int, folded text)
    where t.interview_id = r.interview_id and t.sequence_no = r.sequence_no`
  return rows.length
}
