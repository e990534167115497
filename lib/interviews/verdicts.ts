import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { ConflictError, type ErrorDetail, NotFoundError, UnprocessableError } from '../platform/errors.ts'
import { percentage } from './assessment-answer.ts'
import { type AssessmentContent, readContent, weightedMean } from './assessment-content.ts'
import {
  findAssessment,
  findGeneration,
  keepInterview,
  lockProgress,
  withdrawRenewal,
} from './assessment-store.ts'
import { decisions } from './decisions.ts'
import type { Rubric } from './interviews.ts'
import { rubricOf } from './prompts.ts'
import { linesOfText } from './text.ts'

const scoresSchema = z
  .array(z.strictObject({ id: z.string().max(80), score: percentage }))
  .max(50)
  .refine((scores) => new Set(scores.map(({ id }) => id)).size === scores.length, {
    error: 'name a criterion twice',
  })

/** What PostgreSQL's type integer holds. */
const largestInteger = 2 ** 31 - 1

/** What a person says about one generation of an assessment. */
export const newVerdictSchema = z.strictObject({
  generation: z
    .int()
    .min(1)
    .max(largestInteger)
    .meta({ description: 'Of the assessment that was read, one of kept_generations' }),
  decision: z.enum(decisions),
  scores: scoresSchema
    .default([])
    .meta({ description: "In place of the model's, by the ids of criteria; those left out stand" }),
  note: linesOfText(4000).nullable().default(null),
})
export type NewVerdict = z.output<typeof newVerdictSchema>

export const verdictSchema = z
  .strictObject({
    generation: z.int().min(1).meta({ description: 'Of the assessment that it was given on' }),
    superseded: z.boolean().meta({ description: 'Whether a newer assessment has been completed' }),
    decision: z.enum(decisions),
    scores: z.array(z.strictObject({ id: z.string(), score: percentage })),
    overall_score: percentage.nullable().meta({
      description:
        "The weighted mean with the person's scores in place of the model's; null if there is no score",
    }),
    note: z.string().nullable(),
    given_by: z.strictObject({ key_id: z.uuid(), label: z.string() }),
    given_at: z.iso.datetime(),
  })
  .meta({ id: 'Verdict', description: "A person's decision, beside the model's assessment." })
export type Verdict = z.output<typeof verdictSchema>

type Row = Omit<Verdict, 'overall_score' | 'given_at'> & { given_at: Date; content: unknown; rubric: Rubric }

/** The verdicts on an interview's assessments, that on the newest generation first. */
export async function verdictsOf(sql: Sql | Transaction, interviewId: string): Promise<Verdict[]> {
  const rows = await sql<Row[]>`
    select v.generation, v.decision, v.scores, v.note, v.given_at, g.content, i.rubric,
      jsonb_build_object('key_id', k.id, 'label', k.label) as given_by,
      exists (
        select from assessment_generations newer
        where newer.interview_id = v.interview_id and newer.generation > v.generation) as superseded
    from verdicts v
    join interviews i on i.id = v.interview_id
    join api_keys k on k.id = v.given_by
    left join assessment_generations g on g.interview_id = v.interview_id and g.generation = v.generation
    where v.interview_id = ${interviewId}
    order by v.generation desc`
  return rows.map(({ content, rubric, ...row }) => ({
    ...row,
    overall_score: overallScore(readContent(content, rubricOf({ rubric })), row.scores),
    given_at: row.given_at.toISOString(),
  }))
}

function overallScore(content: AssessmentContent | null, scores: Verdict['scores']): number | null {
  if (!content) return null
  const changed = new Map(scores.map(({ id, score }) => [id, score]))
  const criteria = content.criteria.map(({ id, weight, score }) => ({
    weight,
    score: changed.get(id) ?? score,
  }))
  return weightedMean(criteria.filter(({ score }) => score !== null))
}

/**
 * Stores what a person decided on one generation, in place of an earlier word on the same one; the same verdict by
 * the same key changes nothing. From then on no assessment of the interview begins by itself. Throws ConflictError
 * (`not_finished`) if no assessment has been completed, UnprocessableError for a generation that was not or a
 * criterion that it does not have.
 */
export async function giveVerdict(
  tx: Transaction,
  interviewId: string,
  keyId: string,
  { generation, decision, scores, note }: NewVerdict,
): Promise<Verdict> {
  await keepInterview(tx, interviewId)
  // A worker that completes a generation, and a late turn that would lead to one, come before or after this.
  await lockProgress(tx, interviewId)
  const assessment = await findAssessment(tx, interviewId)
  if (!assessment || assessment.kept_generations.length === 0) {
    throw new ConflictError('The assessment is not completed', 'not_finished')
  }
  const judged = await findGeneration(tx, interviewId, generation)
  if (!judged) refuse([{ field: 'generation', message: 'is not one of kept_generations' }])
  const known = new Set(judged.content.criteria.map(({ id }) => id))
  const unknown = scores.flatMap(({ id }, index): ErrorDetail[] =>
    known.has(id) ? [] : [{ field: `scores.${index}.id`, message: 'is no criterion of the assessment' }],
  )
  if (unknown.length > 0) refuse(unknown)
  await tx`
    insert into verdicts as v (interview_id, generation, decision, scores, note, given_by)
    values (${interviewId}, ${generation}, ${decision}, ${tx.json(scores)}, ${note}, ${keyId})
    on conflict (interview_id, generation) do update
    set decision = excluded.decision, scores = excluded.scores, note = excluded.note,
      given_by = excluded.given_by, given_at = now()
    where (v.decision, v.scores, v.note, v.given_by)
      is distinct from (excluded.decision, excluded.scores, excluded.note, excluded.given_by)`
  await withdrawRenewal(tx, interviewId)
  const given = await verdictsOf(tx, interviewId)
  return given.find((verdict) => verdict.generation === generation)!
}

function refuse(details: ErrorDetail[]): never {
  throw new UnprocessableError('The verdict does not fit the assessment', details)
}

/** Takes a verdict back. Throws NotFoundError if no one gave one on that generation. */
export async function withdrawVerdict(
  tx: Transaction,
  interviewId: string,
  generation: number,
): Promise<void> {
  await keepInterview(tx, interviewId)
  await lockProgress(tx, interviewId)
  const { count } = await tx`
    delete from verdicts where interview_id = ${interviewId} and generation = ${generation}`
  if (count === 0) throw new NotFoundError('There is no verdict on this generation')
}
