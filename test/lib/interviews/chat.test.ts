import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { ask, askAnswerSchema, chatHistory, chatHistorySchema } from '../../../lib/interviews/chat.ts'
import type { Interview } from '../../../lib/interviews/interviews.ts'
import { UpstreamUnavailableError } from '../../../lib/platform/errors.ts'
import { type AssessmentBench, startAssessmentBench } from './assessment-bench.ts'

let bench: AssessmentBench
let interview: Interview
beforeAll(async () => {
  bench = await startAssessmentBench()
})
beforeEach(async () => {
  await bench.clear()
  interview = await bench.requested()
})
afterAll(() => bench.close())

const answering = (answer: string, turn_ids: string[], found = true) =>
  bench.scripted.script.push(() => ({ answer, found, turn_ids }))
const question = (text: string) =>
  ask({ sql: bench.sql, model: bench.scripted.model }, interview, text, bench.keyId)
const history = (page: { after?: number; limit: number } = { limit: 50 }) =>
  chatHistory(bench.sql, interview.id, page)

test('answers with the turns that it stands on, and stores both', async () => {
  const second = bench.turnId(interview.id, 2)
  answering('Go.', [second, second])
  const answer = askAnswerSchema.parse(await question('Which language?'))
  expect(answer.question).toMatchObject({ sequence_no: 1, role: 'user', content: 'Which language?' })
  expect(answer.answer).toMatchObject({
    sequence_no: 2,
    role: 'assistant',
    content: 'Go.',
    found: true,
    citations: [
      {
        id: second,
        sequence_no: 2,
        timestamp: expect.stringMatching(/^\d\d:\d\d:\d\d$/),
        speaker_label: 'Candidate',
        content: 'I build services in Go.',
      },
    ],
  })
  const stored = chatHistorySchema.parse(await history())
  expect(stored.data).toEqual([answer.question, answer.answer])
  const { prompt } = bench.scripted.asked.at(-1)!
  expect(prompt.citable!.turn_ids).toContain(second)
  expect(prompt.text).toContain('<question>\nWhich language?\n</question>')
})

test('says that it is not there, whatever the model makes up', async () => {
  answering('She is 42.', [bench.turnId(interview.id, 1)], false)
  const { answer } = await question('How old is she?')
  expect(answer).toMatchObject({ found: false, citations: [] })
  expect(answer.content).toBe('The transcript, the assessment and the résumé do not say.')
})

test('knows the assessment and what was asked before', async () => {
  await bench.assess(interview.id)
  answering('Go.', [])
  await question('Which language?')
  answering('For years.', [])
  await question('Since when?')
  const { text } = bench.scripted.asked.at(-1)!.prompt
  expect(text).toContain('Spoke well.')
  expect(text).toContain('<conversation>\nRecruiter: Which language?\nAssistant: Go.\n</conversation>')
})

test('stores nothing where the model does not answer: 503 with Retry-After', async () => {
  bench.scripted.script.push(() => {
    throw new UpstreamUnavailableError('Gemini does not answer', { retryAfterMs: 7000 })
  })
  await expect(question('Which language?')).rejects.toMatchObject({
    status: 503,
    headers: { 'Retry-After': '7' },
  })
  expect((await history()).data).toEqual([])
})

test('questions that are asked at once are stored one after the other, each with its answer', async () => {
  const texts = Array.from({ length: 8 }, (_, index) => `Question ${index}?`)
  for (const _ of texts) {
    bench.scripted.script.push(({ prompt }) => {
      const [, asked] = /<question>\n(.*)\n<\/question>/.exec(prompt.text)!
      return { answer: `About ${asked}`, found: true, turn_ids: [] }
    })
  }
  await Promise.all(texts.map(question))
  const { data } = await history()
  expect(data.map(({ sequence_no }) => sequence_no)).toEqual(data.map((_, index) => index + 1))
  expect(data).toHaveLength(16)
  for (let at = 0; at < data.length; at += 2) {
    expect(data[at + 1]!.content).toBe(`About ${data[at]!.content}`)
  }
})

test('pages through the history', async () => {
  for (let index = 0; index < 2; index++) {
    answering('Yes.', [])
    await question('Really?')
  }
  const first = await history({ limit: 3 })
  expect(first).toMatchObject({ data: [{}, {}, {}], next_after: 3 })
  expect(await history({ after: first.next_after!, limit: 3 })).toMatchObject({
    data: [{ sequence_no: 4 }],
    next_after: null,
  })
})

test('an interview that is deleted meanwhile gets no messages', async () => {
  bench.scripted.script.push(async () => {
    await bench.sql`delete from interviews where id = ${interview.id}`
    return { answer: 'Go.', found: true, turn_ids: [] }
  })
  await expect(question('Which language?')).rejects.toMatchObject({ status: 404 })
})
