import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import {
  candidateSchema,
  candidateView,
  createCandidate,
  deleteCandidate,
  getCandidate,
  listCandidates,
  newCandidateSchema,
} from '../../../lib/interviews/candidates.ts'
import { createInterview } from '../../../lib/interviews/interviews.ts'
import { ObjectMissingError } from '../../../lib/platform/storage.ts'
import { type ResumeBench, startResumeBench } from './resume-bench.ts'

let bench: ResumeBench
let other: { teamId: string; keyId: string }
beforeAll(async () => {
  bench = await startResumeBench()
  other = await bench.team()
})
afterAll(() => bench.close())

const whole = {
  full_name: 'Ada Obi',
  email: 'Ada@Example.com',
  phone: '+234 1 234 5678',
  portfolio_url: 'https://ada.example/work',
  current_title: 'Engineer',
  years_of_experience: 2.5,
  skills: ['Go', 'C "quoted"', 'a, b', 'back\\slash', '{}', 'NULL'],
  location: 'Lagos',
}

test('keeps what was given, and shows it', async () => {
  const given = newCandidateSchema.parse(whole)
  const made = await createCandidate(bench.sql, bench.owner.teamId, given)
  const view = candidateSchema.parse(candidateView(made))
  expect(view).toMatchObject(whole)
  expect(await getCandidate(bench.sql, bench.owner.teamId, made.id)).toEqual(made)
})

test('what was not given is null', async () => {
  const given = newCandidateSchema.parse({ full_name: ' Bo ', email: 'bo@example.com' })
  const made = await createCandidate(bench.sql, bench.owner.teamId, given)
  expect(made).toMatchObject({ full_name: 'Bo', phone: null, years_of_experience: null, skills: [] })
})

test.each([
  { full_name: '' },
  { full_name: 'x'.repeat(121) },
  { full_name: 'Ada\0Obi' },
  { email: 'ada' },
  { portfolio_url: 'javascript:alert(1)' },
  { portfolio_url: 'ada.example' },
  { years_of_experience: 81 },
  { skills: ['two\nlines'] },
  { role: 'admin' },
])('%j is refused', (change) => {
  expect(newCandidateSchema.safeParse({ ...whole, ...change }).success).toBe(false)
})

test('an e-mail is in a team once, in whatever case, and the candidate who has it is named', async () => {
  const email = `${randomUUID()}@example.com`
  const { id } = await bench.candidate({ email })
  await expect(bench.candidate({ email: email.toUpperCase() })).rejects.toMatchObject({
    code: 'email_taken',
    status: 409,
    details: [{ field: 'candidate_id', message: id }],
  })
  const there = await createCandidate(bench.sql, other.teamId, { full_name: 'Ada', email, skills: [] })
  expect(there.id).not.toBe(id)
})

test('of two requests with one e-mail at once, one candidate comes', async () => {
  const email = `${randomUUID()}@example.com`
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => bench.candidate({ email })))
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

describe('a list', () => {
  it('holds the newest first, by pages, and the team alone', async () => {
    const { teamId } = await bench.team()
    const made = []
    for (const name of ['Ada', 'Bo', 'Cy']) {
      const email = `${name}@example.com`
      made.push(await createCandidate(bench.sql, teamId, { full_name: name, email, skills: [] }))
    }
    const page = (limit: number, offset: number, q?: string) =>
      listCandidates(bench.sql, teamId, { q }, { limit, offset })
    const names = async (...asked: Parameters<typeof page>) =>
      (await page(...asked)).rows.map(({ full_name }) => full_name)
    expect(await page(2, 0)).toEqual({ rows: [made[2], made[1]], total: 3 })
    expect(await page(2, 2)).toEqual({ rows: [made[0]], total: 3 })
    expect(await names(10, 0, 'aD')).toEqual(['Ada'])
    expect(await names(10, 0, 'CY@EXAMPLE')).toEqual(['Cy'])
    expect(await page(10, 0, '%')).toEqual({ rows: [], total: 0 })
  })
})

describe('a deletion', () => {
  it("takes résumés and their files along, and is written down without the person's name", async () => {
    const { id } = await bench.candidate()
    const read = await bench.uploaded(id, 'Ada Obi, Engineer')
    await bench.read(read)
    await bench.create(id, { filename: 'never-sent.txt', size: 5 })
    const [{ object_key }] = await bench.sql<[{ object_key: string }]>`
      select object_key from resumes where id = ${read}`
    await deleteCandidate(bench, bench.owner, id)
    await expect(getCandidate(bench.sql, bench.owner.teamId, id)).rejects.toMatchObject({ status: 404 })
    await expect(bench.storage.head(object_key)).rejects.toBeInstanceOf(ObjectMissingError)
    expect(await bench.chunks(read)).toEqual([])
    const [deleted] = await bench.sql`select * from deletions where subject_id = ${id}`
    expect(deleted).toMatchObject({
      team_id: bench.owner.teamId,
      subject: 'candidate',
      counts: { resumes: 2 },
      triggered_by: 'request',
      requested_by: bench.owner.keyId,
    })
  })

  it('is refused while there are interviews', async () => {
    const { id } = await bench.candidate()
    await bench.sql.begin((tx) =>
      createInterview(tx, bench.owner, { candidate_id: id, role_title: 'Engineer' }),
    )
    await expect(deleteCandidate(bench, bench.owner, id)).rejects.toMatchObject({ code: 'has_interviews' })
  })

  it("does not reach another team's candidate", async () => {
    const { id } = await bench.candidate()
    await expect(deleteCandidate(bench, other, id)).rejects.toMatchObject({ status: 404 })
    await expect(getCandidate(bench.sql, other.teamId, id)).rejects.toMatchObject({ status: 404 })
    expect(await getCandidate(bench.sql, bench.owner.teamId, id)).toMatchObject({ id })
  })

  it('leaves everything as it is where S3 does not delete the file', async () => {
    const { id } = await bench.candidate()
    const resume = await bench.uploaded(id, 'Ada Obi')
    const storage = {
      remove: async () => {
        throw new Error('S3 is down')
      },
    }
    await expect(deleteCandidate({ sql: bench.sql, storage }, bench.owner, id)).rejects.toMatchObject({
      status: 503,
    })
    expect(await bench.latest(id)).toMatchObject({ id: resume })
    expect(await bench.sql`select from deletions where subject_id = ${id}`).toHaveLength(0)
  })
})
