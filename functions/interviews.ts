import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import { assessmentFormats, exportAssessment } from '../lib/interviews/assessment-export.ts'
import { markExported } from '../lib/interviews/assessment-store.ts'
import {
  assessmentAnswer,
  assessmentAnswerSchema,
  getAssessment,
  getGeneration,
  requestAssessment,
  verdictsBeside,
} from '../lib/interviews/assessments.ts'
import { ask, askAnswerSchema, chatHistory, chatHistorySchema, questionBody } from '../lib/interviews/chat.ts'
import { emailSchema, emailsOf, inviteCandidate, retryEmails } from '../lib/interviews/emails.ts'
import { historyOf, historySchema, transcriptAnswer, transcriptSchema } from '../lib/interviews/history.ts'
import {
  changesSchema,
  confirmInterview,
  createInterview,
  deleteInterview,
  getInterview,
  type Interview,
  interviewSchema,
  interviewStates,
  interviewView,
  listInterviews,
  mayJoin,
  newInterviewSchema,
} from '../lib/interviews/interviews.ts'
import { joinKinds, joinSeconds, joinToken } from '../lib/interviews/livekit.ts'
import { livekitSecretSchema } from '../lib/interviews/livekit-rooms.ts'
import { type ChangedMeeting, cancelMeeting, changeMeeting } from '../lib/interviews/meetings.ts'
import { meteredModel, modelFromEnvironment } from '../lib/interviews/model.ts'
import {
  nextQuestion,
  nextQuestionAnswerSchema,
  planAnswerSchema,
  planQuestions,
} from '../lib/interviews/questions.ts'
import { closeRoomNow, roomsFromEnvironment } from '../lib/interviews/rooms.ts'
import { searchText, searchTurns, turnHitSchema } from '../lib/interviews/search.ts'
import { lineOfText, nameOrTitle } from '../lib/interviews/text.ts'
import { readTranscript } from '../lib/interviews/transcript.ts'
import { type ExportFile, exportTranscript, transcriptFormats } from '../lib/interviews/transcript-export.ts'
import {
  markTag,
  mostTurns,
  type PageView,
  readMark,
  readTranscriptPage,
  type TranscriptMark,
  type TranscriptPage,
} from '../lib/interviews/transcript-page.ts'
import {
  giveVerdict,
  newVerdictSchema,
  verdictSchema,
  verdictsOf,
  withdrawVerdict,
} from '../lib/interviews/verdicts.ts'
import { authorize, type Caller } from '../lib/platform/auth.ts'
import { requiredEnv } from '../lib/platform/config.ts'
import { connect, retryRead, type Transaction } from '../lib/platform/db.ts'
import { ConflictError } from '../lib/platform/errors.ts'
import { download, downloadAnswers } from '../lib/platform/http/download.ts'
import { isNamed } from '../lib/platform/http/etag.ts'
import { type Answer, type HttpRequest, httpFunction, json, route } from '../lib/platform/http/index.ts'
import { linkHeader, linkTo } from '../lib/platform/http/links.ts'
import { pageAnswer, pageQuery, pageSchema, rangeOf } from '../lib/platform/http/numbered-pages.ts'
import { idPath, wordInAnyCase, wordList } from '../lib/platform/http/shapes.ts'
import { env, queues, transcriptPrefix } from '../lib/platform/names.ts'
import { sendOutbox } from '../lib/platform/outbox.ts'
import { createSourceQueue } from '../lib/platform/queue.ts'
import { spend } from '../lib/platform/quotas.ts'
import { secretJson } from '../lib/platform/secrets.ts'
import { createStorage } from '../lib/platform/storage.ts'

const model = modelFromEnvironment()
const outbox = {
  [queues.assessments]: createSourceQueue(requiredEnv(env.assessmentsQueueUrl)),
  [queues.emails]: createSourceQueue(requiredEnv(env.emailsQueueUrl)),
}

const rooms = roomsFromEnvironment()
const agentName = process.env[env.livekitAgentName] || undefined

