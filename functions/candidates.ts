import * as z from 'zod'
import { eraseNameFromExports } from '../lib/exports/erase.ts'
import { eraseName } from '../lib/imports/erase.ts'
import {
  candidateSchema,
  candidateView,
  createCandidate,
  deleteCandidate,
  getCandidate,
  listCandidates,
  newCandidateSchema,
} from '../lib/interviews/candidates.ts'
import { eraseAddress, noneErased, noteErasure } from '../lib/interviews/erase.ts'
import {
  createdResumeSchema,
  createResume,
  latestResume,
  newResumeSchema,
  resumeAnswer,
  resumeAnswerSchema,
  resumeFile,
} from '../lib/interviews/resumes.ts'
import { lineOfText } from '../lib/interviews/text.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { connect, retryRead } from '../lib/platform/db.ts'
import { download, downloadAnswers } from '../lib/platform/http/download.ts'
import { httpFunction, json, route } from '../lib/platform/http/index.ts'
import { pageAnswer, pageQuery, pageSchema, rangeOf } from '../lib/platform/http/numbered-pages.ts'
import { idPath } from '../lib/platform/http/shapes.ts'
import { logger } from '../lib/platform/log.ts'
import { env, exportRetentionDays, webhookRetentionDays } from '../lib/platform/names.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { applyFacetDeltas } from '../lib/profiles/facets.ts'
import { maxNameLength } from '../lib/profiles/profile.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))
const downloadSeconds = 300

const oneSchema = z.strictObject({ status: z.literal('success'), data: candidateSchema })

const personSchema = z
  .strictObject({
    email: z.email().max(254).meta({ description: 'Of a candidate or a recruiter, in any case' }).optional(),
    name: lineOfText(maxNameLength).meta({ description: 'Of a profile, in any case' }).optional(),
  })
  .refine(({ email, name }) => email !== undefined || name !== undefined, {
    error: 'email or name must be given',
  })

const count = z.int().min(0)
const erasureSchema = z
  .strictObject({
    status: z.literal('success'),
    id: z.uuid().meta({ description: 'Of the record of it, which names nobody' }),
    counts: z.strictObject({
      ...Object.fromEntries(Object.keys(noneErased).map((kind) => [kind, count])),
      profiles: count,
      import_rows: count,
    }),
    not_reached: z.array(
      z.strictObject({
        what: z.enum(['uploads', 'rejects', 'exports', 'webhook_bodies']),
        expires_after_days: z.int().min(1),
      }),
    ),
  })
  .meta({ id: 'Erasure', description: 'not_reached: files that are not searched, and expire by themselves.' })

const uploadRetentionDays = numberEnv(env.uploadRetentionDays, 90)
const notReached: z.output<typeof erasureSchema>['not_reached'] = [
  { what: 'uploads', expires_after_days: uploadRetentionDays },
  { what: 'rejects', expires_after_days: uploadRetentionDays },
  { what: 'exports', expires_after_days: exportRetentionDays },
  { what: 'webhook_bodies', expires_after_days: webhookRetentionDays },
]

/** All or nothing, in one transaction. */
function erase(owner: { teamId: string; keyId: string }, { email, name }: z.output<typeof personSchema>) {
  return connect().begin(async (tx) => {
    const person = email === undefined ? noneErased : await eraseAddress(tx, storage, owner, email)
    if (name !== undefined) await eraseNameFromExports(tx, name)
    const named = await (name === undefined ? undefined : eraseName(tx, name))
    const counts = { ...person, ...(named?.counts ?? { profiles: 0, import_rows: 0 }) }
    const id = await noteErasure(tx, owner, counts)
    if (named && named.deltas.length > 0) await applyFacetDeltas(tx, named.deltas)
    return { id, counts }
  })
}

const listQuery = pageQuery.extend({
  q: lineOfText(200).meta({ description: 'In the name or the e-mail' }).optional(),
})

export const handler = httpFunction({
  'POST /api/candidates': route({
    summary: 'Adds a candidate; an e-mail is in a team once',
    body: newCandidateSchema,
    answers: { 201: oneSchema },
    errors: [409],
    async handler({ body, caller }) {
      const made = await createCandidate(connect(), caller.teamId, body)
      const headers = { location: `/api/candidates/${made.id}` }
      return json(201, { status: 'success', data: candidateView(made) }, headers)
    },
  }),

  'GET /api/candidates': route({
    summary: "The team's candidates, newest first",
    query: listQuery,
    answers: { 200: pageSchema(candidateSchema) },
    async handler({ query, caller, event }) {
      const { rows, total } = await retryRead(() =>
        listCandidates(connect(), caller.teamId, { q: query.q }, rangeOf(query)),
      )
      return pageAnswer(event, query, total, rows.map(candidateView))
    },
  }),

  'GET /api/candidates/{id}': route({
    summary: 'One candidate',
    path: idPath,
    answers: { 200: oneSchema },
    async handler({ path, caller }) {
      const found = await retryRead(() => getCandidate(connect(), caller.teamId, path.id))
      return json(200, { status: 'success', data: candidateView(found) })
    },
  }),

  'DELETE /api/candidates/{id}': route({
    summary: 'Deletes a candidate without interviews, with all résumés; who did it is kept',
    path: idPath,
    answers: { 204: null },
    errors: [409],
    async handler({ path, caller }) {
      await deleteCandidate({ sql: connect(), storage }, caller, path.id)
      return { status: 204 }
    },
  }),

  'POST /api/erasures': route({
    summary: 'Deletes a person everywhere in the database and among the résumés; once more, it finds nothing',
    body: personSchema,
    answers: { 200: erasureSchema },
    async handler({ body, caller }) {
      const erased = await erase(caller, body)
      logger.info('Person erased', { correlation_id: erased.id, counts: erased.counts })
      return json(200, { status: 'success', ...erased, not_reached: notReached })
    },
  }),

  'POST /api/candidates/{id}/resume': route({
    summary: 'Begins the upload of a résumé: PDF, DOCX or plain text, up to 10 MiB',
    path: idPath,
    body: newResumeSchema,
    answers: { 201: createdResumeSchema },
    async handler({ path, body, caller }) {
      const candidate = { teamId: caller.teamId, id: path.id }
      const created = await createResume({ sql: connect(), storage }, candidate, body)
      logger.info('Résumé created', { correlation_id: created.id, size: body.size })
      const headers = { location: `/api/candidates/${path.id}/resume` }
      return json(201, { status: 'success', ...created }, headers)
    },
  }),

  'GET /api/candidates/{id}/resume': route({
    summary: 'The newest résumé, how far it is and what was found in it',
    path: idPath,
    answers: { 200: resumeAnswerSchema },
    async handler({ path, caller }) {
      const candidate = { teamId: caller.teamId, id: path.id }
      return json(200, resumeAnswer(await retryRead(() => latestResume(connect(), candidate))))
    },
  }),

  'GET /api/candidates/{id}/resume/file': route({
    summary: 'The file of the newest résumé',
    path: idPath,
    answers: downloadAnswers,
    errors: [409],
    async handler({ path, caller, event }) {
      const candidate = { teamId: caller.teamId, id: path.id }
      const { object_key, filename, content_type } = await retryRead(() => resumeFile(connect(), candidate))
      const address = await storage.presignGet(object_key, filename, content_type, downloadSeconds)
      return download(event, content_type, address)
    },
  }),
})
