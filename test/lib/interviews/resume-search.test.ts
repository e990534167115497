import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest'
import { resumeContext } from '../../../lib/interviews/resume-search.ts'
import { UpstreamUnavailableError } from '../../../lib/platform/errors.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { type ResumeBench, startResumeBench, unitVector } from './resume-bench.ts'

const subjects = [
  'Kubernetes clusters and Terraform',
  'French poetry',
  'PostgreSQL indexes',
  'Rowing',
  'Payroll of nurses',
  'Compilers in Rust',
]
/** A text whose every chunk is about something else. */
const about = (each: string) => Array.from({ length: Math.ceil(900 / each.length) }, () => each).join(' ')

let bench: ResumeBench
let candidate: string
const embedded: unknown[] = []
const model: ResumeBench['model'] = {
  ask: () => Promise.reject(new Error('Nothing is asked')),
  embed: async (texts, kind) => {
    embedded.push({ texts, kind })
    return { model: 'gemini-embedding-001', dimensions: 768, vectors: texts.map(unitVector) }
  },
}

beforeAll(async () => {
  bench = await startResumeBench()
  candidate = (await bench.candidate()).id
  await bench.read(await bench.uploaded(candidate, 'An older one about beekeeping'))
  await bench.read(await bench.uploaded(candidate, subjects.map(about).join('\n')))
  // Neither is of use yet.
  await bench.create(candidate, { filename: 'later.txt', size: 3 })
})
beforeEach(() => {
  embedded.length = 0
})
afterAll(() => bench.close())

test('hands the deadline of whoever asks on to the model', async () => {
  const remainingMs = () => 5
  const given: unknown[] = []
  const embed: typeof model.embed = async (texts, kind, options) => {
    given.push(options)
    return model.embed(texts, kind)
  }
  await resumeContext(bench.sql, { embed }, candidate, 'Rowing', { remainingMs })
  expect(given).toEqual([{ remainingMs }])
})

const search = async (text: string, limit?: number) =>
  (await resumeContext(bench.sql, model, candidate, text, limit === undefined ? {} : { limit })).passages
const nothing = { passages: [], hidesText: false }

test.each(subjects)('finds what is said of %s', async (subject) => {
  const [first] = await search(subject, 1)
  expect(first).toContain(subject)
})

test('answers five pieces of the newest résumé that was read, the nearest first', async () => {
  const found = await search('Rowing')
  expect(found).toHaveLength(5)
  expect(found.join()).not.toContain('beekeeping')
  expect(embedded).toEqual([{ texts: ['Rowing'], kind: 'query' }])
})

test('of a long text it asks about the beginning', async () => {
  await search(`Rowing ${'x'.repeat(30_000)}`)
  const [{ texts }] = embedded as [{ texts: string[] }]
  expect(texts[0]).toHaveLength(6000)
})

test('asks the model nothing where there is nothing to search', async () => {
  const { id } = await bench.candidate()
  expect(await resumeContext(bench.sql, model, id, 'Rowing')).toEqual(nothing)
  expect(await search('  ')).toEqual([])
  expect(embedded).toEqual([])
})

test('goes on without the résumé where the model has no answer', async () => {
  const embed = () => Promise.reject(new UpstreamUnavailableError('Gemini is out'))
  expect(await resumeContext(bench.sql, { embed }, candidate, 'Rowing')).toEqual(nothing)
})

describe('with pgvector', () => {
  let database: TestDatabase
  let resume: string
  let owner: string
  beforeAll(async () => {
    database = await freshDatabase()
    const { sql } = database
    const [row] = await sql`
      with team as (insert into teams (name) values ('a') returning id),
        person as (insert into candidates (team_id, full_name, email) select id, 'a', 'a@b.c' from team returning id)
      insert into resumes (candidate_id, filename, content_type, size, object_key, state, upload_expires_at)
      select id, 'a', 'text/plain', 1, 'a', 'completed', now() from person returning id, candidate_id`
    resume = row!.id
    owner = row!.candidate_id
    for (const [index, subject] of subjects.entries()) {
      const embedding = `{${unitVector(subject).join(',')}}`
      await sql`insert into resume_chunks values (${resume}, ${index}, ${subject}, ${embedding}::text::real[])`
    }
  })
  afterAll(() => database.close())

  // The servers of the tests do not have it: a stand-in shows that its operator is what sorts.
  it('its operator is used', async () => {
    const { sql } = database
    await sql.unsafe(`
      create domain vector as real[];
      create function farthest(a real[], b real[]) returns double precision language sql
        return (select sum(x * y) from unnest(a, b) as pair(x, y));
      create operator <=> (leftarg = real[], rightarg = real[], function = farthest)`)
    const { passages } = await resumeContext(sql, model, owner, 'French poetry', { limit: 6 })
    expect(passages.at(-1)).toBe('French poetry')
  })
})
