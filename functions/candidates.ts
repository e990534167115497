import * as z from 'zod'
import {
  candidateChangesSchema,
  candidateSchema,
  candidateView,
  changeCandidate,
  createCandidate,
  deleteCandidate,
  getCandidate,
  listCandidates,
  newCandidateSchema,
} from '../lib/interviews/candidates.ts'
import { consentSchema, consentsOf, newConsentSchema, recordConsent } from '../lib/interviews/consents.ts'
import { suppressionListFromEnvironment } from '../lib/interviews/model.ts'
import {
  createdResumeSchema,
  createResume,
  latestResume,
  newResumeSchema,
  resumeAnswer,
  resumeAnswerSchema,
  resumeFile,
  retryResume,
} from '../lib/interviews/resumes.ts'
import {
  liftSuppression,
  listSuppressions,
  suppressionOf,
  suppressionSchema,
  suppressionView,
} from '../lib/interviews/suppressions.ts'
import { lineOfText } from '../lib/interviews/text.ts'
import { authorize, type Caller } from '../lib/platform/auth.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { connect, retryRead } from '../lib/platform/db.ts'
import { emailAddress } from '../lib/platform/email-address.ts'
import { download, downloadAnswers } from '../lib/platform/http/download.ts'
import { httpFunction, json, route } from '../lib/platform/http/index.ts'
import { pageAnswer, pageQuery, pageSchema, rangeOf } from '../lib/platform/http/numbered-pages.ts'
import { idPath, wordInAnyCase } from '../lib/platform/http/shapes.ts'
import { logger } from '../lib/platform/log.ts'
import {
  env,
  exportRetentionDays,
  personDataDays,
  queues,
  webhookRetentionDays,
} from '../lib/platform/names.ts'
import { sendOutbox } from '../lib/platform/outbox.ts'
import { createSourceQueue } from '../lib/platform/queue.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { candidateData, dataFormats, dataTypes } from '../lib/privacy/candidate-data.ts'
import { eraseEverywhere, erasePerson } from '../lib/privacy/erase.ts'
import { nothingErased, type Person } from '../lib/privacy/erasures.ts'
import { maxNameLength } from '../lib/profiles/profile.ts'

const suppressionList = suppressionListFromEnvironment()
const storage = createStorage(requiredEnv(env.uploadBucket))
const outbox = { [queues.resumes]: createSourceQueue(requiredEnv(env.resumesQueueUrl)) }
const downloadSeconds = 300

const oneSchema = z.strictObject({ status: z.literal('success'), data: candidateSchema })

const recordedSchema = z.strictObject({ status: z.literal('success'), data: consentSchema })

const heldRow = z.record(z.string(), z.unknown())
const candidateDataSchema = z
  .strictObject({
    status: z.literal('success'),
    data: z
      .looseObject({ exported_at: z.iso.datetime(), candidate: heldRow, interviews: z.array(heldRow) })
      .meta({ description: 'Rows as they are stored, by the kind of what they are about' }),
  })
  .meta({ id: 'CandidateData' })

const liftedSchema = z.strictObject({
  status: z.literal('success'),
  resend_list: z.enum(['clear', 'unchanged']).meta({
    description: "unchanged: the address may still be on Resend's own list, which an operator can change",
  }),
})

const personSchema = z
  .strictObject({
    email: emailAddress.meta({ description: 'Of a candidate or a recruiter, in any case' }).optional(),
    name: lineOfText(maxNameLength).meta({ description: 'Of a profile, in any case' }).optional(),
    teams: z
      .enum(['own', 'all'])
      .default('own')
      .meta({ description: 'all is for operators, who are asked to confirm' }),
    confirm: z.string().max(100).meta({ description: 'From the response to the first request' }).optional(),
  })
  .refine(({ email, name }) => email !== undefined || name !== undefined, {
    error: 'email or name must be given',
  })
  .refine(({ teams, confirm }) => teams === 'all' || confirm === undefined, {
    path: ['confirm'],
    error: 'is for an erasure in all teams',
  })

