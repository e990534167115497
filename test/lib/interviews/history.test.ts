import { describe, expect, it } from 'vitest'
import {
  historyOf,
  historySchema,
  transcriptAnswer,
  transcriptSchema,
} from '../../../lib/interviews/history.ts'
import type { InterviewState } from '../../../lib/interviews/interviews.ts'
import { buildTranscript, turnId } from '../../../lib/interviews/transcript.ts'
import { pageOf } from '../../../lib/interviews/transcript-page.ts'

const id = '0198f000-0000-7000-8000-000000000001'
const created_at = new Date('2026-11-01T09:00:00Z')
const started_at = new Date('2026-11-01T10:00:00Z')

const transcript = buildTranscript(
  id,
  [],
  JSON.stringify([
    { speaker: 'ai', content: 'First?', timestamp_sec: 10 },
    { speaker: 'candidate', content: 'Second', timestamp_sec: 25 },
    { speaker: 'ai', content: 'Third?', timestamp_sec: 80 },
  ]),
)

describe('the history', () => {
  it('has every turn as a message of its speaker', () => {
    const history = historySchema.parse(historyOf({ id, created_at, started_at }, pageOf(transcript)))
    expect(history).toMatchObject({ status: 'success', interview_id: id, total_messages: 3 })
    expect(history.messages[1]).toEqual({
      id: turnId(id, 2),
      role: 'candidate',
      corrected_content: null,
      content: 'Second',
      sent_at: '2026-11-01T10:00:15.000Z',
      sequence_no: 2,
    })
  })

  it('counts from the creation where the interview has not begun, and keeps the times that turns have', () => {
    const [first] = historyOf({ id, created_at, started_at: null }, pageOf(transcript)).messages
    expect(first!.sent_at).toBe('2026-11-01T09:00:00.000Z')
    const told = buildTranscript(id, [], '[{"content":"a","timestamp_sec":1800000000}]')
    expect(historyOf({ id, created_at, started_at }, pageOf(told)).messages[0]!.sent_at).toBe(
      '2027-01-15T08:00:00.000Z',
    )
  })
})

describe('the transcript', () => {
  it('after a turn has the clock and the total of the whole', () => {
    const answer = transcriptAnswer({ id, state: 'in_progress' }, pageOf(transcript, { afterSequenceNo: 2 }))
    expect(transcriptSchema.parse(answer)).toMatchObject({
      total_turns: 3,
      is_live: true,
      source: 'snapshot',
    })
    expect(answer.turns).toEqual([transcript.turns[2]])
    expect(answer.turns[0]!.timestamp).toBe('00:01:10')
    const later = transcriptAnswer({ id, state: 'in_progress' }, pageOf(transcript, { afterSequenceNo: 3 }))
    expect(later).toMatchObject({ total_turns: 3, turns: [] })
  })

  it.each([
    ['draft', 'idle', null],
    ['scheduled', 'idle', null],
    ['in_progress', 'transcribing', null],
    ['completed', 'completed', null],
    ['cancelled', 'failed', 'interview_cancelled'],
    ['needs_attention', 'interrupted', 'feed_lost'],
  ] satisfies [InterviewState, string, string | null][])(
    'of an interview that is %s is %s',
    (...expected) => {
      const [state, shown, reason] = expected
      expect(transcriptAnswer({ id, state }, pageOf(transcript))).toMatchObject({ state: shown, reason })
    },
  )

  it('is connecting for who waits for the interview', () => {
    expect(transcriptAnswer({ id, state: 'scheduled' }, pageOf(transcript), { live: true }).state).toBe(
      'connecting',
    )
    expect(transcriptAnswer({ id, state: 'completed' }, pageOf(transcript), { live: true }).state).toBe(
      'completed',
    )
  })
})
