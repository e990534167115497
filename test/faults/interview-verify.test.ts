import { expect, it } from 'vitest'
import { planHour } from './interview-plan.ts'
import { type Outcome, outcomeViolations } from './interview-verify.ts'
import { randomFrom } from './random.ts'

const scored = (id: string) => ({
  id,
  title: id,
  weight: 1,
  status: 'scored' as const,
  score: 70,
  confidence: 1,
  justification: 'Says so.',
  reason: null,
  evidence: [{ turn_id: 'turn-2', reason: 'There.' }],
  thin_evidence: false,
})
const left = (id: string) => ({
  ...scored(id),
  status: 'not_assessed' as const,
  score: null,
  justification: null,
  reason: 'The model left this criterion out.',
  evidence: [],
})

const content = {
  summary: 'Good.',
  recommendation: 'yes' as const,
  overall_score: 70,
  coverage: { assessed: 2, criteria: 2, weight_percent: 100 },
  contradiction: null,
  thin_evidence: false,
  shortened: 0,
  left_out: null,
  criteria: [scored('go'), scored('sql')],
  strengths: [],
  weaknesses: [],
  highlights: [],
  red_flags: [],
}

const right: Outcome = {
  id: 'i',
  rubric: ['go', 'sql'],
  turns: ['turn-1', 'turn-2'],
  spoken: 2,
  assessment: {
    status: 'success',
    interview_id: 'i',
    state: 'completed',
    generation: 1,
    outdated: false,
    kept_generations: [1],
    requested_at: '2026-11-28T10:00:00Z',
    completed_at: '2026-11-28T10:00:00Z',
    content,
    content_generation: 1,
    verdict: null,
    other_verdicts: [],
  },
  mailKeys: ['one'],
  emails: ['delivered'],
  resume: 'completed',
}
const saying = (change: Partial<typeof content>): Outcome => ({
  ...right,
  assessment: { ...right.assessment, content: { ...content, ...change } },
})
const part = {
  recommendation: null,
  coverage: { assessed: 1, criteria: 2, weight_percent: 50 },
  criteria: [scored('go'), left('sql')],
} as unknown as Partial<typeof content>

it('finds nothing in an assessment that is whole, nor in one that says what is missing', () => {
  expect(outcomeViolations(right)).toEqual([])
  expect(outcomeViolations(saying(part))).toEqual([])
})

it.each<[string, Outcome]>([
  ['a lost turn', { ...right, spoken: 3 }],
  ['a doubled turn', { ...right, spoken: 3, turns: ['turn-1', 'turn-2', 'turn-2'] }],
  ['a résumé that nobody read', { ...right, resume: 'failed' }],
  ['an e-mail that was not sent', { ...right, emails: ['failed'] }],
  ['a failed assessment', { ...right, assessment: { ...right.assessment, state: 'failed' } }],
  ['one that stands still', { ...right, assessment: { ...right.assessment, state: 'generating' } }],
  ['an outdated one', { ...right, assessment: { ...right.assessment, outdated: true } }],
  ['two e-mails of one generation', { ...right, mailKeys: ['one', 'two'] }],
  ['no e-mail', { ...right, mailKeys: [] }],
  ['a missing criterion', saying({ criteria: [scored('go')] })],
  ['a doubled criterion', saying({ criteria: [scored('go'), scored('go'), scored('sql')] })],
  ['a score without evidence', saying({ criteria: [scored('go'), { ...scored('sql'), evidence: [] }] })],
  ['a recommendation without all scores', saying({ ...part, recommendation: 'yes' })],
  ['a coverage that says too much', saying({ ...part, coverage: content.coverage })],
  ['a foreign turn', { ...right, spoken: 1, turns: ['turn-1'] }],
])('finds %s', (_, outcome) => {
  expect(outcomeViolations(outcome)).not.toEqual([])
})

it('draws every kind of fault, also for a short hour, and the same for one seed', () => {
  const hour = planHour(randomFrom(7), 50, 60_000)
  expect(new Set(hour.faults.map(({ kind }) => kind)).size).toBe(7)
  expect(planHour(randomFrom(7), 50, 60_000)).toEqual(hour)
})
