import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { removeProfiles, startRemoval } from '../../../lib/imports/remove.ts'
import { editProfile, type ProfilePatch } from '../../../lib/profiles/edit.ts'
import { verifyFacets } from '../../../lib/profiles/facets.ts'
import { insertProfile } from '../../../lib/profiles/store.ts'
import { heldQueue, type ImportBench, startImportBench } from '../../support/imports.ts'

let bench: ImportBench
beforeAll(async () => {
  bench = await startImportBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const header = 'name,gender,age,country_id'
const limits = { records: 2, bytes: 1024 }
const rows = [
  'Ada,female,1,NG',
  'Bob,male,2,NG',
  'Cy,male,3,NG',
  'ada,male,4,KE',
  'Bob,male,5,KE',
  'ADA,male,6,GH',
  'Dee,x,7,NG',
]
const file = `${header}\n${rows.join('\n')}\n`
const reversed = <T>(list: T[]) => list.toReversed()
const person = {
  name: 'Cy',
  gender: 'male',
  age: 9,
  country_id: 'GH',
  gender_probability: null,
  country_probability: null,
} as const

test('a trial reports what the import then does, in any order of slices, and writes no profile', async () => {
  await insertProfile(bench.sql, person)
  const trial = await bench.run(file, limits, reversed, { dry_run: true })
  expect(await bench.names()).toEqual(['Cy'])
  expect(trial).toMatchObject({ state: 'completed', dry_run: true, total_rows: 7, inserted: 2, skipped: 5 })
  const listed = await bench.rejects(trial.id)
  expect(await bench.sql`select from import_trial_names`).toHaveLength(0)
  const real = await bench.run(file, limits)
  expect(real).toMatchObject({
    inserted: trial.inserted,
    skipped: trial.skipped,
    reasons: trial.reasons,
    dry_run: false,
  })
  expect(await bench.rejects(real.id)).toEqual(listed)
  expect(await verifyFacets(bench.sql)).toEqual([])
})

test('two trials and an import at once do not see each other', async () => {
  const ids = [
    await bench.put(file, { dry_run: true }),
    await bench.put(file, { dry_run: true }),
    await bench.put(file),
  ]
  const slices = await Promise.all(ids.map((id) => bench.split(id, limits)))
  await Promise.all(slices[0]!.map((message) => bench.insert([message])))
  await Promise.all([...slices[1]!, ...slices[2]!].map((message) => bench.insert([message])))
  await Promise.all(ids.map((id) => bench.finish(id)))
  expect((await bench.report(ids[0]!)).inserted).toBe(3)
  expect((await bench.report(ids[2]!)).inserted).toBe(3)
})

function remove(id: string, remainingMs = () => 60_000, self = heldQueue()) {
  return removeProfiles({ sql: bench.sql, self, remainingMs, batchSize: 2 }, id)
}

test('what an import put in is taken out, and nothing else', async () => {
  await insertProfile(bench.sql, { ...person, name: 'Before' })
  const first = await bench.run(file, limits)
  const other = await bench.run(`${header}\nZed,male,50,NG\nAda,female,51,NG\n`)
  await insertProfile(bench.sql, { ...person, name: 'After' })
  const queue = heldQueue()
  await startRemoval(bench.sql, queue, bench.teamId, first.id)
  expect(queue.messages).toEqual([{ import_id: first.id }])
  expect(await remove(first.id)).toBe('done')
  expect(await bench.names()).toEqual(['After', 'Before', 'Zed'])
  expect((await bench.report(first.id)).removal).toEqual({ state: 'done', removed: 3, kept_edited: 0 })
  expect((await bench.report(other.id)).removal).toBeUndefined()
  expect(await verifyFacets(bench.sql)).toEqual([])
})

test('a removal that runs out of time goes on behind its last batch', async () => {
  const { id } = await bench.run(file, limits)
  await startRemoval(bench.sql, heldQueue(), bench.teamId, id)
  const self = heldQueue()
  let asked = 0
  expect(await remove(id, () => (asked++ === 0 ? 1000 : 0), self)).toBe('continues')
  expect(self.messages).toEqual([{ import_id: id }])
  expect((await bench.report(id)).removal).toEqual({ state: 'running', removed: 2, kept_edited: 0 })
  expect(await remove(id)).toBe('done')
  expect((await bench.report(id)).removal).toEqual({ state: 'done', removed: 3, kept_edited: 0 })
})

test('asked for twice, delivered twice and at once, a removal happens once', async () => {
  const { id } = await bench.run(file, limits)
  const queue = heldQueue()
  await startRemoval(bench.sql, queue, bench.teamId, id)
  await startRemoval(bench.sql, queue, bench.teamId, id)
  await Promise.all(queue.messages.map(() => remove(id)))
  expect(await remove(id)).toBeUndefined()
  expect((await bench.report(id)).removal).toEqual({ state: 'done', removed: 3, kept_edited: 0 })
  await startRemoval(bench.sql, queue, bench.teamId, id)
  expect(queue.messages).toHaveLength(2)
  expect(await verifyFacets(bench.sql)).toEqual([])
})

async function idOf(name: string): Promise<string> {
  const [row] = await bench.sql<{ id: string }[]>`select id from profiles where name = ${name}`
  return row!.id
}

async function edit(id: string, patch: ProfilePatch): Promise<void> {
  const [key] = await bench.sql<{ id: string }[]>`select id from api_keys`
  await editProfile(bench.sql, id, patch, { by: key!.id, accepts: () => true })
}

test('a removal keeps and counts profiles that were edited since, whatever they are called now', async () => {
  const { id } = await bench.run(file, limits)
  await edit(await idOf('Ada'), { age: 44 })
  await edit(await idOf('Bob'), { name: 'Robert' })
  await edit(await idOf('Robert'), { country_id: 'GH' })
  await edit(await idOf('Cy'), { age: 3 })
  await startRemoval(bench.sql, heldQueue(), bench.teamId, id)
  expect(await remove(id)).toBe('done')
  expect(await bench.names()).toEqual(['Ada', 'Robert'])
  expect((await bench.report(id)).removal).toEqual({ state: 'done', removed: 1, kept_edited: 2 })
  expect(await verifyFacets(bench.sql)).toEqual([])
})

test('a removal that waits for an edit keeps what was edited', async () => {
  const { id } = await bench.run(file, limits)
  const ada = await idOf('Ada')
  const editing = bench.sql.begin(async (tx) => {
    await tx`select from profiles where id = ${ada} for update`
    await startRemoval(bench.sql, heldQueue(), bench.teamId, id)
    const removing = remove(id)
    await waiting()
    await tx`insert into profile_edits (profile_id, edited_at, fields) values (${ada}, now(), '{age}')`
    return { removing }
  })
  const { removing } = await editing
  expect(await removing).toBe('done')
  expect(await bench.names()).toEqual(['Ada'])
  expect((await bench.report(id)).removal).toMatchObject({ removed: 2, kept_edited: 1 })
})

test('a row that comes first in its file does not replace what was edited meanwhile', async () => {
  const id = await bench.put(file)
  const [first, ...later] = await bench.split(id, limits)
  await bench.insert(later)
  await edit(await idOf('ada'), { country_id: 'FR', name: 'ADA' })
  await bench.insert([first!])
  await bench.finish(id)
  const [ada] =
    await bench.sql`select name, age, country_id, import_row from profiles where lower(name) = 'ada'`
  expect(ada).toEqual({ name: 'ADA', age: 4, country_id: 'FR', import_row: 4 })
  expect(await bench.report(id)).toMatchObject({ inserted: 3, skipped: 4 })
  expect(await verifyFacets(bench.sql)).toEqual([])
})

/** Resolves when a session waits for another's lock. */
async function waiting(): Promise<void> {
  for (;;) {
    const [row] = await bench.sql`select from pg_locks where not granted`
    if (row) return
  }
}

test('an import that is still at work, or another team’s, is not touched', async () => {
  const id = await bench.put(file)
  const queue = heldQueue()
  await expect(startRemoval(bench.sql, queue, bench.teamId, id)).rejects.toMatchObject({
    code: 'not_finished',
  })
  await bench.insert(await bench.split(id, limits))
  await bench.finish(id)
  const stranger = crypto.randomUUID()
  await expect(startRemoval(bench.sql, queue, stranger, id)).rejects.toMatchObject({ code: 'not_found' })
  expect(queue.messages).toEqual([])
})
