import * as z from 'zod'
import { cutText } from './answer-bounds.ts'

export const recommendations = ['strong_yes', 'yes', 'no', 'strong_no'] as const
export type Recommendation = (typeof recommendations)[number]

const longestLine = 1000
/** A short text that a person reads. */
export const line = z.string().trim().min(1).max(longestLine)
const lines = z.array(line).max(20)

/** A percentage. */
export const percentage = z.number().min(0).max(100)
export const confidence = z.number().min(0).max(1)

export const evidenceSchema = z.array(z.object({ turn_id: z.string().min(1).max(80), reason: line })).max(20)
export type Evidence = z.output<typeof evidenceSchema>

/** What the model says about one criterion; without a score the justification says why there is none. */
const judgementSchema = z.object({
  id: z.string().min(1).max(80),
  score: percentage.nullable(),
  confidence: confidence.nullable(),
  justification: line,
  evidence: evidenceSchema,
})
export type Judgement = z.output<typeof judgementSchema>

/** The parts of an assessment that stand as the model wrote them. */
export const prose = {
  summary: z.string().trim().min(1).max(4000),
  strengths: lines,
  weaknesses: lines,
  highlights: lines,
  red_flags: lines,
}

/** How many texts and lists were longer than is stored, and were cut. */
export const shortened = z.int().min(1).optional()

/** What the model says about an interview, once it has been read. */
export const modelAssessmentSchema = z.object({
  summary: prose.summary,
  recommendation: z.enum(recommendations).nullable(),
  criteria: z.array(judgementSchema).max(50),
  strengths: prose.strengths,
  weaknesses: prose.weaknesses,
  highlights: prose.highlights,
  red_flags: prose.red_flags,
  shortened,
})
export type ModelAssessment = z.output<typeof modelAssessmentSchema>

/** What an answer may name: the criteria of the rubric, and the turns that the prompt showed. */
export type Citable = {
  turn_ids?: readonly string[] | undefined
  criterion_ids?: readonly string[] | undefined
}

const text = z.string().trim().catch('')
const texts = z
  .array(z.unknown())
  .catch([])
  .transform((items) =>
    items.flatMap((item) => (typeof item === 'string' && item.trim() ? [item.trim()] : [])),
  )

/** An assessment of any shape that leaves something of use. */
const looseSchema = z.object({
  summary: text,
  recommendation: text.transform((word) => {
    const known = word.toLowerCase().replaceAll(/[\s-]+/g, '_')
    return recommendations.find((recommendation) => recommendation === known) ?? null
  }),
  criteria: z.array(z.unknown()).catch([]),
  strengths: texts,
  weaknesses: texts,
  highlights: texts,
  red_flags: texts,
  shortened: shortened.catch(undefined),
})

const looseJudgement = z.object({
  id: z.string().trim().min(1),
  score: z.unknown().optional(),
  status: z.unknown().optional(),
  confidence: confidence.nullable().catch(null),
  justification: text,
  reason: text,
  evidence: z.array(z.unknown()).catch([]),
})
type LooseJudgement = z.output<typeof looseJudgement>

const looseEvidence = z.object({ turn_id: z.string(), reason: text })

export type Reviewed<Answer> = {
  answer: Answer
  /** What is wrong with it, without a word of it: each is worth another attempt. */
  faults: readonly string[]
}

/**
 * Reads what the model said about an interview: one judgement for each criterion that it was asked about, in their
 * order, each with a score and turns of the interview, or without a score and with the reason. Ids match in any
 * case; of two judgements about one criterion the first counts. Undefined if nothing in it is of use.
 */
export function reviewAssessment(value: unknown, citable: Citable): Reviewed<ModelAssessment> | undefined {
  const loose = looseSchema.safeParse(value).data
  if (!loose) return undefined
  const { shortened, ...said } = loose
  const faults: string[] = []
  const known = judgementsById(said.criteria)
  const asked = citable.criterion_ids ?? [...known.keys()]
  const turns = byFold(citable.turn_ids ?? [])
  const criteria = asked.map((id) => {
    const { judgement, fault } = judge(id, known.get(fold(id)), turns)
    if (fault !== undefined) faults.push(fault)
    return judgement
  })
  const rubric = new Set(asked.map(fold))
  const strangers = [...known.keys()].filter((id) => !rubric.has(id)).length
  if (strangers > 0) faults.push(`criteria that are not in the rubric: ${strangers}`)
  if (said.summary === '') faults.push('the summary is missing')
  if (said.summary === '' && criteria.every(({ score }) => score === null)) return undefined
  const summary = said.summary || 'The model wrote no summary.'
  return { answer: { ...said, summary, criteria, ...(shortened && { shortened }) }, faults }
}

