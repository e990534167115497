import { randomUUID } from 'node:crypto'
import { unzipSync } from 'fflate'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { disconnect, type Sql } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { heldOfCandidate, heldOfInterview, notInData } from '../../lib/privacy/held.ts'
import { call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'

let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let sql: Sql
let api: typeof import('../../functions/candidates.ts').handler
const keys = { recruiter: '', other: '', analyst: '' }

beforeAll(async () => {
  ;[database, bucket] = await Promise.all([freshDatabase(), startStorage()])
  sql = database.sql
  const environment = {
    ...database.env,
    ...bucket.env,
    UPLOAD_BUCKET: 'uploads',
    RESUMES_QUEUE_URL: 'http://127.0.0.1:1/none',
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  keys.recruiter = (await createKey(sql, { role: 'recruiter', team: 'acme', label: 'a' })).key
  keys.other = (await createKey(sql, { role: 'recruiter', team: 'other', label: 'b' })).key
  keys.analyst = (await createKey(sql, { role: 'analyst', team: 'acme', label: 'c' })).key
  api = (await import('../../functions/candidates.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), bucket.close()])
  vi.unstubAllEnvs()
})

const ask = (
  id: string,
  query = '',
  { key = keys.recruiter, accept = 'application/json', verb = 'GET' } = {},
) => call(api, `${verb} /api/candidates/${id}/data${query}`, { key, headers: { accept } })

/** A candidate with a row in every table that may be about one; each text holds `mark` and where it stands. */
async function seed(mark: string, said = mark): Promise<{ id: string; interview: string; file: Buffer }> {
  const file = Buffer.from(`${mark} file \0\xff`, 'latin1')
  const [team] = await sql<{ id: string }[]>`select id from teams where name = 'acme'`
  const [key] = await sql<{ id: string }[]>`select id from api_keys where team_id = ${team!.id} limit 1`
  const email = `${mark}@example.com`
  const [candidate] = await sql<{ id: string }[]>`
    insert into candidates (team_id, full_name, email) values (${team!.id}, ${`${mark} candidates`}, ${email})
    returning id`
  const id = candidate!.id
  await sql`
    insert into consents (candidate_id, kind, version, how, happened_at, recorded_by)
    values (${id}, 'notice', ${`${mark} consents`}, 'by_word', now(), ${key!.id})`
  for (const [name, key] of [
    [`${mark}/résumé.txt`, `resumes/${mark}/file`],
    ['..', `resumes/${mark}/none`],
  ] as const) {
    await sql`
      insert into resumes (candidate_id, filename, content_type, size, object_key, state, content, extracted,
        upload_expires_at)
      values (${id}, ${name}, 'text/plain', 3, ${key}, 'completed', ${`${mark} resumes`},
        ${sql.json({ summary: `${mark} extracted` })}, now())`
  }
  await bucket.storage.put(`resumes/${mark}/file`, file, 'text/plain')
  await sql`
    insert into suppressed_addresses (team_id, address, reason, message, created_at)
    values (${team!.id}, ${email}, 'bounced', ${`${mark} suppressed_addresses`}, now())`
  const [made] = await sql<{ id: string }[]>`
    insert into interviews (team_id, candidate_id, role_title, state)
    values (${team!.id}, ${id}, ${`${mark} interviews`}, 'completed') returning id`
  const interview = made!.id
  await sql`
    insert into sessions (interview_id, transcript_json) values (${interview}, ${`${mark} sessions`})`
  await sql`
    insert into turns (interview_id, sequence_no, speaker, content)
    values (${interview}, 1, 'candidate', ${`${said} turns`})`
  await sql`
    insert into assessments (interview_id, generation, content)
    values (${interview}, 2, ${sql.json({ summary: `${mark} assessments` })})`
  for (const generation of [1, 2]) {
    await sql`
      insert into assessment_generations
      values (${interview}, ${generation}, ${sql.json({ summary: `${mark} assessment_generations ${generation}` })}, now())`
  }
  await sql`
    insert into verdicts (interview_id, generation, decision, note, given_by)
    values (${interview}, 1, 'hold', ${`${mark} verdicts`}, ${key!.id})`
  await sql`
    insert into chat_messages (interview_id, sequence_no, role, content)
    values (${interview}, 1, 'user', ${`${mark} chat_messages`})`
  await sql`
    insert into emails (team_id, interview_id, kind, recipient, data) values
      (${team!.id}, ${interview}, 'invite', ${email}, ${sql.json({ candidate_name: `${mark} emails` })}),
      (${team!.id}, null, 'welcome', ${email.toUpperCase()}, ${sql.json({ label: `${mark} welcome` })})`
  await sql`
    insert into webhook_events (source, event_id, type, outcome, interview_id, body, received_at)
    values ('agent', ${randomUUID()}, 'turn', 'ignored', ${interview}, ${`${mark} webhook_events`}, now())`
  await sql`
    insert into dead_letters (queue, message_id, body, receive_count, error, cause, owner_type, owner_id)
    values ('interview-events', ${randomUUID()}, ${`${mark} dead_letters`}, 5, 'x', 'defect', 'interview', ${interview})`
  await sql`
    insert into deletions (team_id, subject, subject_id, counts, triggered_by)
    values (${team!.id}, 'transcript', ${interview}, ${sql.json({ [`${mark} deletions`]: 1 })}, 'retention')`
  return { id, interview, file }
}

const inData = [...Object.values(heldOfCandidate), ...Object.values(heldOfInterview)].map(
  ({ table }) => table,
)

describe('all that is held about a candidate', () => {
  it('is every table, but for those that are left out with a reason', async () => {
    const rows = await sql<{ table_name: string }[]>`
      select table_name from information_schema.tables
      where table_schema = 'public' and table_type = 'BASE TABLE'`
    const tables = rows.map(({ table_name }) => table_name).sort()
    expect([...new Set([...inData, ...Object.keys(notInData)])].sort()).toEqual(tables)
    expect(inData.filter((table) => table in notInData)).toEqual([])
    for (const reason of Object.values(notInData)) expect(reason.length).toBeGreaterThan(5)
  })

  it('is in the JSON, row by row, and nothing of another candidate', async () => {
    const person = await seed('zqxall')
    await seed('zqxother')
    const { status, body } = await ask(person.id)
    expect(status).toBe(200)
    expect(body.data.interviews).toHaveLength(1)
    for (const table of new Set(inData)) {
      if (table === 'disclosures') continue
      expect(JSON.stringify(body), table).toContain(`zqxall ${table}`)
    }
    for (const each of ['zqxall extracted', 'zqxall welcome', 'zqxall assessment_generations 1']) {
      expect(JSON.stringify(body)).toContain(each)
    }
    expect(JSON.stringify(body)).not.toContain('zqxother')
    expect(body.data.candidate).toMatchObject({ id: person.id, email: 'zqxall@example.com' })
    expect(body.data.interviews[0].session).toMatchObject({ transcript_json: 'zqxall sessions' })
    expect(body.data.resumes[0]).not.toHaveProperty('object_key')
  })

  it('is a ZIP with the files, which says where one is gone', async () => {
    const person = await seed('zqxzip')
    const { status, body } = await ask(person.id, '?format=ZIP')
    expect(status).toBe(200)
    const answer = await fetch(body.url)
    expect(answer.headers.get('content-disposition')).toBe(
      `attachment; filename="candidate-${person.id}.zip"`,
    )
    const files = unzipSync(new Uint8Array(await answer.arrayBuffer()))
    const names = Object.keys(files).map((name) => name.replace(/^resumes\/[^/]+/, 'resumes/id'))
    expect(names).toEqual(['data.json', 'resumes/id/zqxzip_résumé.txt', 'resumes/id/no-file.txt'])
    const [data, resume] = Object.values(files)
    expect(Buffer.from(resume!)).toEqual(person.file)
    expect(JSON.parse(Buffer.from(data!).toString()).data.candidate.id).toBe(person.id)
    expect(await ask(person.id, '?format=zip', { accept: '*/*' })).toMatchObject({ status: 302 })
  })

  it('is a file too if it is more than a response can hold', async () => {
    const person = await seed('zqxlong', '"'.repeat(4 * 1024 * 1024))
    const { body } = await ask(person.id)
    expect(body).toEqual({ status: 'success', url: expect.any(String), expires_at: expect.any(String) })
    const { data } = (await (await fetch(body.url)).json()) as { data: Record<string, never> }
    expect(data).toMatchObject({
      candidate: { id: person.id },
      interviews: [{ turns: [{ sequence_no: 1 }] }],
    })
  })

  it('names who asked for it before; a HEAD asks for nothing', async () => {
    const person = await seed('zqxtold')
    expect((await ask(person.id, '?format=zip', { verb: 'HEAD' })).status).toBe(200)
    expect((await ask(person.id)).body.data.disclosures).toHaveLength(1)
    await ask(person.id, '?format=zip')
    const { disclosures } = (await ask(person.id)).body.data
    expect(disclosures.map(({ format }: { format: string }) => format)).toEqual(['json', 'zip', 'json'])
    const change = sql`delete from disclosures where candidate_id = ${person.id}`
    await expect(change).rejects.toThrow('never changed')
  })

  it("is 404 of another team's candidate, 403 for an analyst, and then nothing is written down", async () => {
    const person = await seed('zqxhidden')
    for (const verb of ['GET', 'HEAD']) {
      expect((await ask(person.id, '', { key: keys.other, verb })).status).toBe(404)
      expect((await ask(person.id, '', { key: keys.analyst, verb })).status).toBe(403)
    }
    expect((await ask(person.id, '?format=pdf')).status).toBe(422)
    expect(await sql`select from disclosures where candidate_id = ${person.id}`).toHaveLength(0)
  })

  it.each(['PUT', 'GET'])('is 503 if S3 fails at %s, and is there when asked again', async (verb) => {
    const person = await seed(`zqxs3${verb.toLowerCase()}`)
    bucket.s3.injectFault(({ method }) => (method === verb ? { status: 503 } : undefined))
    expect((await ask(person.id, '?format=zip')).status).toBe(503)
    bucket.s3.injectFault(undefined)
    expect((await ask(person.id, '?format=zip')).status).toBe(200)
  })
})
