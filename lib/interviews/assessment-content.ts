import * as z from 'zod'
import {
  confidence,
  evidenceSchema,
  type Judgement,
  line,
  type ModelAssessment,
  percentage,
  prose,
  type Recommendation,
  recommendations,
  reviewAssessment,
} from './assessment-answer.ts'
import type { Rubric } from './interviews.ts'
import type { LeftOut } from './prompts.ts'
import type { TranscriptTurn } from './transcript.ts'

const criterionSchema = z.object({
  id: z.string(),
  title: line,
  weight: z.number().positive(),
  status: z.enum(['scored', 'not_assessed']),
  score: percentage.nullable(),
  confidence: confidence.nullable(),
  justification: line.nullable(),
  reason: line.nullable().meta({ description: 'Why it was not assessed' }),
  evidence: evidenceSchema.meta({
    description: 'Turns that support the score, one at least where there is a score',
  }),
  thin_evidence: z.boolean().nullable().meta({
    description:
      'Whether the candidate says fewer than 20 words in the turns cited; null if there is no score, or if nobody looked',
  }),
})

/** What an assessment says. Every score names the turns that it stands on. */
export const assessmentSchema = z
  .object({
    ...prose,
    recommendation: z.enum(recommendations).nullable().meta({
      description:
        'By the overall score: strong_yes from 80, yes from 60, no from 40, else strong_no; null unless every criterion is scored',
    }),
    overall_score: percentage.nullable().meta({
      description: 'The weighted mean of the criteria that were assessed, to a tenth; null if there is none',
    }),
    coverage: z.strictObject({
      assessed: z.int().min(0).meta({ description: 'Criteria that have a score' }),
      criteria: z.int().min(1).meta({ description: 'Criteria of the rubric' }),
      weight_percent: percentage.meta({ description: 'Share of the weights that was assessed, in percent' }),
    }),
    contradiction: z
      .strictObject({ model: z.enum(recommendations), scores: z.enum(recommendations) })
      .nullable()
      .meta({ description: 'What the model recommended, where its own scores say something else' }),
    thin_evidence: z.boolean().nullable().meta({ description: 'Whether that of any criterion is' }),
    shortened: z
      .int()
      .min(0)
      .meta({ description: 'Texts and lists of the model that were cut to what is stored' }),
    left_out: z
      .strictObject({ turns: z.int().min(0), shortened: z.int().min(0) })
      .nullable()
      .meta({
        description:
          'What the model was not shown of a long transcript: turns from its middle, and turns that lack their end; null if nobody counted',
      }),
    criteria: z.array(criterionSchema),
  })
  .meta({
    id: 'AssessmentContent',
    description: 'Every criterion of the rubric in its order, scored or not_assessed with the reason.',
  })
export type AssessmentContent = z.output<typeof assessmentSchema>
export type AssessedCriterion = AssessmentContent['criteria'][number]

/** The least overall score of each recommendation. */
const bands: readonly (readonly [Recommendation, number])[] = [
  ['strong_yes', 80],
  ['yes', 60],
  ['no', 40],
  ['strong_no', 0],
]

/** Words of the candidate below which the turns that a score cites are thin evidence: one or two sentences. */
const fewWords = 20

type Line = Pick<TranscriptTurn, 'id' | 'speaker_label' | 'content'>

/**
 * The assessment that a model's answer comes to: every criterion of the rubric under its title, and what follows
 * from the scores. Without turns nobody looks how much the candidate said.
 */
