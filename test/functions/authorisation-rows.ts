import { randomUUID } from 'node:crypto'
import type { Sql } from '../../lib/platform/db.ts'
import type { Role, RouteKey } from '../../lib/platform/routes.ts'
import { insertProfile } from '../../lib/profiles/store.ts'

/** In every text of every object that belongs to a team, so that a response which shows one can be told. */
export const markOf = (team: string) => `zqx${team}`

/** Makes objects of a team by SQL, in a state in which much can be done with them. Each returns the id. */
export function factories(sql: Sql) {
  async function one(team: string, insert: (teamId: string, mark: string) => Promise<{ id: string }[]>) {
    const [row] = await sql<{ id: string }[]>`select id from teams where name = ${team}`
    return (await insert(row!.id, markOf(team)))[0]!.id
  }
  const imported =
    (state: string, dryRun = false) =>
    (team: string) =>
      one(team, (teamId, mark) => {
        const id = randomUUID()
        return sql`
        insert into imports (id, team_id, filename, size, object_key, upload_expires_at, state, dry_run,
          finished_at)
        values (${id}, ${teamId}, ${`${mark}.csv`}, 1, ${`uploads/${id}`}, now(), ${state}, ${dryRun},
          ${state === 'completed' ? sql`now()` : null}) returning id`
      })
  const exported = (state: string) => (team: string) =>
    one(
      team,
      (teamId, mark) => sql`
        insert into exports (team_id, filter, sort_by, sort_order, format, request_key, rows_total, dataset_version,
          state, file_key, size, expires_at, finished_at)
        values (${teamId}, ${sql.json({ name: mark })}, 'age', 'asc', 'csv', ${randomUUID()}, 0, 1,
          ${state}, ${`exports/${mark}`}, 1, now() + interval '1 day', now()) returning id`,
    )
  const candidate = (team: string) =>
    one(
      team,
      (teamId, mark) => sql`
        insert into candidates (team_id, full_name, email)
        values (${teamId}, ${`${mark} Obi`}, ${`${mark}-${randomUUID()}@example.com`}) returning id`,
    )
  const interview = (state: string) => async (team: string) => {
    const candidateId = await candidate(team)
    const id = await one(
      team,
      (teamId, mark) => sql`
        insert into interviews (team_id, candidate_id, role_title, state, scheduled_at, completed_at)
        values (${teamId}, ${candidateId}, ${mark}, ${state}, now() + interval '1 day',
          ${state === 'completed' ? sql`now()` : null}) returning id`,
    )
    await sql`
      insert into sessions (interview_id, transcript_json) values (${id}, ${JSON.stringify({ note: markOf(team) })})`
    return id
  }
  return {
    async profile() {
      const { row } = await insertProfile(sql, {
        name: `Person ${randomUUID()}`,
        gender: 'female',
        gender_probability: null,
        age: 30,
        country_id: 'NG',
        country_probability: null,
      })
      return row.id
    },
    awaitedImport: imported('awaiting_upload'),
    completedImport: imported('completed'),
    trial: imported('completed', true),
    export: exported('completed'),
    candidate,
    async candidateWithResume(team: string) {
      const id = await candidate(team)
      await sql`
        insert into resumes (candidate_id, filename, content_type, size, object_key, state, upload_expires_at)
        values (${id}, ${`${markOf(team)}.txt`}, 'text/plain', 1, ${`resumes/${randomUUID()}/file`}, 'completed', now())`
      return id
    },
    suppression: (team: string) =>
      one(
        team,
        (teamId, mark) => sql`
        insert into suppressed_addresses (team_id, address, reason, created_at)
        values (${teamId}, ${`${mark}-${randomUUID()}@example.com`}, 'bounced', now()) returning id`,
      ),
    draft: interview('draft'),
    ended: interview('completed'),
    async assessed(team: string) {
      const id = await interview('completed')(team)
      await sql`insert into assessments (interview_id, state, failure) values (
        ${id}, 'failed', ${sql.json({ code: 'assessment_failed', message: markOf(team) })})`
      return id
    },
    async judged(team: string) {
      const id = await interview('completed')(team)
      await sql`
        insert into assessments (interview_id, state, content, completed_at)
        values (${id}, 'completed', ${sql.json({ coverage: {}, criteria: [], summary: markOf(team) })}, now())`
      await sql`
        insert into assessment_generations (interview_id, generation, content, completed_at)
        select interview_id, generation, content, completed_at from assessments where interview_id = ${id}`
      await sql`
        insert into verdicts (interview_id, generation, decision, note, given_by)
        select ${id}, 1, 'hold', ${markOf(team)}, id from api_keys limit 1`
      return id
    },
    team: (team: string) => one(team, (teamId) => sql`select id from teams where id = ${teamId}`),
    async letter(team: string) {
      const owner = await exported('failed')(team)
      const [row] = await sql<{ id: string }[]>`
        insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id)
        values ('exports', ${randomUUID()}, ${JSON.stringify({ of: markOf(team) })}, 5, 'x', 'defect', 'export', ${owner})
        returning id`
      return row!.id
    },
  }
}

