import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findGeneration, markExported } from '../../../lib/interviews/assessment-store.ts'
import { getGeneration } from '../../../lib/interviews/assessments.ts'
import { applyEvent } from '../../../lib/interviews/events.ts'
import { giveVerdict } from '../../../lib/interviews/verdicts.ts'
import type { Storage } from '../../../lib/platform/storage.ts'
import { type AssessmentBench, assessmentOf, startAssessmentBench } from './assessment-bench.ts'

let bench: AssessmentBench
beforeAll(async () => {
  bench = await startAssessmentBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const apply = (body: object) =>
  applyEvent(
    { sql: bench.sql, storage: {} as Storage, queues: {} },
    { source: 'agent', id: randomUUID(), received_at: new Date().toISOString(), body: JSON.stringify(body) },
  )
const turn = (interview_id: string, sequence_no: number, content = `Turn ${sequence_no}`) =>
  apply({ type: 'turn', data: { interview_id, sequence_no, speaker: 'candidate', content } })
const end = (interview_id: string, transcript?: unknown) =>
  apply({ type: 'session.completed', data: { interview_id, transcript } })

/** Seconds for which SQS keeps each message to itself that waits to be sent. */
async function delays(): Promise<number[]> {
  const rows = await bench.sql<{ delay_seconds: number }[]>`
    select delay_seconds from outbox where queue = 'assessments' order by id`
  return rows.map(({ delay_seconds }) => delay_seconds)
}
/** As if so many seconds had passed since the last turn. */
const later = (id: string, seconds: number) => bench.sql`
  update assessments
  set due_at = due_at - make_interval(secs => ${seconds}),
    waiting_since = waiting_since - make_interval(secs => ${seconds})
  where interview_id = ${id}`

describe('the first assessment', () => {
  it.each<[string, (id: string) => Promise<unknown>]>([
    ['the numbers of the turns are complete', (id) => end(id)],
    [
      'the account is complete',
      (id) =>
        end(
          id,
          ['1', '2', '3', '4'].map((content) => ({ content })),
        ),
    ],
    ['both together are', (id) => end(id, [{ sequence_no: 1, content: 'One' }])],
  ])('begins at once if %s', async (_what, complete) => {
    const { id } = await bench.interview()
    await turn(id, 1)
    await turn(id, 2)
    await complete(id)
    expect(await delays()).toEqual([0])
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done', result: { outdated: false } })
  })

  it.each<[string, unknown]>([
    ['there is no account', undefined],
    [
      'the account has a gap',
      [
        { sequence_no: 1, content: 'One' },
        { sequence_no: 5, content: 'Five' },
      ],
    ],
    ['the account is damaged', '[{"sequence_no": 1'],
  ])('waits a minute if turns are missing and %s', async (_what, account) => {
    const { id } = await bench.interview()
    await turn(id, 3)
    await end(id, account)
    expect(await delays()).toEqual([61])
    expect(await bench.assess(id)).toEqual({ outcome: 'ignored' })
    expect((await bench.assessment(id)).state).toBe('pending')
    await later(id, 58)
    await expect(bench.assess(id)).rejects.toMatchObject({ waitSeconds: 2 })
    await later(id, 2)
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
  })

  it('waits on while turns arrive, for five minutes in all', async () => {
    const { id } = await bench.interview()
    await turn(id, 9)
    await end(id)
    await turn(id, 2)
    for (const number of [3, 4, 5, 6, 7]) {
      await later(id, 50)
      await turn(id, number)
    }
    // 60 s, five times up to 65 s, and what is left of 300 s; SQS gets one more.
    expect(await delays()).toEqual([61, 66, 66, 66, 66, 66, 51])
    await later(id, 40)
    await turn(id, 8)
    expect(await delays()).toHaveLength(7)
    await later(id, 10)
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
  })

  it('begins at once if a person asks for it, or a whole account comes', async () => {
    const asked = await bench.interview()
    await turn(asked.id, 3)
    await end(asked.id)
    await bench.request(asked.id, { again: true })
    expect(await delays()).toEqual([61, 0])
    const told = await bench.interview()
    await turn(told.id, 3)
    await end(told.id)
    await end(told.id, [{ speaker: 'candidate', content: 'All of it' }])
    expect(await delays()).toEqual([61, 0, 61, 0])
    expect(await bench.assess(asked.id)).toMatchObject({ outcome: 'done' })
    expect(await bench.assess(told.id)).toMatchObject({ outcome: 'done' })
  })
})

/** An interview that ended with one turn, and was assessed. */
async function assessed(): Promise<string> {
  const { id } = await bench.interview()
  await turn(id, 1)
  await end(id)
  await bench.assess(id)
  return id
}

async function again(id: string) {
  await later(id, 300)
  return bench.assess(id)
}

const refused = { code: 'refused_by_provider', message: 'x', service: 'gemini' }
const fail = (id: string) => bench.sql`
  update assessments set state = 'failed', failure = ${bench.sql.json(refused)} where interview_id = ${id}`

describe('a turn that arrives later', () => {
  it('makes the assessment outdated, and another one once no more come; both are kept', async () => {
    const id = await assessed()
    await turn(id, 2)
    expect(await bench.assessment(id)).toMatchObject({
      state: 'pending',
      outdated: true,
      generation: 2,
      content: { summary: 'Spoke well.' },
    })
    expect(await bench.assess(id)).toEqual({ outcome: 'ignored' })
    bench.scripted.script.push((asked) => ({ ...assessmentOf(asked), summary: 'Spoke more.' }))
    expect(await again(id)).toMatchObject({ outcome: 'done' })
    expect(await bench.assessment(id)).toMatchObject({
      state: 'completed',
      outdated: false,
      kept_generations: [1, 2],
      content: { summary: 'Spoke more.' },
    })
    expect(await getGeneration(bench.sql, id, 1)).toMatchObject({
      generation: 1,
      content: { summary: 'Spoke well.' },
    })
    expect(await findGeneration(bench.sql, id, 3)).toBeUndefined()
    await expect(getGeneration(bench.sql, id, 3)).rejects.toMatchObject({ status: 404 })
  })

  it('that is known already changes nothing', async () => {
    const id = await assessed()
    await turn(id, 1, 'Other words')
    expect(await bench.assessment(id)).toMatchObject({ state: 'completed', outdated: false })
  })

  it('leads to three more assessments by itself, then to one that a person asks for', async () => {
    const id = await assessed()
    for (const number of [2, 3, 4]) {
      await turn(id, number)
      expect(await again(id)).toMatchObject({ outcome: 'done' })
    }
    await turn(id, 5)
    expect(await bench.assessment(id)).toMatchObject({ state: 'completed', outdated: true, generation: 4 })
    await bench.request(id, { again: true })
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done', result: { outdated: false } })
  })

  it.each<[string, (id: string) => Promise<unknown>]>([
    ['was taken out as a file', (id) => bench.sql.begin((tx) => markExported(tx, id))],
    [
      'has a verdict',
      (id) =>
        bench.sql.begin((tx) =>
          giveVerdict(tx, id, bench.keyId, { generation: 1, decision: 'hold', scores: [], note: null }),
        ),
    ],
  ])('replaces no assessment that %s, also while the next one waits for turns', async (_what, use) => {
    const id = await assessed()
    await turn(id, 2)
    expect((await bench.assessment(id)).state).toBe('pending')
    await use(id)
    const kept = { state: 'completed', outdated: true, generation: 1, content_generation: 1 }
    expect(await bench.assessment(id)).toMatchObject(kept)
    expect(await again(id)).toEqual({ outcome: 'ignored' })
    await turn(id, 3)
    expect(await bench.assessment(id)).toMatchObject(kept)
    await bench.request(id, { again: true })
    await use(id)
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
    expect(await bench.assessment(id)).toMatchObject({ generation: 2, kept_generations: [1, 2] })
  })

  it('is waited for no longer once a person has asked, whatever they decide on the one before', async () => {
    const id = await assessed()
    await turn(id, 2)
    await later(id, 300)
    await bench.request(id, { again: true })
    await bench.sql.begin((tx) => markExported(tx, id))
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
  })

  it.each<[string, (id: string) => Promise<unknown>]>([
    ['has failed', fail],
    ['then fails', async () => {}],
  ])('marks the assessment before if the next one %s', async (_what, before) => {
    const id = await assessed()
    await bench.request(id, { again: true })
    await before(id)
    await turn(id, 2)
    await fail(id)
    expect(await bench.assessment(id)).toMatchObject({
      state: 'failed',
      outdated: true,
      content_generation: 1,
    })
  })

  it('replaces no assessment that was taken out as a file', async () => {
    const id = await assessed()
    await bench.sql.begin((tx) => markExported(tx, id))
    await turn(id, 2)
    expect(await bench.assessment(id)).toMatchObject({ state: 'completed', outdated: true, generation: 1 })
  })

  it('while the assessment is made is seen at its end', async () => {
    const { id } = await bench.requested()
    await bench.sql`update interviews set state = 'completed' where id = ${id}`
    bench.scripted.script.push(async (asked) => {
      await turn(id, 3)
      return assessmentOf(asked)
    })
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done', result: { outdated: true } })
    expect(await bench.assessment(id)).toMatchObject({ state: 'pending', outdated: true, generation: 2 })
  })

  it('gives an interview in which nothing was said its assessment', async () => {
    const { id } = await bench.interview()
    await end(id)
    await later(id, 60)
    expect(await bench.assess(id)).toMatchObject({ failure: { code: 'no_transcript' } })
    await turn(id, 1)
    expect(await again(id)).toMatchObject({ outcome: 'done' })
  })
})