const count = z.int().min(0)
const teamCounts = z.strictObject(
  Object.fromEntries(Object.keys(nothingErased).map((kind) => [kind, count])) as Record<
    keyof typeof nothingErased,
    typeof count
  >,
)
const beside = {
  status: z.literal('success'),
  not_searched: z
    .array(z.enum(['other_teams', 'messages_of_no_team']))
    .meta({ description: 'The same whatever they hold: nothing says whether they know the person' }),
  not_reached: z
    .array(
      z.strictObject({
        what: z.enum(['uploads', 'rejects', 'exports', 'webhook_bodies', 'candidate_data']),
        expires_after_days: z.int().min(1),
      }),
    )
    .meta({ description: 'Files that are not searched, and expire by themselves' }),
}
const recordId = z.uuid().meta({ description: 'Of the record of it, which names no one' })
const everywhere = {
  teams: z
    .array(z.strictObject({ id: z.uuid(), name: z.string(), counts: teamCounts }))
    .meta({ description: 'Those that have something' }),
  unowned: z.strictObject({ webhook_events: count, dead_letters: count }),
  profiles: count,
}
const erasureSchema = z
  .union([
    z.strictObject({ ...beside, id: recordId, counts: teamCounts.extend({ profiles: count }) }),
    z.strictObject({ ...beside, erased: z.literal(true), id: recordId, ...everywhere }),
    z.strictObject({
      ...beside,
      erased: z.literal(false),
      confirm: z.string().meta({ description: 'To be sent with the same person to have it done' }),
      ...everywhere,
    }),
  ])
  .meta({
    id: 'Erasure',
    description: "Of one's own team; of all teams; or what would be erased of all teams",
  })
type Erasure = z.output<typeof erasureSchema>

const uploadRetentionDays = numberEnv(env.uploadRetentionDays, 90)
const notReached: Erasure['not_reached'] = [
  { what: 'uploads', expires_after_days: uploadRetentionDays },
  { what: 'rejects', expires_after_days: uploadRetentionDays },
  { what: 'exports', expires_after_days: exportRetentionDays },
  { what: 'webhook_bodies', expires_after_days: webhookRetentionDays },
  { what: 'candidate_data', expires_after_days: personDataDays },
]

async function eraseFromTeam(caller: Caller, person: Person): Promise<Erasure> {
  authorize(caller, 'admin')
  const erased = await erasePerson({ sql: connect(), storage }, caller, person)
  logger.info('Person erased', { correlation_id: erased.id, counts: erased.counts })
  const not_searched: Erasure['not_searched'] = ['other_teams', 'messages_of_no_team']
  return { status: 'success', ...erased, not_searched, not_reached: notReached }
}