export type ObjectKind = keyof ReturnType<typeof factories>

/** How a route is called for the matrix, and what comes of it if it is allowed. */
export type Row = {
  /** What the call is about: its id is in the path, or where `body` puts it. */
  object?: ObjectKind
  /** `team` if not given: another team's object is 404, as one that is not there. */
  belongsTo?: 'team' | 'everyone' | 'team, and operators'
  query?: string
  body?: (id: string, roles: readonly Role[]) => unknown
  /** The status of an allowed call of the own object. Any of them is past the check of who may do it. */
  own: number
}

const empty = () => ({})

/** By the key of the route. A route without a row fails the test. */
export const rows: Record<Exclude<RouteKey, '$default'>, Row> = {
  'GET /api/profiles': { own: 200 },
  'POST /api/profiles': {
    body: () => ({ name: `New ${randomUUID()}`, gender: 'male', age: 3, country_id: 'NG' }),
    own: 201,
  },
  'GET /api/profiles/search': { query: 'q=women', own: 200 },
  'GET /api/profiles/stats': { own: 200 },
  'GET /api/profiles/export': { own: 200 },
  'GET /api/profiles/{id}': { object: 'profile', belongsTo: 'everyone', own: 200 },
  'PATCH /api/profiles/{id}': {
    object: 'profile',
    belongsTo: 'everyone',
    body: () => ({ age: 31 }),
    own: 200,
  },
  'DELETE /api/profiles/{id}': { object: 'profile', belongsTo: 'everyone', own: 204 },
  'GET /api/imports': { own: 200 },
  'POST /api/imports': { body: () => ({ filename: 'a.csv', size: 3 }), own: 201 },
  'GET /api/imports/{id}': { object: 'completedImport', own: 200 },
  'GET /api/imports/{id}/rejects': { object: 'completedImport', own: 302 },
  'POST /api/imports/{id}/retry': { object: 'completedImport', own: 409 },
  'POST /api/imports/{id}/commit': { object: 'trial', own: 409 },
  'POST /api/imports/{id}/cancel': { object: 'awaitedImport', own: 200 },
  'DELETE /api/imports/{id}/profiles': { object: 'completedImport', own: 202 },
  'POST /api/exports': { body: empty, own: 202 },
  'GET /api/exports': { own: 200 },
  'GET /api/exports/{id}': { object: 'export', own: 200 },
  'GET /api/exports/{id}/file': { object: 'export', own: 302 },
  'GET /api/candidates': { own: 200 },
  'POST /api/candidates': {
    body: () => ({ full_name: 'New One', email: `new-${randomUUID()}@example.com` }),
    own: 201,
  },
  'GET /api/candidates/{id}': { object: 'candidate', own: 200 },
  'PATCH /api/candidates/{id}': { object: 'candidate', body: () => ({ location: 'Abuja' }), own: 200 },
  'DELETE /api/candidates/{id}': { object: 'candidate', own: 204 },
  'GET /api/candidates/{id}/data': { object: 'candidate', own: 200 },
  'POST /api/candidates/{id}/consents': {
    object: 'candidate',
    body: () => ({ kind: 'notice', version: '1', how: 'by_email', at: '2026-01-01T00:00:00Z' }),
    own: 201,
  },
  'GET /api/candidates/{id}/resume': { object: 'candidateWithResume', own: 200 },
  'GET /api/candidates/{id}/resume/file': { object: 'candidateWithResume', own: 302 },
  'POST /api/candidates/{id}/resume/retry': { object: 'candidateWithResume', own: 202 },
  'POST /api/candidates/{id}/resume': {
    object: 'candidate',
    body: () => ({ filename: 'cv.txt', size: 3, content_type: 'text/plain' }),
    own: 201,
  },
  'GET /api/suppressions': { own: 200 },
  'DELETE /api/suppressions/{id}': { object: 'suppression', own: 200 },
  'POST /api/erasures': {
    body: (_, roles) => ({ email: 'no-one@example.com', ...(!roles.includes('admin') && { teams: 'all' }) }),
    own: 200,
  },
  'GET /api/interviews': { own: 200 },
  'POST /api/interviews': {
    object: 'candidate',
    body: (id) => ({ candidate_id: id, role_title: 'Engineer' }),
    own: 201,
  },
  'GET /api/interviews/search': { query: 'q=zqx', own: 200 },
  'GET /api/interviews/{id}': { object: 'draft', own: 200 },
  'PATCH /api/interviews/{id}': { object: 'draft', body: () => ({ role_title: 'Other' }), own: 200 },
  'DELETE /api/interviews/{id}': { object: 'ended', own: 204 },
  'POST /api/interviews/{id}/confirm': { object: 'draft', own: 400 },
  'POST /api/interviews/{id}/cancel': { object: 'draft', own: 200 },
  'POST /api/interviews/{id}/invite': { object: 'draft', body: empty, own: 202 },
  'GET /api/interviews/{id}/emails': { object: 'draft', own: 200 },
  'POST /api/interviews/{id}/emails/retry': { object: 'draft', own: 202 },
  'POST /api/interviews/{id}/join-token': { object: 'ended', body: () => ({ as: 'recruiter' }), own: 409 },
  'POST /api/interviews/{id}/questions': { object: 'ended', body: () => ({ kind: 'plan' }), own: 409 },
  'GET /api/interviews/{id}/history': { object: 'ended', own: 200 },
  'GET /api/interviews/{id}/transcript': { object: 'ended', own: 200 },
  'GET /api/interviews/{id}/transcript/export': { object: 'ended', own: 200 },
  'GET /api/interviews/{id}/assessment': { object: 'assessed', own: 200 },
  'POST /api/interviews/{id}/assessment/generate': { object: 'assessed', own: 202 },
  'POST /api/interviews/{id}/assessment/retry': { object: 'assessed', own: 202 },
  'GET /api/interviews/{id}/assessment/export': { object: 'assessed', own: 409 },
  'PUT /api/interviews/{id}/verdict': {
    object: 'judged',
    body: () => ({ generation: 1, decision: 'hold' }),
    own: 200,
  },
  'DELETE /api/interviews/{id}/verdict': { object: 'judged', query: 'generation=1', own: 204 },
  'GET /api/interviews/{id}/ask': { object: 'ended', own: 200 },
  'POST /api/interviews/{id}/ask': { object: 'ended', body: () => ({ question: 'Why?' }), own: 200 },
  // What opens these is a signature, and these calls have none.
  'POST /webhooks/agent': { body: empty, own: 401 },
  'POST /webhooks/livekit': { body: empty, own: 401 },
  'POST /webhooks/resend': { body: empty, own: 401 },
  'GET /api/ops/queues': { own: 200 },
  'GET /api/ops/dead-letters/{queue}': { belongsTo: 'team, and operators', own: 200 },
  'POST /api/ops/dead-letters/{queue}/redrive': {
    object: 'letter',
    belongsTo: 'team, and operators',
    body: (id) => ({ ids: [id] }),
    own: 200,
  },
  'POST /api/ops/dead-letters/{queue}/discard': {
    object: 'letter',
    belongsTo: 'team, and operators',
    body: (id) => ({ ids: [id] }),
    own: 200,
  },
  'GET /api/ops/refused': { own: 200 },
  'POST /api/ops/refused/retry': { body: () => ({ service: 'gemini' }), own: 200 },
  'GET /api/ops/unmatched-events': { own: 200 },
  'GET /api/ops/teams/{id}/quotas': { object: 'team', belongsTo: 'everyone', own: 200 },
  'PUT /api/ops/teams/{id}/quotas': {
    object: 'team',
    belongsTo: 'everyone',
    body: () => ({ emails: null }),
    own: 200,
  },
  'GET /api/me': { own: 200 },
  'GET /api/usage': { own: 200 },
  'GET /api/health': { own: 200 },
  'GET /join': { own: 200 },
  // Their files are beside the bundle, and not here: what counts is that no key is asked for.
  'GET /api/openapi.json': { own: 500 },
  'GET /api/docs': { own: 500 },
}
