import * as z from 'zod'
import type { InterviewState } from './interviews.ts'
import type { TranscriptPage } from './transcript-page.ts'

const moment = z.iso.datetime().nullable()

const nextAfter = z
  .int()
  .nullable()
  .meta({ description: 'What after_sequence_no takes for the next page; null at the end' })

export const historySchema = z
  .strictObject({
    status: z.literal('success'),
    interview_id: z.uuid(),
    total_messages: z.int().meta({ description: 'Of the whole interview' }),
    next_after_sequence_no: nextAfter,
    messages: z.array(
      z.strictObject({
        id: z.uuid(),
        role: z.string().meta({ description: 'the speaker as the agent named it, such as ai or candidate' }),
        content: z.string(),
        corrected_content: z.string().nullable(),
        sent_at: z.iso.datetime(),
        sequence_no: z.int(),
      }),
    ),
  })
  .meta({ id: 'InterviewHistory' })

export const transcriptStates = [
  'idle',
  'connecting',
  'transcribing',
  'completed',
  'interrupted',
  'failed',
] as const
export type TranscriptState = (typeof transcriptStates)[number]

export const transcriptSchema = z
  .strictObject({
    status: z.literal('success'),
    interview_id: z.uuid(),
    state: z.enum(transcriptStates),
    reason: z
      .enum(['interview_cancelled', 'feed_lost'])
      .nullable()
      .meta({ description: 'Why it is failed or interrupted; what was said until then is there' }),
    is_live: z.boolean(),
    source: z.enum(['turns', 'merged', 'snapshot']).meta({
      description: 'From rows alone, from rows and the account of the session, or from that alone',
    }),
    skipped_elements: z
      .int()
      .meta({ description: 'Elements of the account of the session that could not be read, or came twice' }),
    total_turns: z.int().meta({ description: 'Of the whole interview' }),
    next_after_sequence_no: nextAfter,
    turns: z.array(
      z.strictObject({
        id: z.uuid(),
        sequence_no: z.int(),
        speaker: z.string(),
        speaker_label: z.string(),
        speaker_name: z.string().nullable(),
        content: z.string(),
        corrected_content: z.string().nullable().meta({
          description:
            'The text in the account of the session, where it differs from the one sent at the time',
        }),
        timestamp: z.string().meta({ description: 'HH:MM:SS since the first turn of the interview' }),
        offset_seconds: z.number(),
        is_ai_question: z.boolean(),
        spoken_at: moment,
      }),
    ),
  })
  .meta({ id: 'Transcript' })

type Spoken = { id: string; created_at: Date; started_at: Date | null }

/** What was said, as messages: one without a time of its own is as late after the start as the clock says. */
export function historyOf(
  interview: Spoken,
  { turns, total_turns, next }: TranscriptPage,
): z.output<typeof historySchema> {
  const start = (interview.started_at ?? interview.created_at).getTime()
  return {
    status: 'success',
    interview_id: interview.id,
    total_messages: total_turns,
    next_after_sequence_no: next,
    messages: turns.map(({ spoken_at, offset_seconds, ...turn }) => ({
      id: turn.id,
      role: turn.speaker,
      content: turn.content,
      corrected_content: turn.corrected_content,
      sent_at: spoken_at ?? new Date(start + offset_seconds * 1000).toISOString(),
      sequence_no: turn.sequence_no,
    })),
  }
}

/** `live`: whether the caller waits for the interview to begin. */
export function transcriptAnswer(
  { id, state }: { id: string; state: InterviewState },
  { source, skipped_elements, total_turns, turns, next }: TranscriptPage,
  { live = false }: { live?: boolean } = {},
): z.output<typeof transcriptSchema> {
  return {
    status: 'success',
    interview_id: id,
    ...progress(state, live),
    is_live: state === 'in_progress',
    source,
    skipped_elements,
    total_turns,
    next_after_sequence_no: next,
    turns,
  }
}

function progress(
  state: InterviewState,
  live: boolean,
): { state: TranscriptState; reason: 'interview_cancelled' | 'feed_lost' | null } {
  switch (state) {
    case 'draft':
    case 'scheduled':
      return { state: live ? 'connecting' : 'idle', reason: null }
    case 'in_progress':
      return { state: 'transcribing', reason: null }
    case 'completed':
      return { state: 'completed', reason: null }
    case 'cancelled':
      return { state: 'failed', reason: 'interview_cancelled' }
    case 'needs_attention':
      return { state: 'interrupted', reason: 'feed_lost' }
  }
}
