import * as z from 'zod'
import type { Sql } from '../platform/db.ts'
import type { CallOptions } from '../platform/outside.ts'
import { findAssessment } from './assessment-store.ts'
import { type ChatMessage, readMessages, storeExchange } from './chat-store.ts'
import type { Interview } from './interviews.ts'
import type { Model } from './model.ts'
import { chatPrompt } from './prompts.ts'
import { resumeContext } from './resume-search.ts'
import type { ChatAnswer } from './tasks.ts'
import { linesOfText } from './text.ts'
import { readTranscript, type TranscriptTurn } from './transcript.ts'
import { boundedPage } from './transcript-page.ts'

/** A recruiter's question. */
export const questionBody = z.strictObject({ question: linesOfText(2000) })

const citationSchema = z.strictObject({
  id: z.uuid(),
  sequence_no: z.int(),
  timestamp: z.string(),
  speaker_label: z.string(),
  content: z.string(),
})

const messageSchema = z
  .strictObject({
    sequence_no: z.int().min(1),
    role: z.enum(['user', 'assistant']),
    content: z.string(),
    found: z.boolean().optional(),
    citations: z.array(citationSchema),
    created_at: z.iso.datetime(),
  })
  .meta({
    id: 'ChatMessage',
    description: 'found, of an answer: whether transcript, assessment or résumé hold it.',
  })
type Message = z.output<typeof messageSchema>

export const askAnswerSchema = z
  .strictObject({
    status: z.literal('success'),
    interview_id: z.uuid(),
    question: messageSchema,
    answer: messageSchema,
  })
  .meta({ id: 'ChatAnswer' })

export const chatHistorySchema = z
  .strictObject({
    status: z.literal('success'),
    interview_id: z.uuid(),
    data: z.array(messageSchema),
    next_after: z.int().nullable(),
  })
  .meta({ id: 'ChatHistory', description: 'next_after is null at the end.' })

/** Characters of one turn that is cited: the transcript has the rest. */
const citedCharacters = 2000

/** Messages before a question that say what it refers to. */
const remembered = 6

const notThere = 'The transcript, the assessment and the résumé do not say.'

export type ChatContext = { sql: Sql; model: Model; options?: CallOptions }

/**
 * Answers a question from the interview's transcript, assessment and résumé, and stores both. Where the model does
 * not answer nothing is stored, and its error is thrown.
 */
export async function ask(
  { sql, model, options }: ChatContext,
  interview: Interview,
  question: string,
  callerKeyId: string,
): Promise<z.output<typeof askAnswerSchema>> {
  const { turns } = await readTranscript(sql, interview.id)
  const assessment = await findAssessment(sql, interview.id)
  const conversation = await readMessages(sql, interview.id, { last: remembered })
  const resume = await resumeContext(sql, model, interview.candidate_id, question, options)
  const sources = { turns, assessment: assessment?.content ?? null, conversation, resume }
  const answer = grounded(await model.ask('chat', chatPrompt(interview, sources, question), options))
  const stored = await storeExchange(sql, interview.id, callerKeyId, question, answer)
  return {
    status: 'success',
    interview_id: interview.id,
    question: messageView(stored.question, turns),
    answer: messageView(stored.answer, turns),
  }
}

/** What the sources do not hold is not answered from elsewhere. */
function grounded({ answer, found, turn_ids }: ChatAnswer): ChatAnswer {
  return found
    ? { answer, found, turn_ids: [...new Set(turn_ids)] }
    : { answer: notThere, found, turn_ids: [] }
}

/** Up to `limit` messages of an interview after the one numbered `after`, oldest first. */
export async function chatHistory(
  sql: Sql,
  interviewId: string,
  { after = 0, limit }: { after?: number | undefined; limit: number },
): Promise<z.output<typeof chatHistorySchema>> {
  const rows = await readMessages(sql, interviewId, { after, limit: limit + 1 })
  const wanted = rows.slice(0, limit)
  const cites = wanted.some(({ citations }) => citations.length > 0)
  const turns = cites ? (await readTranscript(sql, interviewId)).turns : []
  const views = wanted.map((row) => messageView(row, turns))
  const data = boundedPage(views, limit)
  return {
    status: 'success',
    interview_id: interviewId,
    data,
    next_after: rows.length > data.length ? data.at(-1)!.sequence_no : null,
  }
}

function messageView(row: ChatMessage, turns: readonly TranscriptTurn[]): Message {
  const { sequence_no, role, content, found, citations, created_at } = row
  const cited = new Set(citations)
  return {
    sequence_no,
    role,
    content,
    ...(found !== null && { found }),
    citations: turns
      .filter(({ id }) => cited.has(id))
      .map(({ id, sequence_no, timestamp, speaker_label, content }) => ({
        id,
        sequence_no,
        timestamp,
        speaker_label,
        content:
          content.length <= citedCharacters
            ? content
            : `${content.slice(0, citedCharacters).toWellFormed()}…`,
      })),
    created_at: created_at.toISOString(),
  }
}
