import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { lockLetters, settleLetters } from '../platform/dead-letter-store.ts'
import {
  BadRequestError,
  ConflictError,
  InsightaError,
  NotFoundError,
  TooLargeError,
} from '../platform/errors.ts'
import { uploadSchema } from '../platform/http/shapes.ts'
import { queues } from '../platform/names.ts'
import { enqueue } from '../platform/outbox.ts'
import { spend } from '../platform/quotas.ts'
import type { PresignedPut, Storage } from '../platform/storage.ts'
import { encodingOf } from '../platform/text/encoding-names.ts'
import { candidateNotFound } from './candidates.ts'
import { type Failure, failureSchema } from './failure.ts'
import { type HiddenText, hiddenTextSchema } from './hidden-text.ts'
import { reopenWork, workMessages } from './recovery-store.ts'
import { resumeKey } from './resume-messages.ts'
import { type ResumeType, resumeTypeOf, resumeTypes } from './resume-type.ts'
import { type ResumeFacts, resumeSchema } from './tasks.ts'
import { lineOfText } from './text.ts'

/** Bytes of a résumé at the most. */
export const maxResumeBytes = 10 * 1024 * 1024
/** For which the address of an upload is good. */
const uploadSeconds = 3600

export const resumeStates = ['awaiting_upload', 'pending', 'processing', 'completed', 'failed'] as const
export type ResumeState = (typeof resumeStates)[number]

export const newResumeSchema = z.strictObject({
  filename: lineOfText(255),
  size: z.int().min(1),
  content_type: lineOfText(200).optional().meta({
    description:
      "Without it, the filename's extension says what the file is. Of a plain text it may name the encoding: text/plain; charset=shift_jis",
  }),
})
export type NewResume = z.output<typeof newResumeSchema>

export const createdResumeSchema = z.strictObject({
  status: z.literal('success'),
  id: z.uuid(),
  state: z.enum(resumeStates),
  upload: uploadSchema,
})

export const resumeAnswerSchema = z
  .strictObject({
    status: z.literal('success'),
    id: z.uuid(),
    state: z.enum(resumeStates),
    failure: failureSchema.optional(),
    filename: z.string(),
    size: z.int(),
    content_type: z.string(),
    text: z
      .string()
      .optional()
      .meta({ description: 'As it was read from the file, up to 200,000 characters' }),
    hidden_text: hiddenTextSchema.optional().meta({
      description:
        'Text of the file that people do not see and the model reads: it may have been written to steer the model. Not there if the file was not looked through',
    }),
    extracted: resumeSchema.optional(),
    searchable: z.boolean().meta({
      description: 'Whether its passages are found. They may follow some minutes after what was extracted',
    }),
    created_at: z.iso.datetime(),
    completed_at: z.iso.datetime().nullable(),
  })
  .meta({
    id: 'Resume',
    description: 'text and extracted are there once the state is completed, failure if it failed.',
  })

export type Resume = {
  id: string
  state: ResumeState
  failure: Failure | null
  filename: string
  size: number
  content_type: ResumeType
  content: string | null
  hidden_text: HiddenText | null
  extracted: ResumeFacts | null
  searchable: boolean
  created_at: Date
  completed_at: Date | null
}

/** A résumé as the API shows it. */
export function resumeAnswer(row: Resume): z.output<typeof resumeAnswerSchema> {
  const { failure, content, hidden_text, extracted, created_at, completed_at, ...own } = row
  return {
    status: 'success',
    ...own,
    created_at: created_at.toISOString(),
    completed_at: completed_at?.toISOString() ?? null,
    ...(failure && { failure }),
    ...(content !== null && { text: content }),
    ...(hidden_text && { hidden_text }),
    ...(extracted && { extracted }),
  }
}

/**
 * A résumé of the team's candidate that awaits its upload, and where that goes. Throws NotFoundError,
 * TooLargeError, and InsightaError (415 `unsupported_media_type`) for what is no PDF, DOCX or plain text.
 */