/** The first judgement of each id, whatever its case. */
function judgementsById(criteria: readonly unknown[]): Map<string, LooseJudgement> {
  const known = new Map<string, LooseJudgement>()
  for (const criterion of criteria) {
    const { data } = looseJudgement.safeParse(criterion)
    if (data && !known.has(fold(data.id))) known.set(fold(data.id), data)
  }
  return known
}

function judge(
  id: string,
  said: LooseJudgement | undefined,
  turns: ReadonlyMap<string, string>,
): { judgement: Judgement; fault?: string } {
  const without = (justification: string) => ({
    id,
    score: null,
    confidence: null,
    justification,
    evidence: [],
  })
  if (!said) return { judgement: without('The model left this criterion out.'), fault: `${id} is left out` }
  // The model is not asked for a `reason`, so nobody else holds it to a length.
  const why = cutText(said.reason, longestLine) || said.justification
  if (said.score === null || said.status === 'not_assessed') {
    if (why !== '') return { judgement: without(why) }
    return {
      judgement: without('The model did not assess this criterion, and gave no reason.'),
      fault: `${id} is not assessed, without a reason`,
    }
  }
  const score = percentage.safeParse(said.score).data
  if (score === undefined) {
    return {
      judgement: without('The model gave no score from 0 to 100.'),
      fault: `${id} has no score from 0 to 100`,
    }
  }
  const { evidence, foreign } = evidenceOf(said.evidence, turns)
  if (evidence.length === 0) {
    const reason =
      foreign > 0
        ? 'The model scored this criterion by turns that are not in the interview.'
        : 'The model scored this criterion without naming a turn that supports the score.'
    return { judgement: without(reason), fault: `${id} cites no turn of the transcript` }
  }
  const judgement = { id, score, confidence: said.confidence, justification: why || noReason, evidence }
  if (foreign > 0) return { judgement, fault: `${id} cites turns that are not in the transcript: ${foreign}` }
  return why === '' ? { judgement, fault: `${id} has no justification` } : { judgement }
}

const noReason = 'The model gave no reason.'

/** What it cites of the interview, each turn once. */
function evidenceOf(
  cited: readonly unknown[],
  turns: ReadonlyMap<string, string>,
): { evidence: Evidence; foreign: number } {
  const evidence = new Map<string, string>()
  let foreign = 0
  for (const citation of cited) {
    const said = looseEvidence.safeParse(typeof citation === 'string' ? { turn_id: citation } : citation).data
    const turn = said && turns.get(foldTurn(said.turn_id))
    if (turn === undefined) foreign += 1
    else if (!evidence.has(turn)) evidence.set(turn, said!.reason || noReason)
  }
  return { evidence: [...evidence].map(([turn_id, reason]) => ({ turn_id, reason })), foreign }
}

function fold(id: string): string {
  return id.trim().toLowerCase()
}

/** Prompts show the ids of turns in brackets. */
function foldTurn(id: string): string {
  return fold(id).replace(/^\[/, '').replace(/\]$/, '')
}

function byFold(ids: readonly string[]): Map<string, string> {
  return new Map(ids.map((id) => [fold(id), id]))
}

/** Ids of turns as the prompt showed them, each once, and how many it did not show. */
export function citedTurns(
  cited: readonly string[],
  { turn_ids = [] }: Citable,
): { turn_ids: string[]; foreign: number } {
  const turns = byFold(turn_ids)
  const found = cited.map((id) => turns.get(foldTurn(id)))
  const known = found.filter((id) => id !== undefined)
  return { turn_ids: [...new Set(known)], foreign: found.length - known.length }
}