export function wholeAssessment(
  said: ModelAssessment,
  rubric: Rubric,
  turns: readonly Line[] | undefined,
  leftOut: LeftOut | null = null,
): AssessmentContent {
  const judged = new Map(said.criteria.map((judgement) => [judgement.id, judgement]))
  const words = turns && wordsOf(turns)
  const criteria = rubric.map(({ id, title, weight }) => ({
    id,
    title,
    weight,
    ...assessed(judged.get(id), words),
  }))
  const scored = criteria.filter(({ score }) => score !== null)
  const overall_score = weightedMean(scored)
  const band = overall_score === null ? null : bandOf(overall_score)
  const { recommendation, shortened = 0, summary, strengths, weaknesses, highlights, red_flags } = said
  return {
    summary,
    recommendation: scored.length === criteria.length ? band : null,
    overall_score,
    coverage: {
      assessed: scored.length,
      criteria: criteria.length,
      weight_percent: toTenth((100 * weightOf(scored)) / weightOf(criteria)),
    },
    contradiction:
      recommendation !== null && band !== null && recommendation !== band
        ? { model: recommendation, scores: band }
        : null,
    thin_evidence: words ? criteria.some(({ thin_evidence }) => thin_evidence === true) : null,
    shortened,
    left_out: leftOut,
    criteria,
    strengths,
    weaknesses,
    highlights,
    red_flags,
  }
}

function assessed(
  judgement: Judgement | undefined,
  words: ReadonlyMap<string, number> | undefined,
): Omit<AssessedCriterion, 'id' | 'title' | 'weight'> {
  if (!judgement || judgement.score === null) {
    return {
      status: 'not_assessed',
      score: null,
      confidence: null,
      justification: null,
      reason: judgement?.justification ?? 'The model left this criterion out.',
      evidence: [],
      thin_evidence: null,
    }
  }
  const { score, confidence, justification, evidence } = judgement
  const spoken = words && evidence.reduce((sum, { turn_id }) => sum + (words.get(turn_id) ?? 0), 0)
  return {
    status: 'scored',
    score,
    confidence,
    justification,
    reason: null,
    evidence,
    thin_evidence: spoken === undefined ? null : spoken < fewWords,
  }
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'word' })

/** How many words the candidate says in each turn, also in scripts that write no blanks between them. */
function wordsOf(turns: readonly Line[]): Map<string, number> {
  const own = turns.filter(({ speaker_label }) => speaker_label === 'Candidate')
  return new Map(
    own.map(({ id, content }) => {
      // More than enough for any threshold; a turn may have 20,000 characters.
      const words = [...segmenter.segment(content.slice(0, 2000))].filter(({ isWordLike }) => isWordLike)
      return [id, words.length]
    }),
  )
}

function weightOf(criteria: readonly { weight: number }[]): number {
  return criteria.reduce((sum, { weight }) => sum + weight, 0)
}

/** To a tenth; null if nothing was scored. */
export function weightedMean(scored: readonly { weight: number; score: number | null }[]): number | null {
  if (scored.length === 0) return null
  const points = scored.reduce((sum, { weight, score }) => sum + weight * (score ?? 0), 0)
  return toTenth(points / weightOf(scored))
}

function toTenth(value: number): number {
  return Math.round(value * 10) / 10
}

function bandOf(score: number): Recommendation {
  return bands.find(([, least]) => score >= least)![0]
}

const wholeSchema = z.looseObject({ coverage: z.unknown() }).refine(({ coverage }) => coverage !== undefined)

const citedIn = z.object({
  criteria: z.array(z.object({ evidence: z.array(z.object({ turn_id: z.string() })).catch([]) })).catch([]),
})

/**
 * What is stored as an assessment, also by releases that stored less: what these left out is not assessed, and
 * what follows from the scores is computed again.
 */
export function readContent(stored: unknown, rubric: Rubric): AssessmentContent | null {
  if (stored === null || stored === undefined) return null
  if (wholeSchema.safeParse(stored).success) {
    return { left_out: null, ...(stored as Omit<AssessmentContent, 'left_out'>) }
  }
  const cited = citedIn
    .parse(stored)
    .criteria.flatMap(({ evidence }) => evidence.map(({ turn_id }) => turn_id))
  const known = { criterion_ids: rubric.map(({ id }) => id), turn_ids: cited }
  const reviewed = reviewAssessment(stored, known)
  return reviewed ? wholeAssessment(reviewed.answer, rubric, undefined) : null
}
