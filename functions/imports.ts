import * as z from 'zod'
import { cancelImport } from '../lib/imports/cancel.ts'
import { commitImport } from '../lib/imports/commit.ts'
import { findRejects } from '../lib/imports/find-rejects.ts'
import { uploadKey } from '../lib/imports/messages.ts'
import { importOptions, optionFields } from '../lib/imports/options.ts'
import { rejectForms } from '../lib/imports/rejects.ts'
import { startRemoval } from '../lib/imports/remove.ts'
import {
  listedReportOf,
  listedReportSchema,
  type Report,
  reportOf,
  reportSchema,
  states,
} from '../lib/imports/report.ts'
import { retryImport } from '../lib/imports/retry.ts'
import { createImport, listImports, summarise } from '../lib/imports/store.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect, retryRead } from '../lib/platform/db.ts'
import { ConflictError, NotFoundError, TooLargeError } from '../lib/platform/errors.ts'
import { download, downloadAnswers } from '../lib/platform/http/download.ts'
import { idempotencyHeaders, idempotencyKey } from '../lib/platform/http/idempotency.ts'
import { httpFunction, json, route } from '../lib/platform/http/index.ts'
import { pageAnswer, pageQuery, pageSchema, rangeOf } from '../lib/platform/http/numbered-pages.ts'
import { idPath, uploadSchema } from '../lib/platform/http/shapes.ts'
import { logger } from '../lib/platform/log.ts'
import { env } from '../lib/platform/names.ts'
import { createQueue, sendOrLeave } from '../lib/platform/queue.ts'
import { spend } from '../lib/platform/quotas.ts'
import { createStorage } from '../lib/platform/storage.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))
const objects = createQueue(requiredEnv(env.importObjectsQueueUrl))
const slices = createQueue(requiredEnv(env.importSlicesQueueUrl))
const finish = createQueue(requiredEnv(env.importFinishQueueUrl))
const removals = createQueue(requiredEnv(env.importRemovalsQueueUrl))

/** The most that S3 takes in one PUT. */
const maxSize = 5 * 1024 ** 3
const uploadSeconds = 3600
const downloadSeconds = 300
const contentType = 'text/csv'

const newImportSchema = z.strictObject({
  filename: z
    .string()
    // Before it is trimmed of line ends, which are control characters too.
    .refine((name) => name.isWellFormed() && !/\p{Cc}/u.test(name), 'must not contain control characters')
    .trim()
    .min(1)
    .max(255),
  size: z.int().min(0),
  dry_run: z
    .boolean()
    .default(false)
    .meta({ description: 'A trial: everything but the writing of profiles' }),
  ...optionFields,
})

const createdSchema = z.strictObject({
  status: z.literal('success'),
  id: z.uuid(),
  state: z.enum(states),
  /** Null where the upload has already been made. */
  upload: uploadSchema.nullable(),
})

const rejectsQuery = z.strictObject({
  format: z.enum(rejectForms).default('report').meta({
    description:
      '`report`: what was wrong with each skipped row. `rows`: the rows themselves under the columns of the file, to be corrected and imported again',
  }),
})

const listSchema = pageSchema(listedReportSchema)

async function find(teamId: string, id: string) {
  const row = await retryRead(() => summarise(connect(), teamId, id))
  if (!row) throw new NotFoundError('Import not found')
  return row
}

async function report(teamId: string, id: string): Promise<Report> {
  return reportOf(await find(teamId, id), new Date())
}