export async function createResume(
  { sql, storage }: { sql: Sql; storage: Pick<Storage, 'presignPut'> },
  candidate: { teamId: string; id: string },
  { filename, size, content_type }: NewResume,
): Promise<{ id: string; state: ResumeState; upload: PresignedPut }> {
  const type = resumeTypeOf(filename, content_type)
  if (!type) {
    throw new InsightaError('A résumé is a PDF, a DOCX or a plain text', {
      code: 'unsupported_media_type',
      status: 415,
    })
  }
  const encoding = encodingSaid(type, content_type)
  if (size > maxResumeBytes) throw new TooLargeError(`A résumé may have ${maxResumeBytes} bytes at the most`)
  const { id, key } = await sql.begin(async (tx) => {
    const [row] = await tx<{ id: string }[]>`
      select uuidv7() as id from candidates
      where team_id = ${candidate.teamId} and id = ${candidate.id} for key share`
    if (!row) throw candidateNotFound()
    const key = resumeKey(row.id)
    await tx`
      insert into resumes (id, candidate_id, filename, content_type, encoding, size, object_key, upload_expires_at)
      values (${row.id}, ${candidate.id}, ${filename}, ${type}, ${encoding ?? null}, ${size}, ${key},
        now() + make_interval(secs => ${uploadSeconds}))`
    await spend(tx, candidate.teamId, 'upload_bytes', size)
    await spend(tx, candidate.teamId, 'model_calls', 1)
    return { id: row.id, key }
  })
  return { id, state: 'awaiting_upload', upload: await storage.presignPut(key, size, type, uploadSeconds) }
}

/** The encoding of a plain text, if its type names one. Throws BadRequestError for one that is not read. */
function encodingSaid(type: ResumeType, contentType: string | undefined): string | undefined {
  const label = /;\s{0,20}charset\s{0,20}=\s{0,20}"?([^\s";]{1,40})/i.exec(contentType ?? '')?.[1]
  if (type !== resumeTypes.txt || label === undefined) return undefined
  const encoding = encodingOf(label)
  if (encoding) return encoding
  const message = 'names an encoding that is not read'
  throw new BadRequestError('The encoding is not known', [{ field: 'content_type', message }])
}

/** The newest résumé of the team's candidate. Throws NotFoundError if there is none. */
export async function latestResume(sql: Sql, candidate: { teamId: string; id: string }): Promise<Resume> {
  const { object_key: _, ...resume } = await latestRow(sql, candidate)
  return resume
}

/**
 * The file of the newest résumé of the team's candidate. Throws NotFoundError if none came, and ConflictError
 * while one is awaited.
 */
export async function resumeFile(
  sql: Sql,
  candidate: { teamId: string; id: string },
): Promise<Pick<ResumeRow, 'object_key' | 'filename' | 'content_type'>> {
  const row = await latestRow(sql, candidate)
  if (row.state === 'awaiting_upload') {
    throw new ConflictError('The file of this résumé has not arrived yet', 'not_finished')
  }
  if (row.failure?.code === 'upload_expired') throw new NotFoundError('No file came for this résumé')
  return row
}

type ResumeRow = Resume & { object_key: string }

async function latestRow(
  sql: Sql | Transaction,
  candidate: { teamId: string; id: string },
): Promise<ResumeRow> {
  const [row] = await sql<ResumeRow[]>`
    select r.id, r.state, r.failure, r.filename, r.size, r.content_type, r.content, r.hidden_text,
      r.extracted, r.created_at, r.completed_at, r.object_key, r.state = 'completed' and r.embedding_due_at is null as searchable
    from resumes r join candidates c on c.id = r.candidate_id
    where c.team_id = ${candidate.teamId} and c.id = ${candidate.id}
    order by r.id desc limit 1`
  if (!row) throw new NotFoundError('There is no résumé of this candidate')
  return row
}

/** Failures that say that there is no file to read. */
const withoutFile = new Set(['upload_expired', 'object_missing'])

/**
 * Has the newest résumé of the team's candidate read again if that failed; any other is left as it is. Returns it,
 * and the outbox's messages to send after the commit. Throws NotFoundError, and ConflictError (`no_file`) if there
 * is no file to read.
 */
export async function retryResume(
  tx: Transaction,
  candidate: { teamId: string; id: string },
): Promise<{ resume: Resume; messages: string[] }> {
  const { object_key: _, ...resume } = await latestRow(tx, candidate)
  if (resume.state !== 'failed') return { resume, messages: [] }
  await lockLetters(tx, resume.id)
  if (withoutFile.has(resume.failure?.code ?? '')) {
    throw new ConflictError('There is no file to read: upload the résumé again', 'no_file')
  }
  if (!(await reopenWork(tx, 'resumes', resume.id))) return { resume, messages: [] }
  await settleLetters(tx, 'redriven', resume.id, [queues.resumes])
  await spend(tx, candidate.teamId, 'model_calls', 1)
  const message = await enqueue(tx, queues.resumes, workMessages.resumes(resume.id))
  return { resume: { ...resume, state: 'pending', failure: null }, messages: [message] }
}
