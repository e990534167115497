import type { Sql } from '../platform/db.ts'
import { NotFoundError } from '../platform/errors.ts'
import type { ChatAnswer } from './tasks.ts'

export type ChatMessage = {
  sequence_no: number
  role: 'user' | 'assistant'
  content: string
  /** Ids of turns. */
  citations: string[]
  /** Null for a question. */
  found: boolean | null
  created_at: Date
}

const columns = (sql: Sql) => sql`sequence_no, role, content, citations, found, created_at`

/** Messages of an interview, oldest first: the last so many, or so many after the one of a number. */
export async function readMessages(
  sql: Sql,
  interviewId: string,
  which: { last: number } | { after: number; limit: number },
): Promise<ChatMessage[]> {
  if ('last' in which) {
    const newest = await sql<ChatMessage[]>`
      select ${columns(sql)} from chat_messages where interview_id = ${interviewId}
      order by sequence_no desc limit ${which.last}`
    return [...newest].reverse()
  }
  return sql<ChatMessage[]>`
    select ${columns(sql)} from chat_messages
    where interview_id = ${interviewId} and sequence_no > ${which.after}
    order by sequence_no limit ${which.limit}`
}

/** Stores a question and its answer under the next two numbers. Throws NotFoundError where the interview is gone. */
export async function storeExchange(
  sql: Sql,
  interviewId: string,
  keyId: string,
  question: string,
  { answer, found, turn_ids }: ChatAnswer,
): Promise<{ question: ChatMessage; answer: ChatMessage }> {
  return sql.begin(async (tx) => {
    // Of two who ask at once, the second takes its numbers after the first.
    const [interview] = await tx`select from interviews where id = ${interviewId} for no key update`
    if (!interview) throw new NotFoundError('Interview not found')
    const rows = await tx<ChatMessage[]>`
      insert into chat_messages (interview_id, sequence_no, role, content, citations, found, created_by)
      select ${interviewId}, last + number, role, content, citations, found, ${keyId}::uuid
      from (
        select coalesce(max(sequence_no), 0) as last from chat_messages where interview_id = ${interviewId}
      ) known cross join (values
        (1, 'user', ${question}, '[]'::jsonb, null),
        (2, 'assistant', ${answer}, ${tx.json(turn_ids)}::jsonb, ${found}::boolean)
      ) as said (number, role, content, citations, found)
      returning ${columns(sql)}`
    const [asked, answered] = [...rows].sort((a, b) => a.sequence_no - b.sequence_no)
    return { question: asked!, answer: answered! }
  })
}
