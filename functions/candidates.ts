import * as z from 'zod'
import {
  candidateSchema,
  candidateView,
  createCandidate,
  deleteCandidate,
  getCandidate,
  listCandidates,
  newCandidateSchema,
} from '../lib/interviews/candidates.ts'
import {
  createdResumeSchema,
  createResume,
  latestResume,
  newResumeSchema,
  resumeAnswer,
  resumeAnswerSchema,
} from '../lib/interviews/resumes.ts'
import { lineOfText } from '../lib/interviews/text.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect, retryRead } from '../lib/platform/db.ts'
import { httpFunction, json, route } from '../lib/platform/http/index.ts'
import { pageBody, pageQuery, pageSchema, rangeOf } from '../lib/platform/http/numbered-pages.ts'
import { logger } from '../lib/platform/log.ts'
import { env } from '../lib/platform/names.ts'
import { createStorage } from '../lib/platform/storage.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))

const idPath = z.strictObject({ id: z.uuid() })
const oneSchema = z.strictObject({ status: z.literal('success'), data: candidateSchema })

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
    async handler({ query, caller }) {
      const { rows, total } = await retryRead(() =>
        listCandidates(connect(), caller.teamId, { q: query.q }, rangeOf(query)),
      )
      return json(200, pageBody(query, total, rows.map(candidateView)))
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
})