/** Bytes of a file in Lambda's payload, which takes 6 MB: a text that compresses badly grows by a tenth. */
const largestFile = 5_500_000

/** Seconds that the address of a larger file is good for. */
const downloadSeconds = 300

/** Milliseconds that a cancellation waits for LiveKit to close the room; then it is left to the sweep. */
const closingBudget = 5000

const oneSchema = z.strictObject({ status: z.literal('success'), data: interviewSchema })

const listQuery = pageQuery.extend({
  state: wordList(interviewStates)
    .meta({ description: 'One or several, separated by commas', override: { type: 'string' } })
    .optional(),
  q: lineOfText(200).meta({ description: "In the role's title or the candidate's name" }).optional(),
  candidate_id: z.uuid().optional(),
  verdict: wordInAnyCase(['none', 'given'])
    .meta({ description: 'Whether a person has given a verdict, on any generation of the assessment' })
    .optional(),
})

const joinBody = z.strictObject({
  as: z.enum(joinKinds).default('recruiter').meta({ description: 'agent needs the role admin' }),
  name: nameOrTitle(120).optional(),
})
const joinSchema = z.strictObject({
  status: z.literal('success'),
  url: z.string(),
  room: z.string(),
  identity: z.string(),
  token: z.string(),
  expires_at: z.iso.datetime(),
})

const questionsBody = z.strictObject({ kind: z.enum(['plan', 'next']).default('next') })

const wholeText = z
  .string()
  .regex(/^\d{1,9}$/, 'must be a whole number')
  .transform(Number)
  .meta({ override: { type: 'integer', minimum: 0 } })

const turnsQuery = z.strictObject({
  after_sequence_no: z
    .string()
    .regex(/^\d{1,10}$/, 'must be a whole number')
    .transform(Number)
    .meta({
      description: 'The number of the last turn that you have: only those after it',
      override: { type: 'integer', minimum: 0 },
    })
    .optional(),
  limit: wholeText
    .pipe(z.number().min(1))
    .transform((limit) => Math.min(limit, mostTurns))
    .meta({
      description: `At most ${mostTurns}, which it is if not given, and as many as fit into a response`,
      override: { type: 'integer', minimum: 1 },
    })
    .optional(),
})

const searchQuery = z.strictObject({
  q: searchText,
  limit: pageQuery.shape.limit,
  cursor: z.string().max(500).optional(),
})
const searchSchema = z.strictObject({
  status: z.literal('success'),
  data: z.array(turnHitSchema),
  next_cursor: z.string().nullable(),
})

const emailsSchema = z.strictObject({ status: z.literal('success'), data: z.array(emailSchema) })
const invitedSchema = z.strictObject({ status: z.literal('success'), email: emailSchema })

/** A transcript as a JSON file. */
const transcriptFile = transcriptSchema.pick({
  interview_id: true,
  source: true,
  skipped_elements: true,
  total_turns: true,
  turns: true,
})

/** A file of one of several types, for the description. */
const fileSchema = (types: readonly string[]) =>
  z.union(types.map((contentMediaType) => z.string().meta({ contentMediaType })))

function find(caller: Caller, id: string): Promise<Interview> {
  return retryRead(() => getInterview(connect(), caller.teamId, id))
}

/** Runs a change in a transaction, and answers the interview as it is after it. */
async function changed(work: (tx: Transaction) => Promise<Interview>, status = 200): Promise<Answer> {
  const interview = await connect().begin(work)
  const headers = status === 201 ? { location: `/api/interviews/${interview.id}` } : {}
  return json(status, { status: 'success', data: interviewView(interview) }, headers)
}

/** Runs a change of which the candidate may have to be told, and returns the interview as it is after it. */
async function changedMeeting(work: (tx: Transaction) => Promise<ChangedMeeting>): Promise<Answer> {
  const { interview, messages } = await connect().begin(work)
  await sendOutbox(connect(), outbox, messages)
  return json(200, { status: 'success', data: interviewView(interview) })
}

async function transcriptOf(id: string) {
  return retryRead(() => readTranscript(connect(), id))
}

