import type { AssessedCriterion, AssessmentContent } from './assessment-content.ts'
import { findings, outOf100 } from './assessment-findings.ts'
import { decisionWords } from './decisions.ts'
import type { TranscriptTurn } from './transcript.ts'
import type { Verdict } from './verdicts.ts'

/** What an exported assessment is made of. */
export type AssessmentReport = {
  interview: { id: string; role_title: string; completed_at: Date | null }
  candidateName: string
  content: AssessmentContent
  completedAt: Date
  /** A person's, on this content. */
  verdict: Verdict | null
  /** On other generations. */
  otherVerdicts: readonly Verdict[]
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

/** Characters of one quoted turn, so that no document is too large for an answer: the transcript has the rest. */
const quotedCharacters = 2000

/** An assessment in the order in which people read it. */
export function assessmentBlocks({
  interview,
  candidateName,
  content,
  completedAt,
  verdict,
  otherVerdicts,
  turns,
}: AssessmentReport): Block[] {
  const byId = new Map(turns.map((turn) => [turn.id, turn]))
  const changed = new Map(verdict?.scores.map(({ id, score }) => [id, score]))
  return [
    { kind: 'title', text: `Assessment of ${candidateName}` },
    { kind: 'fact', name: 'Role', text: interview.role_title },
    { kind: 'fact', name: 'Interview', text: interview.id },
    { kind: 'fact', name: 'Interviewed', text: day(interview.completed_at) },
    { kind: 'fact', name: 'Assessed', text: day(completedAt) },
    ...findings(content).map((finding): Block => ({ kind: 'fact', ...finding })),
    { kind: 'note', text: confidentiality },
    { kind: 'heading', text: 'Verdict of a person' },
    ...(verdict ? verdictBlocks(verdict) : [{ kind: 'paragraph', text: 'None yet.' } as const]),
    ...otherVerdicts.flatMap((other): Block[] => [
      {
        kind: 'subheading',
        text: `On ${other.superseded ? 'an earlier' : 'a newer'} assessment (generation ${other.generation})`,
      },
      ...verdictBlocks(other),
      ...other.scores.map(({ id, score }): Block => ({ kind: 'item', text: `${id}: ${outOf100(score)}` })),
    ]),
    { kind: 'heading', text: 'Summary' },
    { kind: 'paragraph', text: content.summary },
    ...list('Strengths', content.strengths),
    ...list('Weaknesses', content.weaknesses),
    ...list('Highlights', content.highlights),
    ...list('Red flags', content.red_flags),
    { kind: 'heading', text: 'Criteria' },
    ...content.criteria.flatMap((criterion) => criterionBlocks(criterion, byId, changed.get(criterion.id))),
  ]
}

function verdictBlocks({ decision, overall_score, scores, note, given_by, given_at }: Verdict): Block[] {
  return [
    { kind: 'fact', name: 'Decision', text: decisionWords[decision] },
    { kind: 'fact', name: 'Given', text: `${given_at.slice(0, 10)}, by ${given_by.label}` },
    ...(scores.length > 0 && overall_score !== null
      ? [{ kind: 'fact', name: 'Overall score as changed', text: outOf100(overall_score) } as const]
      : []),
    ...(note === null ? [] : [{ kind: 'paragraph', text: note } as const]),
  ]
}

function list(heading: string, items: readonly string[]): Block[] {
  const blocks = items.map((text): Block => ({ kind: 'item', text }))
  return [{ kind: 'heading', text: heading }, ...(blocks.length > 0 ? blocks : [nothing])]
}

const nothing: Block = { kind: 'paragraph', text: 'None.' }

function criterionBlocks(
  { title, score, confidence, justification, reason, evidence, thin_evidence }: AssessedCriterion,
  turns: ReadonlyMap<string, TranscriptTurn>,
  changed: number | undefined,
): Block[] {
  const byPerson: Block[] =
    changed === undefined ? [] : [{ kind: 'fact', name: 'Score by a person', text: outOf100(changed) }]
  if (score === null) {
    return [
      { kind: 'subheading', text: title },
      { kind: 'fact', name: 'Score', text: 'Not assessed' },
      ...byPerson,
      { kind: 'paragraph', text: reason ?? '' },
    ]
  }
  const percent = confidence === null ? 'not said' : `${Math.round(confidence * 100)} %`
  return [
    { kind: 'subheading', text: title },
    { kind: 'fact', name: 'Score', text: outOf100(score) },
    ...byPerson,
    { kind: 'fact', name: 'Confidence', text: percent },
    ...(thin_evidence ? [thin] : []),
    { kind: 'paragraph', text: justification ?? '' },
    ...evidence.map(({ turn_id, reason }) => quote(turns.get(turn_id), reason)),
  ]
}

const thin: Block = {
  kind: 'fact',
  name: 'Evidence',
  text: 'Thin: the candidate says very little in these turns',
}

function quote(turn: TranscriptTurn | undefined, reason: string): Block {
  if (!turn) return { kind: 'quote', source: 'A turn that is no longer in the transcript', text: '', reason }
  const { timestamp, speaker_label, content, corrected_content } = turn
  const text = corrected_content === null ? content : `${content}\n(Corrected: ${corrected_content})`
  return { kind: 'quote', source: `[${timestamp}] ${speaker_label}`, text: shortened(text), reason }
}

function shortened(text: string): string {
  return text.length <= quotedCharacters ? text : `${text.slice(0, quotedCharacters).toWellFormed()}…`
}

function day(at: Date | null): string {
  return at?.toISOString().slice(0, 10) ?? 'not known'
}
