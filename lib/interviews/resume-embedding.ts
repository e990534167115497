import type { Sql, Transaction } from '../platform/db.ts'
import { isInsightaError } from '../platform/errors.ts'
import { describeFailure } from '../platform/failures.ts'
import { logger } from '../platform/log.ts'
import { countUsage } from '../platform/quotas.ts'
import { chunksOf } from './chunks.ts'
import { type Failure, failureOf } from './failure.ts'
import { type CallOptions, type Embedding, embeddingCalls, type Model } from './model.ts'

type Chunk = { content: string; embedding: number[] }
export type EmbeddingModel = Pick<Embedding, 'model' | 'dimensions'>

/** The pieces of a résumé that are searched, or why they could not be made. */
export type Passages = (EmbeddingModel & { chunks: Chunk[] }) | { failure: Failure }

/**
 * Counts the calls that the passages of a text took. The quota does not hold them up. An attempt that failed cost
 * nothing, and there may be a hundred a day of each résumé while the model refuses them.
 */
export async function countEmbedding(sql: Sql, teamId: string, passages: Passages): Promise<void> {
  if ('failure' in passages) return
  const calls = embeddingCalls(passages.chunks.map(({ content }) => content))
  await countUsage(sql, teamId, 'model_calls', calls)
}

/** The passages of a text. Never rejects: a résumé is worth reading without them, and they can be made later. */
export async function embedText(
  model: Pick<Model, 'embed'>,
  content: string,
  options: CallOptions,
): Promise<Passages> {
  const texts = chunksOf(content)
  try {
    const { vectors, ...by } = await model.embed(texts, 'document', options)
    return { ...by, chunks: texts.map((text, index) => ({ content: text, embedding: vectors[index]! })) }
  } catch (error) {
    const failure = whyNot(error)
    logger.warn('The passages of a résumé are made later', failure)
    return { failure }
  }
}

function whyNot(error: unknown): Failure {
  const { error: message } = describeFailure(error)
  return isInsightaError(error) ? { ...failureOf(error), message } : { code: 'internal_error', message }
}

/** Stores the passages of a résumé in place of those that it has. */
export async function storeChunks(
  tx: Transaction,
  resumeId: string,
  { model, dimensions, chunks }: EmbeddingModel & { chunks: readonly Chunk[] },
): Promise<void> {
  const rows = chunks.map((chunk, index) => ({ chunk_no: index + 1, ...chunk }))
  await tx`delete from resume_chunks where resume_id = ${resumeId}`
  await tx`
    insert into resume_chunks (resume_id, chunk_no, content, embedding, embedding_model, embedding_dimensions)
    select ${resumeId}, chunk_no, content, embedding, ${model}, ${dimensions}::integer
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as chunk(
      chunk_no integer, content text, embedding real[])`
}

/** Seconds before the passages of a résumé are tried a second time. The wait doubles, at most four times. */
const firstWait = 60
const mostDoublings = 4

/** Notes that a résumé has no passages yet, and why. To be called under the lease. */
export async function oweEmbedding(tx: Transaction, id: string, failure: Failure): Promise<void> {
  await tx`
    update resumes
    set embedding_due_at = now() + make_interval(secs => ${firstWait}), embedding_attempts = 1,
      embedding_failure = ${tx.json(failure)}
    where id = ${id}`
}

/** Takes résumés whose passages are due; the next attempt at each is twice as late. */
export async function claimUnembedded(tx: Transaction, limit: number): Promise<string[]> {
  const rows = await tx<{ id: string }[]>`
    update resumes
    set embedding_attempts = embedding_attempts + 1, embedding_due_at =
      now() + make_interval(secs => ${firstWait} * power(2, least(embedding_attempts, ${mostDoublings})))
    where id in (
      select id from resumes where embedding_due_at <= now()
      order by embedding_due_at limit ${limit} for update skip locked)
    returning id`
  return rows.map(({ id }) => id)
}

/**
 * Has passages made again that are of another model or dimension than this. Until then their résumé is not searched:
 * its vectors say nothing beside those of the model that is asked now.
 */
export async function renewPassages(
  tx: Transaction,
  { model, dimensions }: EmbeddingModel,
  limit: number,
): Promise<number> {
  const { count } = await tx`
    update resumes set embedding_due_at = now(), embedding_attempts = 0, embedding_failure = null
    where id in (
      select r.id from resume_chunks c join resumes r on r.id = c.resume_id
      where c.chunk_no = 1 and r.embedding_due_at is null and r.state = 'completed'
        and (c.embedding_model < ${model} or c.embedding_model > ${model}
          or c.embedding_dimensions <> ${dimensions})
      limit ${limit} for update of r skip locked)`
  return count
}

export type EmbeddingContext = { sql: Sql; model: Pick<Model, 'embed'>; remainingMs(): number }

/**
 * Makes the passages that a résumé lacks, or has of another model. Doubled, they are stored once. Where the model still has no
 * vectors that is noted, and the sweep comes again.
 */
export async function embedResume(
  { sql, model, remainingMs }: EmbeddingContext,
  id: string,
): Promise<{ chunks: number } | { failure: Failure } | undefined> {
  const [row] = await sql<{ content: string; team_id: string }[]>`
    select content, c.team_id from resumes r join candidates c on c.id = r.candidate_id
    where r.id = ${id} and embedding_due_at is not null`
  if (!row) return undefined
  const passages = await embedText(model, row.content, { remainingMs })
  await countEmbedding(sql, row.team_id, passages)
  if ('failure' in passages) {
    await sql`
      update resumes set embedding_failure = ${sql.json(passages.failure)}
      where id = ${id} and embedding_due_at is not null`
    return passages
  }
  return sql.begin(async (tx) => {
    const { count } = await tx`
      update resumes set embedding_due_at = null, embedding_attempts = 0, embedding_failure = null
      where id = ${id} and embedding_due_at is not null`
    if (count === 0) return undefined
    await storeChunks(tx, id, passages)
    return { chunks: passages.chunks.length }
  })
}