async function eraseFromAllTeams(
  caller: Caller,
  person: Person,
  confirm: string | undefined,
): Promise<Erasure> {
  authorize(caller, 'operator')
  const found = await eraseEverywhere({ sql: connect(), storage }, caller, person, confirm)
  const rest = { not_searched: [], not_reached: notReached }
  if ('confirm' in found) return { status: 'success', erased: false, ...found, ...rest }
  logger.info('Person erased from all teams', { correlation_id: found.id, teams: found.teams.length })
  return { status: 'success', erased: true, ...found, ...rest }
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
      const made = await createCandidate(connect(), caller, body)
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
    answers: {
      200: oneSchema.extend({
        consents: z.array(consentSchema),
        suppression: suppressionSchema
          .nullable()
          .meta({ description: 'Why nothing is sent to the e-mail; null if it is' }),
      }),
    },
    async handler({ path, caller }) {
      const found = await retryRead(() => getCandidate(connect(), caller.teamId, path.id))
      const consents = await retryRead(() => consentsOf(connect(), found.id))
      const held = await retryRead(() => suppressionOf(connect(), caller.teamId, found.email))
      const suppression = held ? suppressionView(held) : null
      return json(200, { status: 'success', data: candidateView(found), consents, suppression })
    },
  }),

  'GET /api/candidates/{id}/data': route({
    summary: 'Everything held about a candidate; as a ZIP with the files. Who asked for it is kept',
    path: idPath,
    query: z.strictObject({
      format: wordInAnyCase(dataFormats).default('json').meta({
        description: 'zip, and JSON over 3 MiB, lead to a file that is there for a day',
      }),
    }),
    answers: { 200: z.union([candidateDataSchema, downloadAnswers[200]]), 302: null },
    async head({ path, caller }) {
      await getCandidate(connect(), caller.teamId, path.id)
      return { status: 200, headers: { 'cache-control': 'no-store', vary: 'Accept' } }
    },
    async handler({ path, query: { format }, caller, event }) {
      const data = await candidateData({ sql: connect(), storage }, caller, path.id, format)
      logger.info('Data of a candidate put out', { correlation_id: path.id, format })
      const type = dataTypes[format]
      if ('body' in data) {
        const headers = { 'content-type': type, 'cache-control': 'private, no-store', vary: 'Accept' }
        return { status: 200, headers, body: data.body }
      }
      const name = `candidate-${path.id}.${format}`
      const address = await storage.presignGet(data.key, name, type, downloadSeconds)
      // Who asks for JSON is told the address, also where the file is JSON: a browser cannot follow there.
      return download(event, 'application/zip', address)
    },
  }),

  'POST /api/candidates/{id}/consents': route({
    summary: 'Records that a candidate was told, agreed, or took that back; the same again is 200',
    path: idPath,
    body: newConsentSchema,
    answers: { 200: recordedSchema, 201: recordedSchema },
    async handler({ path, body, caller }) {
      const { consent, created } = await connect().begin((tx) => recordConsent(tx, caller, path.id, body))
      const headers = created ? { location: `/api/candidates/${path.id}` } : {}
      return json(created ? 201 : 200, { status: 'success', data: consent }, headers)
    },
  }),

  'PATCH /api/candidates/{id}': route({
    summary: "Corrects a candidate: what is given is a person's word, which no résumé changes",
    path: idPath,
    body: candidateChangesSchema,
    answers: { 200: oneSchema },
    errors: [409],
    async handler({ path, body, caller }) {
      const changed = await changeCandidate(connect(), caller, path.id, body)
      return json(200, { status: 'success', data: candidateView(changed) })
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

  'GET /api/suppressions': route({
    summary: 'Addresses to which the team sends nothing more, the newest first',
    query: pageQuery,
    answers: { 200: pageSchema(suppressionSchema) },
    async handler({ query, caller, event }) {
      const { rows, total } = await retryRead(() =>
        listSuppressions(connect(), caller.teamId, rangeOf(query)),
      )
      return pageAnswer(event, query, total, rows.map(suppressionView))
    },
  }),

  'DELETE /api/suppressions/{id}': route({
    summary: 'Lets the team write to an address again; who did it is kept',
    path: idPath,
    answers: { 200: liftedSchema },
    async handler({ path, caller, signal, remainingMs }) {
      const list = {
        remove: (address: string) => suppressionList.remove(address, { signal, remainingMs }),
      }
      const { clear } = await liftSuppression({ sql: connect(), list }, caller, path.id)
      logger.info('Suppression lifted', { correlation_id: path.id, clear })
      return json(200, { status: 'success', resend_list: clear ? 'clear' : 'unchanged' })
    },
  }),

  'POST /api/erasures': route({
    summary: 'Erases a person from what the team has, or (operators) from what all teams have',
    body: personSchema,
    answers: { 200: erasureSchema },
    errors: [409],
    async handler({ body: { teams, confirm, ...person }, caller }) {
      const all = teams === 'all'
      return json(
        200,
        await (all ? eraseFromAllTeams(caller, person, confirm) : eraseFromTeam(caller, person)),
      )
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

  'POST /api/candidates/{id}/resume/retry': route({
    summary: 'Reads the newest résumé again, if that failed',
    path: idPath,
    answers: { 202: resumeAnswerSchema },
    errors: [409],
    async handler({ path, caller }) {
      const candidate = { teamId: caller.teamId, id: path.id }
      const { resume, messages } = await connect().begin((tx) => retryResume(tx, candidate))
      await sendOutbox(connect(), outbox, messages)
      return json(202, resumeAnswer(resume))
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
