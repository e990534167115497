import { arrayLiteral, type Sql } from '../platform/db.ts'
import { describeFailure } from '../platform/failures.ts'
import { logger } from '../platform/log.ts'
import { type HiddenText, isHiding } from './hidden-text.ts'
import type { CallOptions, Embedding, Model } from './model.ts'
import type { ResumeExcerpt } from './prompts.ts'

/** Characters of a question that are looked for: the embedding model takes 2,048 tokens. */
const longestQuestion = 6000

/**
 * The pieces of the candidate's newest résumé that are nearest to the text, the nearest first. None if no résumé has
 * been read or its passages are still to be made, and none if the model has no answer now: the caller goes on without.
 */
export async function resumeContext(
  sql: Sql,
  model: Pick<Model, 'embed'>,
  candidateId: string,
  text: string,
  { limit = 5, ...options }: { limit?: number } & CallOptions = {},
): Promise<ResumeExcerpt> {
  const question = text.trim().slice(0, longestQuestion).toWellFormed()
  const resume = question === '' ? undefined : await newestResume(sql, candidateId)
  if (!resume) return { passages: [], hidesText: false }
  const hidesText = isHiding(resume.hidden_text)
  const embedding = await embedQuestion(model, question, resume.id, options)
  return { passages: embedding ? await nearest(sql, resume.id, embedding, limit) : [], hidesText }
}

type NewestResume = { id: string; hidden_text: HiddenText | null }

async function newestResume(sql: Sql, candidateId: string): Promise<NewestResume | undefined> {
  const [row] = await sql<(NewestResume & { searchable: boolean })[]>`
    select id, hidden_text, embedding_due_at is null as searchable from resumes
    where candidate_id = ${candidateId} and state = 'completed'
    order by id desc limit 1`
  // Not an older one in its place, which may say otherwise.
  return row?.searchable ? row : undefined
}

async function embedQuestion(
  model: Pick<Model, 'embed'>,
  question: string,
  resumeId: string,
  options: CallOptions,
): Promise<Embedding | undefined> {
  try {
    return await model.embed([question], 'query', options)
  } catch (error) {
    logger.warn('A résumé is not searched', { resume_id: resumeId, reason: describeFailure(error).error })
    return undefined
  }
}

async function nearest(
  sql: Sql,
  resumeId: string,
  { model, dimensions, vectors: [vector = []] }: Embedding,
  limit: number,
): Promise<string[]> {
  // Distances between vectors of two models mean nothing.
  const comparable = sql`
    resume_id = ${resumeId} and embedding_model = ${model} and embedding_dimensions = ${dimensions}`
  const wanted = sql`${arrayLiteral(vector)}::text::real[]`
  const chunks = (await hasVectors(sql))
    ? sql`
        select content from resume_chunks where ${comparable}
        order by embedding::vector <=> ${wanted}::vector, chunk_no limit ${limit}`
    : // Two arrays unnested in the select list run side by side: 200 chunks in 10 ms, and in 16 as functions.
      sql`
        select content from resume_chunks cross join lateral (
          select sum(a * b) as cosine from (select unnest(embedding) as a, unnest(${wanted}) as b) pairs
        ) product
        where ${comparable} order by cosine desc, chunk_no limit ${limit}`
  const rows = await sql<{ content: string }[]>`${chunks}`
  return rows.map(({ content }) => content)
}

const vectors = new WeakMap<Sql, Promise<boolean>>()

/** Whether the server has pgvector: asked once for each pool. */
function hasVectors(sql: Sql): Promise<boolean> {
  const known = vectors.get(sql)
  if (known) return known
  const asked = sql<{ has: boolean }[]>`select to_regtype('vector') is not null as has`.then(
    ([row]) => row!.has,
  )
  vectors.set(sql, asked)
  asked.catch(() => vectors.delete(sql))
  return asked
}