export const handler = httpFunction({
  'POST /api/imports': route({
    summary: 'Begins an import: where to upload the file',
    headers: idempotencyHeaders,
    body: newImportSchema,
    answers: { 200: createdSchema, 201: createdSchema },
    errors: [409],
    async handler({ body, caller, event }) {
      const { filename, size, dry_run, ...said } = body
      if (size > maxSize) throw new TooLargeError(`A file may have ${maxSize} bytes at the most`)
      const wanted = {
        team_id: caller.teamId,
        created_by: caller.keyId,
        idempotency_key: idempotencyKey(event),
        expires_in_seconds: uploadSeconds,
        filename,
        size,
        dry_run,
        options: importOptions(said),
      }
      const found = await connect().begin(async (tx) => {
        const made = await createImport(tx, wanted, uploadKey)
        if (made.created) await spend(tx, caller.teamId, 'upload_bytes', size)
        return made
      })
      if (!found.same) {
        throw new ConflictError(
          'This Idempotency-Key was used for another file, or with other options',
          'idempotency_conflict',
        )
      }
      logger.info('Import created', { correlation_id: found.id, size, created: found.created })
      const { id, state } = found
      const upload =
        state === 'awaiting_upload'
          ? await storage.presignPut(found.object_key, size, contentType, uploadSeconds)
          : null
      return json(
        found.created ? 201 : 200,
        { status: 'success', id, state, upload },
        { location: `/api/imports/${id}` },
      )
    },
  }),

  'GET /api/imports': route({
    summary: "The team's imports, newest first",
    query: pageQuery,
    answers: { 200: listSchema },
    async handler({ query, caller, event }) {
      const { rows, total } = await retryRead(() => listImports(connect(), caller.teamId, rangeOf(query)))
      const now = new Date()
      const data = rows.map((row) => listedReportOf(row, now))
      return pageAnswer(event, query, total, data)
    },
  }),

  'GET /api/imports/{id}': route({
    summary: 'The report of an import, at every moment',
    path: idPath,
    answers: { 200: reportSchema },
    async handler({ path, caller }) {
      return json(200, await report(caller.teamId, path.id))
    },
  }),

  'DELETE /api/imports/{id}/profiles': route({
    summary: 'Takes out again what an import put in',
    path: idPath,
    answers: { 202: reportSchema },
    errors: [409],
    async handler({ path, caller }) {
      await startRemoval(connect(), removals, caller.teamId, path.id)
      return json(202, await report(caller.teamId, path.id))
    },
  }),

  'POST /api/imports/{id}/retry': route({
    summary: 'Runs what failed of an import again',
    path: idPath,
    errors: [409],
    answers: { 200: reportSchema },
    async handler({ path, caller }) {
      const context = { sql: connect(), storage, objects, slices }
      await sendOrLeave(await retryImport(context, caller.teamId, path.id))
      return json(200, await report(caller.teamId, path.id))
    },
  }),

  'POST /api/imports/{id}/commit': route({
    summary: 'Turns a finished trial into the real import of the same upload',
    path: idPath,
    errors: [409],
    answers: { 200: reportSchema },
    async handler({ path, caller }) {
      const context = { sql: connect(), storage, objects }
      await sendOrLeave(await commitImport(context, caller.teamId, path.id))
      logger.info('Trial committed', { correlation_id: path.id })
      return json(200, await report(caller.teamId, path.id))
    },
  }),

  'POST /api/imports/{id}/cancel': route({
    summary: 'Cancels an import; rows that are in stay in',
    path: idPath,
    errors: [409],
    answers: { 200: reportSchema },
    async handler({ path, caller }) {
      await sendOrLeave(await cancelImport({ sql: connect(), finish }, caller.teamId, path.id))
      return json(200, await report(caller.teamId, path.id))
    },
  }),

  'GET /api/imports/{id}/rejects': route({
    summary: 'The skipped rows, as CSV',
    path: idPath,
    query: rejectsQuery,
    answers: downloadAnswers,
    errors: [409],
    async handler({ path, query, caller, event }) {
      const file = await find(caller.teamId, path.id)
      const key = await findRejects({ sql: connect(), storage }, file, query.format)
      const address = await storage.presignGet(
        key,
        `${query.format === 'rows' ? 'rows' : 'rejects'}-${path.id}.csv`,
        'text/csv; charset=utf-8',
        downloadSeconds,
      )
      return download(event, contentType, address)
    },
  }),
})