/** A page of what was said, or 304 after one query that reads no turn. */
async function said(
  event: HttpRequest<unknown, unknown, unknown>['event'],
  caller: Caller,
  id: string,
  query: z.output<typeof turnsQuery>,
  write: (interview: TranscriptMark, page: TranscriptPage) => object,
): Promise<Answer> {
  const sql = connect()
  const mark = await retryRead(() => readMark(sql, caller.teamId, id))
  const headers = { etag: markTag(mark, query), 'cache-control': 'private, no-cache' }
  if (isNamed(headers.etag, event.headers['if-none-match'])) {
    return { status: 304, headers: { ...headers, vary: 'Accept-Encoding' } }
  }
  const view: PageView = { afterSequenceNo: query.after_sequence_no, limit: query.limit }
  const page = await retryRead(() => readTranscriptPage(sql, id, view))
  const next = page.next === null ? null : linkTo(event, 'after_sequence_no', page.next)
  return json(200, write(mark, page), { ...headers, ...linkHeader({ next }) })
}

function payloadBytes(body: string | Uint8Array): number {
  return typeof body === 'string' ? Buffer.byteLength(JSON.stringify(body)) : 4 * Math.ceil(body.length / 3)
}

/** A file of an interview: by itself, or where it is too large for a response, by an address that leads to it. */
async function deliver(
  event: HttpRequest<unknown, unknown, unknown>['event'],
  interviewId: string,
  { contentType, filename, body }: ExportFile<string | Uint8Array>,
): Promise<Answer> {
  const headers = {
    'content-type': contentType,
    'content-disposition': `attachment; filename="${filename}"`,
    'cache-control': 'private, no-store',
  }
  const isLarge = payloadBytes(body) > largestFile
  // HEAD is told of the file and writes none.
  if (isLarge && event.requestContext.http.method === 'HEAD') return { status: 200, headers }
  if (!isLarge) return { status: 200, headers, body }
  const storage = createStorage(requiredEnv(env.uploadBucket))
  const key = `${transcriptPrefix}${interviewId}/${randomUUID()}`
  await storage.put(key, body, contentType)
  const address = await storage.presignGet(key, filename, contentType, downloadSeconds)
  // A client that asks for JSON gets the address, also of a file that is JSON.
  return download(event, 'application/octet-stream', address)
}

/** Asks for an assessment of what the team owns, and sends its message once that is committed. */
async function startAssessment(caller: Caller, id: string, again: boolean): Promise<Answer> {
  const { assessment, verdicts, messages } = await connect().begin(async (tx) => {
    const interview = await getInterview(tx, caller.teamId, id)
    if (interview.state !== 'completed' && interview.state !== 'needs_attention') {
      throw new ConflictError('The interview has not ended yet', 'not_finished')
    }
    const requested = await requestAssessment(tx, id, { again, byPerson: true })
    return { ...requested, verdicts: await verdictsOf(tx, id) }
  })
  await sendOutbox(connect(), outbox, messages)
  return json(202, assessmentAnswer(assessment, verdicts))
}

