import type { AssessmentContent } from './tasks.ts'
import type { TranscriptTurn } from './transcript.ts'

/** What an exported assessment is made of. */
export type AssessmentReport = {
  interview: { id: string; role_title: string; completed_at: Date | null }
  candidateName: string
  content: AssessmentContent
  completedAt: Date
  /** Of the interview; those that the assessment cites are quoted. */
  turns: readonly TranscriptTurn[]
}

/** A part of a document, whatever file it becomes. */
export type Block =
  | { kind: 'title' | 'heading' | 'subheading' | 'paragraph' | 'item' | 'note'; text: string }
  | { kind: 'fact'; name: string; text: string }
  /** Somebody's words: who said them and when, and what for they are quoted. */
  | { kind: 'quote'; source: string; text: string; reason: string }

export const confidentiality =
  'Confidential. Written by an AI from the transcript of the interview, for those who decide about this application: the decision is theirs.'

const recommendations: Record<AssessmentContent['recommendation'], string> = {
  strong_yes: 'Strong yes',
  yes: 'Yes',
  no: 'No',
  strong_no: 'Strong no',
}

/** Characters of one quoted turn, so that no document is too large for an answer: the transcript has the rest. */
const quotedCharacters = 2000

/** An assessment in the order in which people read it. */
export function assessmentBlocks({
  interview,
  candidateName,
  content,
  completedAt,
  turns,
}: AssessmentReport): Block[] {
  const byId = new Map(turns.map((turn) => [turn.id, turn]))
  return [
    { kind: 'title', text: `Assessment of ${candidateName}` },
    { kind: 'fact', name: 'Role', text: interview.role_title },
    { kind: 'fact', name: 'Interview', text: interview.id },
    { kind: 'fact', name: 'Interviewed', text: day(interview.completed_at) },
    { kind: 'fact', name: 'Assessed', text: day(completedAt) },
    { kind: 'fact', name: 'Recommendation', text: recommendations[content.recommendation] },
    { kind: 'fact', name: 'Overall score', text: outOf100(content.overall_score) },
    { kind: 'note', text: confidentiality },
    { kind: 'heading', text: 'Summary' },
    { kind: 'paragraph', text: content.summary },
    ...list('Strengths', content.strengths),
    ...list('Weaknesses', content.weaknesses),
    ...list('Highlights', content.highlights),
    ...list('Red flags', content.red_flags),
    { kind: 'heading', text: 'Criteria' },
    ...content.criteria.flatMap((criterion) => criterionBlocks(criterion, byId)),
  ]
}

function list(heading: string, items: readonly string[]): Block[] {
  const blocks = items.map((text): Block => ({ kind: 'item', text }))
  return [{ kind: 'heading', text: heading }, ...(blocks.length > 0 ? blocks : [nothing])]
}

const nothing: Block = { kind: 'paragraph', text: 'None.' }

function criterionBlocks(
  { title, score, confidence, justification, evidence }: AssessmentContent['criteria'][number],
  turns: ReadonlyMap<string, TranscriptTurn>,
): Block[] {
  return [
    { kind: 'subheading', text: title },
    { kind: 'fact', name: 'Score', text: outOf100(score) },
    { kind: 'fact', name: 'Confidence', text: `${Math.round(confidence * 100)} %` },
    { kind: 'paragraph', text: justification },
    ...evidence.map(({ turn_id, reason }) => quote(turns.get(turn_id), reason)),
  ]
}

function quote(turn: TranscriptTurn | undefined, reason: string): Block {
  if (!turn) return { kind: 'quote', source: 'A turn that is no longer in the transcript', text: '', reason }
  const { timestamp, speaker_label, content } = turn
  return { kind: 'quote', source: `[${timestamp}] ${speaker_label}`, text: shortened(content), reason }
}

function shortened(text: string): string {
  return text.length <= quotedCharacters ? text : `${text.slice(0, quotedCharacters).toWellFormed()}…`
}

function outOf100(score: number): string {
  return `${Math.round(score)} of 100`
}

function day(at: Date | null): string {
  return at?.toISOString().slice(0, 10) ?? 'not known'
}
