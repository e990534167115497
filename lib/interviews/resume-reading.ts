import { buffer } from 'node:stream/consumers'
import type { Sql, Transaction } from '../platform/db.ts'
import { NotFoundError, UnavailableError } from '../platform/errors.ts'
import { exactly, ObjectMissingError, type Storage } from '../platform/storage.ts'
import { tellByResume } from './candidate-facts.ts'
import { type HiddenText, isHiding } from './hidden-text.ts'
import { FinalError, holdLease, type Lease, type Outcome, underLease } from './lease.ts'
import type { Model } from './model.ts'
import { resumePrompt } from './prompts.ts'
import { countEmbedding, embedText, oweEmbedding, type Passages, storeChunks } from './resume-embedding.ts'
import { resumeText } from './resume-text.ts'
import type { ResumeType } from './resume-type.ts'
import type { ResumeFacts } from './tasks.ts'

export type ReadingContext = {
  sql: Sql
  storage: Pick<Storage, 'read' | 'remove'>
  model: Model
  remainingMs(): number
}

type Upload = {
  team_id: string
  candidate_id: string
  object_key: string
  content_type: ResumeType
  size: number
  encoding: string | null
}

type Reading = {
  content: string
  hidden: HiddenText | undefined
  extracted: ResumeFacts
  passages: Passages
}

/** Milliseconds that are left to store what was read when a model hangs over the passages. */
const toStore = 5000
/** Milliseconds for reading a file, of which half of what is left is never more: a model comes after it. */
const toRead = 60_000

/**
 * Reads a résumé that was uploaded: its text, what the model finds in it, and its passages to search. Without their
 * vectors it is complete too, with no passages until those are made. Killed or doubled, it is stored once. Rejects
 * where the message is to come back; what cannot succeed is stored as failed.
 */
export async function readResume(
  { sql, storage, model, remainingMs }: ReadingContext,
  id: string,
): Promise<Outcome<{ chunks: number; embedding_failure?: string }>> {
  return underLease(sql, 'resumes', id, remainingMs, async (lease) => {
    const upload = await findUpload(sql, id)
    const { text: content, hidden } = await resumeText(await download(storage, upload), upload.content_type, {
      encoding: upload.encoding ?? undefined,
      timeoutMs: Math.min(toRead, remainingMs() / 2),
    })
    const extracted = await model.ask('resume', resumePrompt(content, isHiding(hidden)), { remainingMs })
    const passages = await embedText(model, content, { remainingMs: () => remainingMs() - toStore })
    await countEmbedding(sql, upload.team_id, passages)
    await sql.begin((tx) => store(tx, lease, upload.candidate_id, { content, hidden, extracted, passages }))
    if ('failure' in passages) return { chunks: 0, embedding_failure: passages.failure.code }
    return { chunks: passages.chunks.length }
  })
}

async function findUpload(sql: Sql, id: string): Promise<Upload> {
  const [row] = await sql<Upload[]>`
    select c.team_id, r.candidate_id, r.object_key, r.content_type, r.size, r.encoding
    from resumes r join candidates c on c.id = r.candidate_id where r.id = ${id}`
  if (!row) throw new NotFoundError('Résumé not found')
  return row
}

/** The file, whose size its upload was signed for. */
async function download(storage: Pick<Storage, 'read'>, { object_key, size }: Upload): Promise<Buffer> {
  try {
    const body = await storage.read(object_key, { range: { start: 0, end: size } })
    return await buffer(exactly(body, size))
  } catch (error) {
    if (error instanceof ObjectMissingError) {
      throw new FinalError('object_missing', 'The file is not there any more', error)
    }
    // A connection that broke would pass for the database's.
    throw new UnavailableError('S3 did not deliver the file', error)
  }
}

async function store(
  tx: Transaction,
  lease: Lease,
  candidateId: string,
  { content, hidden, extracted, passages }: Reading,
): Promise<void> {
  // A deletion takes the candidate before its résumés, too.
  await tx`select from candidates where id = ${candidateId} for no key update`
  await holdLease(tx, lease)
  if ('chunks' in passages) await storeChunks(tx, lease.id, passages)
  else await oweEmbedding(tx, lease.id, passages.failure)
  await tellByResume(tx, candidateId, lease.id, extracted)
  await tx`
    update resumes
    set state = 'completed', content = ${content}, hidden_text = ${hidden ? tx.json(hidden) : null},
      extracted = ${tx.json(extracted)}, failure = null,
      completed_at = now(), lease = null, lease_until = null, touched_at = now()
    where id = ${lease.id}`
}

/**
 * Deletes a file whose candidate was deleted while it was uploaded. Its résumé is there before the address of the
 * upload is.
 */
export async function removeOrphan(
  { sql, storage }: Pick<ReadingContext, 'sql' | 'storage'>,
  id: string,
  key: string,
): Promise<boolean> {
  const [row] = await sql`select from resumes where id = ${id}`
  if (row) return false
  await storage.remove(key)
  return true
}