export const handler = httpFunction({
  'POST /api/interviews': route({
    summary: 'Drafts an interview with a candidate',
    body: newInterviewSchema,
    answers: { 201: oneSchema },
    errors: [404],
    handler: ({ body, caller }) => changed((tx) => createInterview(tx, caller, body), 201),
  }),

  'GET /api/interviews': route({
    summary: "The team's interviews, newest first",
    query: listQuery,
    answers: { 200: pageSchema(interviewSchema) },
    async handler({ query, caller, event }) {
      const wanted = {
        states: query.state,
        q: query.q,
        candidateId: query.candidate_id,
        verdict: query.verdict,
      }
      const { rows, total } = await retryRead(() =>
        listInterviews(connect(), caller.teamId, wanted, rangeOf(query)),
      )
      return pageAnswer(event, query, total, rows.map(interviewView))
    },
  }),

  'GET /api/interviews/search': route({
    summary: "What was said in the team's interviews, by full text",
    query: searchQuery,
    answers: { 200: searchSchema },
    async handler({ query: { q, limit, cursor }, caller, event }) {
      const { hits, next_cursor } = await retryRead(() =>
        searchTurns(connect(), caller.teamId, q, { limit, cursor }),
      )
      const next = next_cursor && linkTo(event, 'cursor', next_cursor)
      return json(200, { status: 'success', data: hits, next_cursor }, linkHeader({ next }))
    },
  }),

  'GET /api/interviews/{id}': route({
    summary: 'One interview',
    path: idPath,
    answers: { 200: oneSchema },
    async handler({ path, caller }) {
      return json(200, { status: 'success', data: interviewView(await find(caller, path.id)) })
    },
  }),

  'PATCH /api/interviews/{id}': route({
    summary: 'Changes an interview that has not begun; an invited candidate is told of another time',
    path: idPath,
    body: changesSchema,
    answers: { 200: oneSchema },
    errors: [409],
    handler: ({ path, body, caller }) =>
      changedMeeting((tx) => changeMeeting(tx, caller.teamId, path.id, body)),
  }),

  'DELETE /api/interviews/{id}': route({
    summary: 'Deletes an interview with all that was said in it; who did it is kept',
    path: idPath,
    answers: { 204: null },
    async handler({ path, caller }) {
      await connect().begin((tx) => deleteInterview(tx, caller, path.id))
      return { status: 204 }
    },
  }),

  'POST /api/interviews/{id}/confirm': route({
    summary: 'Schedules a draft',
    path: idPath,
    answers: { 200: oneSchema },
    errors: [409],
    handler: ({ path, caller }) => changed((tx) => confirmInterview(tx, caller.teamId, path.id)),
  }),

  'POST /api/interviews/{id}/cancel': route({
    summary: 'Cancels an interview that has not begun, tells an invited candidate, and closes its room',
    path: idPath,
    answers: { 200: oneSchema },
    errors: [409],
    async handler({ path, caller, remainingMs }) {
      const answer = await changedMeeting((tx) => cancelMeeting(tx, caller.teamId, path.id))
      const end = Date.now() + closingBudget
      const context = { sql: connect(), rooms, remainingMs: () => Math.min(end - Date.now(), remainingMs()) }
      await closeRoomNow(context, path.id)
      return answer
    },
  }),

  'POST /api/interviews/{id}/invite': route({
    summary: 'Sends the candidate the invitation, once for each time that it is scheduled for',
    path: idPath,
    body: z.strictObject({ again: z.boolean().default(false) }),
    answers: { 202: invitedSchema },
    errors: [409],
    async handler({ path, body, caller }) {
      const { email, messages } = await connect().begin(async (tx) => {
        const invited = await inviteCandidate(tx, await getInterview(tx, caller.teamId, path.id), body)
        if (invited.messages.length > 0) await spend(tx, caller.teamId, 'emails', 1)
        return invited
      })
      await sendOutbox(connect(), outbox, messages)
      return json(202, { status: 'success', email })
    },
  }),

  'GET /api/interviews/{id}/emails': route({
    summary: 'What was sent about an interview, and what became of it',
    path: idPath,
    answers: { 200: emailsSchema },
    async handler({ path, caller }) {
      const { id } = await find(caller, path.id)
      const data = await retryRead(() => emailsOf(connect(), id))
      return json(200, { status: 'success', data })
    },
  }),

  'POST /api/interviews/{id}/emails/retry': route({
    summary: 'Sends what could not be sent about an interview again',
    path: idPath,
    answers: { 202: emailsSchema },
    async handler({ path, caller }) {
      const { emails, messages } = await connect().begin(async (tx) =>
        retryEmails(tx, await getInterview(tx, caller.teamId, path.id)),
      )
      await sendOutbox(connect(), outbox, messages)
      return json(202, { status: 'success', data: emails })
    },
  }),

  'POST /api/interviews/{id}/join-token': route({
    summary: 'Lets one person, or the agent, into the room',
    path: idPath,
    body: joinBody,
    answers: { 200: joinSchema },
    errors: [409],
    async handler({ path, body, caller }) {
      // A recruiter joins as one, and hands a candidate a token; what speaks as the interviewer an admin lets in.
      authorize(caller, body.as === 'agent' ? 'admin' : 'recruiter')
      const interview = await find(caller, path.id)
      mayJoin(interview)
      const arn = requiredEnv(env.livekitSecretArn)
      const { api_key, api_secret, url } = await secretJson(arn, livekitSecretSchema)
      const ttlSeconds = joinSeconds(interview, Date.now())
      const names = { candidate: interview.candidate_name, recruiter: 'Recruiter', agent: 'Interviewer' }
      const identity = `${body.as}-${interview.id}`
      const token = await joinToken({
        apiKey: api_key,
        apiSecret: api_secret,
        room: interview.id,
        identity,
        name: body.name ?? names[body.as],
        ttlSeconds,
        isAgent: body.as === 'agent',
        dispatch:
          agentName === undefined || body.as === 'agent'
            ? undefined
            : { agentName, metadata: JSON.stringify({ interview_id: interview.id }) },
      })
      const expires_at = new Date(Date.now() + ttlSeconds * 1000).toISOString()
      return json(200, { status: 'success', url, room: interview.id, identity, token, expires_at })
    },
  }),

  'POST /api/interviews/{id}/questions': route({
    summary: 'A plan of questions, which is kept, or the next question, which is not',
    path: idPath,
    body: questionsBody,
    answers: { 200: z.union([planAnswerSchema, nextQuestionAnswerSchema]) },
    errors: [409, 502],
    async handler({ path, body, caller, signal, remainingMs }) {
      const interview = await find(caller, path.id)
      const sql = connect()
      const context = {
        sql,
        model: meteredModel(model, sql, caller.teamId),
        options: { signal, remainingMs },
      }
      const answer =
        body.kind === 'plan'
          ? { plan: await planQuestions(context, interview) }
          : { question: await nextQuestion(context, interview) }
      return json(200, { status: 'success', interview_id: interview.id, ...answer })
    },
  }),

  'GET /api/interviews/{id}/history': route({
    summary: 'What was said, as messages',
    path: idPath,
    query: turnsQuery,
    answers: { 200: historySchema, 304: null },
    handler: ({ path, query, caller, event }) => said(event, caller, path.id, query, historyOf),
  }),

  'GET /api/interviews/{id}/transcript': route({
    summary: 'What was said, with its clock; missing turns are taken from the account of the session',
    path: idPath,
    query: turnsQuery.extend({
      live: z.stringbool({ truthy: ['true'], falsy: ['false'] }).default(false),
    }),
    answers: { 200: transcriptSchema, 304: null },
    handler: ({ path, query, caller, event }) =>
      said(event, caller, path.id, query, (interview, page) => transcriptAnswer(interview, page, query)),
  }),

  'GET /api/interviews/{id}/transcript/export': route({
    summary: 'The transcript as a file',
    path: idPath,
    query: z.strictObject({ format: wordInAnyCase(transcriptFormats).default('txt') }),
    answers: {
      200: z.union([
        transcriptFile,
        downloadAnswers[200],
        ...fileSchema(['text/plain', 'text/csv', 'text/markdown', 'text/vtt']).options,
      ]),
      302: null,
    },
    async handler({ path, query, caller, event }) {
      const { id } = await find(caller, path.id)
      return deliver(event, id, exportTranscript(query.format, id, await transcriptOf(id)))
    },
  }),

  'GET /api/interviews/{id}/assessment': route({
    summary: 'The assessment and how far it is',
    path: idPath,
    query: z.strictObject({
      generation: wholeText
        .meta({ description: 'An earlier one, as kept_generations lists them' })
        .optional(),
    }),
    answers: { 200: assessmentAnswerSchema },
    async handler({ path, query: { generation }, caller }) {
      const { id } = await find(caller, path.id)
      const sql = connect()
      const found = await retryRead(() =>
        generation === undefined ? getAssessment(sql, id) : getGeneration(sql, id, generation),
      )
      return json(200, assessmentAnswer(found, await retryRead(() => verdictsOf(sql, id))))
    },
  }),

  'POST /api/interviews/{id}/assessment/generate': route({
    summary: 'Makes an assessment, another one where there is one',
    path: idPath,
    answers: { 202: assessmentAnswerSchema },
    errors: [409],
    handler: ({ path, caller }) => startAssessment(caller, path.id, true),
  }),

  'POST /api/interviews/{id}/assessment/retry': route({
    summary: 'Tries an assessment that failed once more',
    path: idPath,
    answers: { 202: assessmentAnswerSchema },
    errors: [409],
    handler: ({ path, caller }) => startAssessment(caller, path.id, false),
  }),

  'GET /api/interviews/{id}/assessment/export': route({
    summary: 'The assessment as a document',
    path: idPath,
    query: z.strictObject({ format: wordInAnyCase(assessmentFormats).default('pdf') }),
    answers: {
      200: z.union([downloadAnswers[200], ...fileSchema(['text/markdown', 'application/pdf']).options]),
      302: null,
    },
    errors: [409],
    async handler({ path, query, caller, event }) {
      const interview = await find(caller, path.id)
      const assessment = await retryRead(() => getAssessment(connect(), interview.id))
      const { content, completed_at } = assessment
      if (!content || !completed_at) {
        throw new ConflictError('The assessment is not completed', 'not_finished')
      }
      const verdicts = await retryRead(() => verdictsOf(connect(), interview.id))
      const { verdict, other_verdicts } = verdictsBeside(assessment, verdicts)
      const report = {
        interview,
        candidateName: interview.candidate_name,
        content,
        completedAt: completed_at,
        verdict,
        otherVerdicts: other_verdicts,
        turns: (await transcriptOf(interview.id)).turns,
      }
      const file = await deliver(event, interview.id, await exportAssessment(query.format, report))
      if (event.requestContext.http.method === 'GET') {
        await connect().begin((tx) => markExported(tx, interview.id))
      }
      return file
    },
  }),

  'PUT /api/interviews/{id}/verdict': route({
    summary: "A person's verdict on an assessment, in place of an earlier one on the same generation",
    path: idPath,
    body: newVerdictSchema,
    answers: { 200: z.strictObject({ status: z.literal('success'), data: verdictSchema }) },
    errors: [409],
    async handler({ path, body, caller }) {
      const data = await connect().begin(async (tx) => {
        await getInterview(tx, caller.teamId, path.id)
        return giveVerdict(tx, path.id, caller.keyId, body)
      })
      return json(200, { status: 'success', data })
    },
  }),

  'DELETE /api/interviews/{id}/verdict': route({
    summary: 'Takes back the verdict on one generation of the assessment',
    path: idPath,
    query: z.strictObject({ generation: wholeText }),
    answers: { 204: null },
    async handler({ path, query: { generation }, caller }) {
      await connect().begin(async (tx) => {
        await getInterview(tx, caller.teamId, path.id)
        await withdrawVerdict(tx, path.id, generation)
      })
      return { status: 204 }
    },
  }),

  'POST /api/interviews/{id}/ask': route({
    summary: 'Answers a question from the transcript, the assessment and the résumé alone',
    path: idPath,
    body: questionBody,
    answers: { 200: askAnswerSchema },
    errors: [502],
    async handler({ path, body, caller, signal, remainingMs }) {
      const interview = await find(caller, path.id)
      const sql = connect()
      const context = {
        sql,
        model: meteredModel(model, sql, caller.teamId),
        options: { signal, remainingMs },
      }
      return json(200, await ask(context, interview, body.question, caller.keyId))
    },
  }),

  'GET /api/interviews/{id}/ask': route({
    summary: 'What was asked about an interview, and answered',
    path: idPath,
    query: z.strictObject({ after: wholeText.optional(), limit: pageQuery.shape.limit }),
    answers: { 200: chatHistorySchema },
    async handler({ path, query, caller }) {
      const { id } = await find(caller, path.id)
      return json(200, await retryRead(() => chatHistory(connect(), id, query)))
    },
  }),
})
