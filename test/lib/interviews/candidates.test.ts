import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
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
} from '../../../lib/interviews/candidates.ts'
import { createInterview } from '../../../lib/interviews/interviews.ts'
import { ObjectMissingError } from '../../../lib/platform/storage.ts'
import { facts, type ResumeBench, startResumeBench } from './resume-bench.ts'

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
  const made = await createCandidate(bench.sql, bench.owner, given)
  const view = candidateSchema.parse(candidateView(made))
  expect(view).toMatchObject(whole)
  expect(await getCandidate(bench.sql, bench.owner.teamId, made.id)).toEqual(made)
})

test('what was not given is null', async () => {
  const given = newCandidateSchema.parse({ full_name: ' Bo ', email: 'bo@example.com' })
  const made = await createCandidate(bench.sql, bench.owner, given)
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
  const there = await createCandidate(bench.sql, other, { full_name: 'Ada', email, skills: [] })
  expect(there.id).not.toBe(id)
})

test.each([
  ['jürgen@bücher.example', 'JU\u0308RGEN@xn--bcher-kva.example'],
  ['ada@xn--e1afmkfd.example', 'Ada@ПРИМЕР.example'],
])('%s is %s, and is shown in its own script', async (first, second) => {
  const parse = (email: string) => newCandidateSchema.parse({ full_name: 'Ada', email })
  const team = await bench.team()
  const made = await createCandidate(bench.sql, team, parse(first))
  expect(made.email).toMatch(/@xn--[a-z\d-]+\.example$/)
  expect(candidateView(made).email).not.toContain('xn--')
  await expect(createCandidate(bench.sql, team, parse(second))).rejects.toMatchObject({
    code: 'email_taken',
    details: [{ field: 'candidate_id', message: made.id }],
  })
  const domain = candidateView(made).email.split('@')[1]!
  for (const q of [domain, domain.slice(0, domain.indexOf('.')), first.split('@')[0]!]) {
    expect((await listCandidates(bench.sql, team.teamId, { q }, { limit: 1, offset: 0 })).total, q).toBe(1)
  }
})

describe('a correction', () => {
  const change = (id: string, changes: object, owner = bench.owner) =>
    changeCandidate(bench.sql, owner, id, candidateChangesSchema.parse(changes))
  const shown = async (id: string) => candidateView(await getCandidate(bench.sql, bench.owner.teamId, id))
  const person = { by: 'person', key: { id: expect.any(String), label: 'test' } }

  it('changes what it names, says who did, and leaves the rest', async () => {
    const given = newCandidateSchema.parse({ ...whole, email: `${randomUUID()}@example.com` })
    const { id } = await createCandidate(bench.sql, bench.owner, given)
    const before = await shown(id)
    const after = candidateView(await change(id, { full_name: 'Ada Eze', phone: null, skills: ['Rust'] }))
    expect(after).toMatchObject({ full_name: 'Ada Eze', phone: null, skills: ['Rust'], location: 'Lagos' })
    expect(after.said_by.phone).toMatchObject(person)
    expect(after.said_by.location).toEqual(before.said_by.location)
    expect(after.said_by.skills!.at > before.said_by.skills!.at).toBe(true)
  })

  it('that names nothing changes nothing', async () => {
    const { id } = await bench.candidate()
    const before = await shown(id)
    expect(candidateView(await change(id, {}))).toEqual(before)
  })

  it('stands against every résumé, also one that took a fact away', async () => {
    const { id } = await bench.candidate({ current_title: 'Poet' })
    await change(id, { location: null, skills: null })
    await bench.read(await bench.uploaded(id, 'Ada Obi, Engineer'))
    const view = await shown(id)
    expect(view).toMatchObject({
      current_title: 'Poet',
      location: null,
      skills: [],
      years_of_experience: 7.5,
      said_by: {
        current_title: person,
        location: person,
        skills: person,
        years_of_experience: { by: 'resume' },
        phone: null,
      },
    })
  })

  it('of what a résumé said makes it a person’s word', async () => {
    const { id } = await bench.candidate()
    await bench.read(await bench.uploaded(id, 'Ada Obi, Engineer'))
    await change(id, { location: 'Lagos' })
    bench.script.ask.push(() => ({ ...facts, location: 'Abuja' }))
    await bench.read(await bench.uploaded(id, 'Ada Obi, now in Abuja'))
    expect(await shown(id)).toMatchObject({ location: 'Lagos', said_by: { location: person } })
  })

  it('of the e-mail to one that the team has is refused, and nothing of it stays', async () => {
    const [first, second] = [await bench.candidate(), await bench.candidate()]
    await expect(
      change(second.id, { email: first.email.toUpperCase(), location: 'Kano' }),
    ).rejects.toMatchObject({
      code: 'email_taken',
      details: [{ field: 'candidate_id', message: first.id }],
    })
    expect(await shown(second.id)).toMatchObject({ email: second.email, location: null })
    expect(candidateView(await change(second.id, { email: second.email.toUpperCase() })).email).toBe(
      second.email.toUpperCase(),
    )
  })

  it("of another team's candidate is 404", async () => {
    const { id } = await bench.candidate()
    await expect(change(id, { location: 'Kano' }, other)).rejects.toMatchObject({ status: 404 })
  })

  it.each([{ full_name: null }, { email: null }, { email: 'ada' }, { id: randomUUID() }, { said_by: {} }])(
    'by %j is refused',
    (changes) => {
      expect(candidateChangesSchema.safeParse(changes).success).toBe(false)
    },
  )
})

describe('what résumés say', () => {
  const read = async (id: string, told: object, resumeId?: string) => {
    bench.script.ask.push(() => ({ ...facts, ...told }))
    const read = resumeId ?? (await bench.uploaded(id, 'Ada Obi'))
    await bench.read(read)
    return { read, view: candidateView(await getCandidate(bench.sql, bench.owner.teamId, id)) }
  }

  it('is replaced by a newer one, but for what that says nothing about', async () => {
    const { id } = await bench.candidate()
    const first = await read(id, { location: 'Lagos', current_title: 'Engineer' })
    const second = await read(id, { location: 'Abuja', current_title: null, skills: [] })
    expect(second.view).toMatchObject({
      location: 'Abuja',
      current_title: 'Engineer',
      skills: facts.skills,
      said_by: {
        location: { by: 'resume', resume_id: second.read },
        current_title: { resume_id: first.read },
      },
    })
  })

  it('is not replaced by an older one that is read later', async () => {
    const { id } = await bench.candidate()
    const older = await bench.uploaded(id, 'Ada Obi, long ago')
    const newer = await read(id, { location: 'Abuja' })
    const late = await read(id, { location: 'Lagos' }, older)
    expect(late.view).toMatchObject({ location: 'Abuja', said_by: { location: { resume_id: newer.read } } })
  })
})

test('of two requests with one e-mail at once, one candidate comes', async () => {
  const email = `${randomUUID()}@example.com`
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => bench.candidate({ email })))
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

describe('a list', () => {
  it('holds the newest first, by pages, and the team alone', async () => {
    const owner = await bench.team()
    const made = []
    for (const name of ['Ada', 'Bo', 'Cy']) {
      const email = `${name}@example.com`
      made.push(await createCandidate(bench.sql, owner, { full_name: name, email, skills: [] }))
    }
    const page = (limit: number, offset: number, q?: string) =>
      listCandidates(bench.sql, owner.teamId, { q }, { limit, offset })
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
