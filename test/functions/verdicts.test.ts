import { randomUUID } from 'node:crypto'
import { extractText } from 'unpdf'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { applyEvent } from '../../lib/interviews/events.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import type { Storage } from '../../lib/platform/storage.ts'
import {
  type AssessmentBench,
  assessmentOf,
  startAssessmentBench,
} from '../lib/interviews/assessment-bench.ts'
import { type CallOptions, call } from '../support/http-event.ts'

let bench: AssessmentBench
let handler: typeof import('../../functions/interviews.ts').handler
const keys = { own: '', colleague: '', foreign: '' }

beforeAll(async () => {
  bench = await startAssessmentBench()
  const unused = {
    ASSESSMENTS_QUEUE_URL: 'http://127.0.0.1:1/none',
    EMAILS_QUEUE_URL: 'http://127.0.0.1:1/none',
    GEMINI_FUNCTION_NAME: 'none',
    LIVEKIT_FUNCTION_NAME: 'none',
  }
  for (const [name, value] of Object.entries({ ...bench.env, ...unused })) vi.stubEnv(name, value)
  const made = async (team: string, label: string) =>
    (await createKey(bench.sql, { role: 'recruiter', team, label })).key
  keys.own = await made(bench.teamName, 'Ada at the desk')
  keys.colleague = await made(bench.teamName, 'A colleague')
  keys.foreign = await made('another team', 'x')
  handler = (await import('../../functions/interviews.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await bench.close()
  vi.unstubAllEnvs()
})

const rubric = [
  { id: 'go', title: 'Go', weight: 1 },
  { id: 'sql', title: 'SQL', weight: 3 },
]

/** An interview whose assessment scores Go 50 and SQL 51. */
async function assessed(): Promise<string> {
  const { id } = await bench.requested({ rubric })
  await bench.sql`update interviews set state = 'completed' where id = ${id}`
  await bench.assess(id)
  return id
}
async function assessedAgain(id: string) {
  await bench.request(id, { again: true })
  await bench.assess(id)
}

const ask = (target: string, options: CallOptions = {}) =>
  call(handler, target, { key: keys.own, ...options })
const put = (id: string, body: unknown, key = keys.own) =>
  ask(`PUT /api/interviews/${id}/verdict`, { key, body })
const shown = async (id: string, query = '') =>
  (await ask(`GET /api/interviews/${id}/assessment${query}`)).body
const turn = (interview_id: string, sequence_no: number) => {
  const body = { type: 'turn', data: { interview_id, sequence_no, speaker: 'candidate', content: 'Late.' } }
  return applyEvent(
    { sql: bench.sql, storage: {} as Storage, queues: {} },
    { source: 'agent', id: randomUUID(), received_at: new Date().toISOString(), body: JSON.stringify(body) },
  )
}

describe('a verdict', () => {
  it('stands beside the assessment with who gave it, and with what its scores amount to', async () => {
    const id = await assessed()
    expect(await shown(id)).toMatchObject({ content_generation: 1, verdict: null, other_verdicts: [] })
    const given = await put(id, {
      generation: 1,
      decision: 'advance',
      scores: [{ id: 'sql', score: 90 }],
      note: 'Knows more than the model heard.',
    })
    expect(given).toMatchObject({
      status: 200,
      body: {
        data: {
          generation: 1,
          superseded: false,
          decision: 'advance',
          scores: [{ id: 'sql', score: 90 }],
          overall_score: 80,
          note: 'Knows more than the model heard.',
          given_by: { label: 'Ada at the desk' },
        },
      },
    })
    const { verdict, content } = await shown(id)
    expect(verdict).toEqual(given.body.data)
    expect(content.overall_score).toBe(50.8)
    expect(content.criteria[1].score).toBe(51)
  })

  it('given again is the same, by another word or another person it replaces the one before', async () => {
    const id = await assessed()
    const body = { generation: 1, decision: 'hold', note: 'Wait.' }
    const first = (await put(id, body)).body.data
    expect((await put(id, body)).body.data).toEqual(first)
    const other = (await put(id, { generation: 1, decision: 'reject' }, keys.colleague)).body.data
    expect(other).toMatchObject({ decision: 'reject', note: null, given_by: { label: 'A colleague' } })
    expect(other.given_at > first.given_at).toBe(true)
    expect(await shown(id)).toMatchObject({ verdict: { decision: 'reject' }, other_verdicts: [] })
  })

  it('on an older generation is kept and shown as such, before and after the next one', async () => {
    const id = await assessed()
    await put(id, { generation: 1, decision: 'hold' })
    await assessedAgain(id)
    const superseded = { generation: 1, superseded: true, decision: 'hold' }
    expect(await shown(id)).toMatchObject({ generation: 2, verdict: null, other_verdicts: [superseded] })
    expect((await ask(`GET /api/interviews/${id}`)).body.data.verdict).toEqual(superseded)
    expect(await put(id, { generation: 1, decision: 'reject' })).toMatchObject({
      status: 200,
      body: { data: { ...superseded, decision: 'reject' } },
    })
    await put(id, { generation: 2, decision: 'advance' })
    expect(await shown(id)).toMatchObject({
      verdict: { generation: 2, superseded: false, decision: 'advance' },
      other_verdicts: [{ ...superseded, decision: 'reject' }],
    })
    expect(await shown(id, '?generation=1')).toMatchObject({
      content_generation: 1,
      verdict: { decision: 'reject' },
      other_verdicts: [{ generation: 2, decision: 'advance' }],
    })
  })

  it('stays with the assessment it was given on while the next one is made', async () => {
    const id = await assessed()
    await put(id, { generation: 1, decision: 'hold' })
    const { body } = await ask(`POST /api/interviews/${id}/assessment/generate`)
    const before = {
      content_generation: 1,
      verdict: { generation: 1, superseded: false },
      other_verdicts: [],
    }
    expect(body).toMatchObject({ state: 'pending', generation: 2, ...before })
    expect(await shown(id)).toMatchObject({ state: 'pending', generation: 2, ...before })
  })

  it('stands in Markdown and PDF, with changed scores at their criteria and earlier verdicts apart', async () => {
    const id = await assessed()
    await put(id, { generation: 1, decision: 'reject', scores: [{ id: 'go', score: 7 }], note: 'Too early.' })
    await assessedAgain(id)
    await put(id, {
      generation: 2,
      decision: 'advance',
      scores: [{ id: 'sql', score: 90 }],
      note: 'Now *yes*.',
    })
    const markdown = (await ask(`GET /api/interviews/${id}/assessment/export?format=md`)).text
    const today = new Date().toISOString().slice(0, 10)
    expect(markdown).toContain(
      [
        '## Verdict of a person',
        '',
        '- **Decision:** Advance',
        `- **Given:** ${today}, by Ada at the desk`,
        '- **Overall score as changed:** 80 of 100',
        '',
        'Now \\*yes\\*.',
        '',
        '### On an earlier assessment (generation 1)',
        '',
        '- **Decision:** Reject',
      ].join('\n'),
    )
    expect(markdown).toContain('### SQL\n\n- **Score:** 51 of 100\n- **Score by a person:** 90 of 100\n')
    expect(markdown).toContain('- go: 7 of 100')
    const pdf = await ask(`GET /api/interviews/${id}/assessment/export?format=pdf`)
    const bytes = new Uint8Array(Buffer.from(pdf.text, 'base64'))
    const pages = (await extractText(bytes, { mergePages: true })).text.replaceAll(/\s+/g, ' ')
    for (const words of [
      'Decision: Advance',
      'Score by a person: 90 of 100',
      'Too early.',
      'Decision: Reject',
    ]) {
      expect(pages).toContain(words)
    }
  })

  it('is told apart on the list by verdict=none and verdict=given', async () => {
    const [decided, open] = [await assessed(), await assessed()]
    await put(decided, { generation: 1, decision: 'hold' })
    const ids = async (verdict: string) => {
      const { body } = await ask(`GET /api/interviews?limit=50&state=completed&verdict=${verdict}`)
      expect(body.total).toBe(body.data.length)
      return body.data.map(({ id }: { id: string }) => id)
    }
    const [none, given] = [await ids('none'), await ids('given')]
    expect(none).toContain(open)
    expect(none).not.toContain(decided)
    expect(given).toContain(decided)
    expect(given).not.toContain(open)
    expect((await ask('GET /api/interviews?verdict=maybe')).status).toBe(422)
  })

  it('can be taken back, once', async () => {
    const id = await assessed()
    await put(id, { generation: 1, decision: 'hold' })
    const target = `DELETE /api/interviews/${id}/verdict?generation=1`
    expect((await ask(target, { key: keys.foreign })).status).toBe(404)
    expect((await ask(`DELETE /api/interviews/${id}/verdict`)).status).toBe(400)
    expect((await ask(target)).status).toBe(204)
    expect((await shown(id)).verdict).toBeNull()
    expect((await ask(target)).status).toBe(404)
  })

  it('is gone with the interview, and counted', async () => {
    const id = await assessed()
    await put(id, { generation: 1, decision: 'hold' })
    expect((await ask(`DELETE /api/interviews/${id}`)).status).toBe(204)
    expect(await bench.sql`select from verdicts where interview_id = ${id}`).toHaveLength(0)
    const [record] = await bench.sql`select counts from deletions where subject_id = ${id}`
    expect(record!.counts).toMatchObject({ assessments: 1, verdicts: 1 })
  })
})

describe('bad input', () => {
  it.each<[string, object, number, string?]>([
    ['a criterion that is not in the rubric', { scores: [{ id: 'charm', score: 1 }] }, 422, 'scores.0.id'],
    ['a score over 100', { scores: [{ id: 'go', score: 101 }] }, 422, 'scores.0.score'],
    ['a score below 0', { scores: [{ id: 'go', score: -1 }] }, 422, 'scores.0.score'],
    ['a score that is no number', { scores: [{ id: 'go', score: '9' }] }, 422, 'scores.0.score'],
    [
      'a criterion twice',
      {
        scores: [
          { id: 'go', score: 1 },
          { id: 'go', score: 2 },
        ],
      },
      422,
      'scores',
    ],
    ['a generation that was not completed', { generation: 2 }, 422, 'generation'],
    ['a generation that no integer holds', { generation: 2 ** 31 }, 422, 'generation'],
    ['no generation', { generation: undefined }, 400, 'generation'],
    ['an unknown decision', { decision: 'maybe' }, 422, 'decision'],
    ['no decision', { decision: undefined }, 400, 'decision'],
    ['a note with a NUL', { note: 'a\0b' }, 422, 'note'],
    ['a note of 4,001 characters', { note: 'x'.repeat(4001) }, 422, 'note'],
    ['a field that is not known', { recommendation: 'yes' }, 400, 'recommendation'],
  ])('%s is refused, and nothing is kept', async (_what, changes, status, field) => {
    const id = await assessed()
    const { body, ...response } = await put(id, { generation: 1, decision: 'hold', ...changes })
    expect(response.status).toBe(status)
    expect(body.details.map((detail: { field?: string }) => detail.field)).toContain(field)
    expect((await shown(id)).verdict).toBeNull()
  })

  it('a verdict of another team, or on an interview that is not there, is 404', async () => {
    const id = await assessed()
    const body = { generation: 1, decision: 'hold' }
    expect((await put(id, body, keys.foreign)).status).toBe(404)
    expect((await put(randomUUID(), body)).status).toBe(404)
    expect((await shown(id)).verdict).toBeNull()
  })

  it('a verdict before an assessment is completed is 409', async () => {
    const refused = { status: 409, body: { code: 'not_finished' } }
    const body = { generation: 1, decision: 'hold' }
    const { id } = await bench.interview()
    expect(await put(id, body)).toMatchObject(refused)
    const asked = await bench.requested()
    expect(await put(asked.id, body)).toMatchObject(refused)
  })
})

describe('an assessment with a verdict', () => {
  it('is not made again by itself when a turn comes late: it is outdated, and a person starts the next', async () => {
    const id = await assessed()
    await put(id, { generation: 1, decision: 'hold' })
    await turn(id, 3)
    expect(await shown(id)).toMatchObject({ state: 'completed', generation: 1, outdated: true })
    expect((await ask(`POST /api/interviews/${id}/assessment/generate`)).body.generation).toBe(2)
  })

  it('is not replaced by the late account of an interview that was given up', async () => {
    const id = await assessed()
    await bench.sql`update interviews set state = 'needs_attention' where id = ${id}`
    await put(id, { generation: 1, decision: 'hold' })
    const body = { type: 'session.completed', data: { interview_id: id } }
    await applyEvent(
      { sql: bench.sql, storage: {} as Storage, queues: {} },
      {
        source: 'agent',
        id: randomUUID(),
        received_at: new Date().toISOString(),
        body: JSON.stringify(body),
      },
    )
    expect(await shown(id)).toMatchObject({ state: 'completed', generation: 1, outdated: true })
    expect((await ask(`GET /api/interviews/${id}`)).body.data.state).toBe('completed')
  })

  it('that was being made again when the verdict came keeps both, and makes no third by itself', async () => {
    const id = await assessed()
    await turn(id, 3)
    await bench.sql`update assessments set due_at = now() where interview_id = ${id}`
    bench.scripted.script.push(async (asked) => {
      await put(id, { generation: 1, decision: 'hold' })
      return assessmentOf(asked)
    })
    await bench.assess(id)
    await turn(id, 4)
    expect(await shown(id)).toMatchObject({
      state: 'completed',
      generation: 2,
      outdated: true,
      verdict: null,
      other_verdicts: [{ generation: 1, superseded: true }],
    })
  })
})
