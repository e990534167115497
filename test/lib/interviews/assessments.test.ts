import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { assessmentAnswer, assessmentAnswerSchema } from '../../../lib/interviews/assessments.ts'
import { claimWork } from '../../../lib/interviews/lease.ts'
import {
  InvalidAnswerError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from '../../../lib/platform/errors.ts'
import { RetryLaterError } from '../../../lib/platform/retry.ts'
import { type AssessmentBench, assessmentOf, deliveries, startAssessmentBench } from './assessment-bench.ts'

let bench: AssessmentBench
beforeAll(async () => {
  bench = await startAssessmentBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const fails = (error: Error) => () => {
  throw error
}
const storm = () => fails(new RetryLaterError('Generate assessment', 7, undefined))

test('stores the assessment with an e-mail to the recruiter, whose message is sent', async () => {
  const { id } = await bench.requested()
  expect(await bench.waiting('assessments')).toEqual([{ body: { interview_id: id } }])
  expect(await bench.assess(id)).toMatchObject({ outcome: 'done', result: { generation: 1 } })
  const answer = assessmentAnswer(await bench.assessment(id), [])
  expect(assessmentAnswerSchema.parse(answer)).toMatchObject({
    state: 'completed',
    generation: 1,
    completed_at: expect.any(String),
    content: {
      criteria: [
        { id: 'communication', title: 'Communication', score: 50 },
        { id: 'role_knowledge', title: 'Knowledge of the role', score: 51 },
        { id: 'problem_solving', title: 'Problem solving', score: 52 },
        { id: 'motivation', title: 'Motivation', score: 53 },
      ],
    },
  })
  const emails = await bench.emails(id)
  expect(emails).toMatchObject([{ kind: 'assessment_ready', recipient: 'recruiter@example.com' }])
  expect(bench.sent).toEqual([{ queue: 'emails', body: { email_id: emails[0]!.id } }])
})

test('sends no e-mail where nobody is to be told', async () => {
  const { id } = await bench.requested({ recruiter_email: null })
  await bench.assess(id)
  expect((await bench.assessment(id)).state).toBe('completed')
  expect(await bench.emails(id)).toEqual([])
})

test("scores by the recruiter's own rubric and its weights, and says what is missing of it", async () => {
  const rubric = [
    { id: 'go', title: 'Go', weight: 3 },
    { id: 'sql', title: 'SQL', weight: 1 },
    { id: 'unheard', title: 'Unheard', weight: 5 },
  ]
  const { id } = await bench.requested({ rubric })
  bench.scripted.script.push((asked) => {
    const answer = assessmentOf(asked)
    const [first] = answer.criteria
    return {
      ...answer,
      criteria: [
        { ...first, id: 'sql', score: 10 },
        { ...first, id: 'invented', score: 99 },
        { ...first, id: 'go', score: 70 },
      ],
    }
  })
  await bench.assess(id)
  expect((await bench.assessment(id)).content).toMatchObject({
    overall_score: 55,
    coverage: { assessed: 2, criteria: 3, weight_percent: 44.4 },
    recommendation: null,
    criteria: [
      { id: 'go', title: 'Go', weight: 3, status: 'scored', score: 70 },
      { id: 'sql', title: 'SQL', weight: 1, status: 'scored', score: 10 },
      {
        id: 'unheard',
        weight: 5,
        status: 'not_assessed',
        score: null,
        reason: 'The model left this criterion out.',
      },
    ],
  })
})

test('comes back after a 429 storm, each time pending, and is stored once it is over', async () => {
  const { id } = await bench.requested()
  for (let delivery = 1; delivery <= 2; delivery++) {
    bench.scripted.script.push(storm())
    await expect(bench.assess(id)).rejects.toMatchObject({ waitSeconds: 7 })
    expect((await bench.assessment(id)).state).toBe('pending')
  }
  const [row] = await bench.sql`select attempts, last_error_cause from assessments where interview_id = ${id}`
  expect(row).toEqual({ attempts: 2, last_error_cause: 'dependency' })
  expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
})

test('is taken up again after a worker was killed: one assessment, one e-mail', async () => {
  const { id } = await bench.requested()
  await claimWork(bench.sql, 'assessments', id, 60)
  await expect(bench.assess(id)).rejects.toThrow(RetryLaterError)
  expect((await bench.assessment(id)).state).toBe('generating')
  await bench.expireLease(id)
  expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
  expect(await bench.assess(id)).toEqual({ outcome: 'ignored' })
  expect(await bench.emails(id)).toHaveLength(1)
  expect(bench.scripted.asked).toHaveLength(1)
})

test('is asked for again while its worker lives, and at once when its lease has ended', async () => {
  const { id } = await bench.requested()
  await claimWork(bench.sql, 'assessments', id, 60)
  expect(await bench.request(id)).toMatchObject({ assessment: { state: 'generating' }, messages: [] })
  await expect(bench.request(id, { again: true })).rejects.toMatchObject({ code: 'assessment_under_way' })
  for (const again of [false, true]) {
    await bench.expireLease(id)
    const { assessment, messages } = await bench.request(id, { again })
    expect(assessment).toMatchObject({ state: 'pending', generation: 1 })
    expect(messages).toHaveLength(1)
    expect(await bench.assessment(id)).toMatchObject({ state: 'pending', generation: 1 })
    await claimWork(bench.sql, 'assessments', id, 60)
  }
  await bench.expireLease(id)
  await bench.request(id)
  expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
  expect(await bench.emails(id)).toHaveLength(1)
  // The dead worker's own message may be as old as it likes.
  const sentAt = new Date(Date.now() - 60_000)
  const { verdict } = await bench.die('assessments', { interview_id: id }, { sentAt })
  expect(verdict).toMatchObject({ moot: true })
})

test('lets a worker that was taken for dead store nothing', async () => {
  const { id } = await bench.requested()
  bench.scripted.script.push(async (asked) => {
    await bench.expireLease(id)
    expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
    return { ...assessmentOf(asked), summary: 'Of the one that was late.' }
  })
  expect(await bench.assess(id)).toEqual({ outcome: 'ignored' })
  expect((await bench.assessment(id)).content!.summary).toBe('Spoke well.')
  expect(await bench.emails(id)).toHaveLength(1)
})

test('a late failure of such a worker changes nothing either', async () => {
  const { id } = await bench.requested()
  bench.scripted.script.push(async () => {
    await bench.expireLease(id)
    await bench.assess(id)
    throw new UpstreamRefusedError('Gemini', '400')
  })
  expect(await bench.assess(id)).toEqual({ outcome: 'ignored' })
  expect((await bench.assessment(id)).state).toBe('completed')
})

test('is made once where its message comes a second time meanwhile', async () => {
  const { id } = await bench.requested()
  bench.scripted.script.push(async (asked) => {
    await expect(bench.assess(id)).rejects.toMatchObject({
      code: 'unavailable',
      waitSeconds: 60,
      exact: true,
    })
    return assessmentOf(asked)
  })
  expect(await bench.assess(id)).toMatchObject({ outcome: 'done' })
  expect(bench.scripted.asked).toHaveLength(1)
  expect(await bench.emails(id)).toHaveLength(1)
})

test('is made once where its message comes many times at once', async () => {
  const { id } = await bench.requested()
  await Promise.allSettled(Array.from({ length: 6 }, () => bench.assess(id)))
  expect((await bench.assessment(id)).state).toBe('completed')
  expect(bench.scripted.asked).toHaveLength(1)
  expect(await bench.emails(id)).toHaveLength(1)
})

test.each([
  ['invalid_answer', {}, new InvalidAnswerError('Gemini', 'not JSON')],
  ['refused', { service: 'gemini' }, new UpstreamRefusedError('Gemini', '400 INVALID_ARGUMENT')],
  ['refused_by_provider', { service: 'gemini' }, new UpstreamRefusedError('Gemini', '403 X', 'account')],
])('is failed at once by %s, with nothing half-written', async (code, by, error) => {
  const { id } = await bench.requested()
  bench.scripted.script.push(fails(error))
  const failure = { code, message: error.message, ...by }
  expect(await bench.assess(id)).toEqual({ outcome: 'failed', failure })
  expect(await bench.assessment(id)).toMatchObject({ state: 'failed', content: null, failure: { code } })
  expect(await bench.emails(id)).toEqual([])
  expect(await bench.assess(id)).toEqual({ outcome: 'ignored' })
})

test('is failed if the model says nothing at all', async () => {
  const { id } = await bench.requested()
  bench.scripted.script.push(() => ({ summary: '', criteria: [] }))
  expect(await bench.assess(id)).toMatchObject({ failure: { code: 'invalid_answer' } })
})

test('stored by an earlier release is read as whole as one of today', async () => {
  const { id } = await bench.requested({
    rubric: [
      { id: 'go', title: 'Go', weight: 1 },
      { id: 'sql', title: 'SQL', weight: 3 },
    ],
  })
  const evidence = [{ turn_id: bench.turnId(id, 2), reason: 'Says so' }]
  const stored = {
    summary: 'Good',
    recommendation: 'strong_yes',
    overall_score: 30,
    criteria: [{ id: 'go', title: 'Go', score: 30, confidence: 0.9, justification: 'Weak', evidence }],
    strengths: ['Calm'],
    weaknesses: [],
    highlights: [],
    red_flags: [],
  }
  await bench.sql`
    update assessments set state = 'completed', content = ${bench.sql.json(stored)}, completed_at = now()
    where interview_id = ${id}`
  expect(
    assessmentAnswerSchema.parse(assessmentAnswer(await bench.assessment(id), [])).content,
  ).toMatchObject({
    recommendation: null,
    overall_score: 30,
    coverage: { assessed: 1, criteria: 2, weight_percent: 25 },
    contradiction: { model: 'strong_yes', scores: 'strong_no' },
    thin_evidence: null,
    strengths: ['Calm'],
    criteria: [
      { id: 'go', status: 'scored', evidence, thin_evidence: null },
      { id: 'sql', status: 'not_assessed' },
    ],
  })
})

test('is failed without asking the model where the candidate said nothing', async () => {
  const { id } = await bench.interview()
  await bench.say(id, [['ai', 'Are you there?']])
  await bench.request(id)
  expect(await bench.assess(id)).toMatchObject({ outcome: 'failed', failure: { code: 'no_transcript' } })
  expect(bench.scripted.asked).toEqual([])
})

test('a mistake in the program goes back to the queue and is noted as one', async () => {
  const { id } = await bench.requested()
  bench.scripted.script.push(fails(new TypeError('x is undefined')))
  await expect(bench.assess(id)).rejects.toThrow(TypeError)
  const [row] =
    await bench.sql`select state, last_error, last_error_cause from assessments where interview_id = ${id}`
  expect(row).toEqual({
    state: 'pending',
    last_error: 'An internal error occurred (TypeError)',
    last_error_cause: 'defect',
  })
})

test('asks for it once, however often that is asked; a failed one is tried anew', async () => {
  const { id } = await bench.requested()
  expect((await bench.request(id)).messages).toEqual([])
  expect((await bench.request(id, { again: true })).messages).toEqual([])
  bench.scripted.script.push(fails(new UpstreamRefusedError('Gemini', '400')))
  await bench.assess(id)
  const retried = await bench.request(id)
  expect(retried).toMatchObject({ assessment: { state: 'pending', failure: null, generation: 2 } })
  expect(retried.messages).toHaveLength(1)
  await bench.assess(id)
  expect((await bench.request(id)).messages).toEqual([])
})

test('two that ask for the first one at once make one', async () => {
  const { id } = await bench.interview()
  const both = await Promise.all([bench.request(id), bench.request(id)])
  expect(both.flatMap(({ messages }) => messages)).toHaveLength(1)
})

test('asked for again it is made anew and told again, the first being there until then', async () => {
  const { id } = await bench.requested()
  await bench.assess(id)
  await bench.request(id, { again: true })
  expect(await bench.assessment(id)).toMatchObject({
    state: 'pending',
    generation: 2,
    content: { summary: 'Spoke well.' },
  })
  bench.scripted.script.push((asked) => ({ ...assessmentOf(asked), summary: 'Anew.' }))
  await bench.assess(id)
  expect(await bench.assessment(id)).toMatchObject({ state: 'completed', content: { summary: 'Anew.' } })
  expect(await bench.emails(id)).toHaveLength(2)
})

test('is not asked for again while it is generated, unless what is under way is of no use', async () => {
  const { id } = await bench.requested()
  bench.scripted.script.push(async (asked) => {
    await expect(bench.request(id, { again: true })).rejects.toMatchObject({
      status: 409,
      code: 'assessment_under_way',
    })
    expect((await bench.request(id)).messages).toEqual([])
    expect((await bench.request(id, { instead: true })).messages).toHaveLength(1)
    return assessmentOf(asked)
  })
  expect(await bench.assess(id)).toEqual({ outcome: 'ignored' })
  expect(await bench.assessment(id)).toMatchObject({ state: 'pending', generation: 2 })
  await bench.assess(id)
  expect(await bench.emails(id)).toHaveLength(1)
})

test('exhausted by an outage it is failed with the reason, and completed after its redrive', async () => {
  const { id } = await bench.requested()
  for (let delivery = 0; delivery < deliveries; delivery++) {
    bench.scripted.script.push(fails(new UpstreamUnavailableError('Gemini does not answer')))
    await expect(bench.assess(id)).rejects.toThrow()
  }
  const { verdict } = await bench.die('assessments', { interview_id: id })
  expect(verdict).toMatchObject({ cause: 'dependency', moot: false, owner: { type: 'interview', id } })
  expect(await bench.assessment(id)).toMatchObject({
    state: 'failed',
    failure: { code: 'assessment_failed', message: 'Gemini does not answer' },
  })
  expect(await bench.redrive('assessments')).toMatchObject({ redriven: 1 })
  expect(bench.sent).toEqual([{ queue: 'assessments', body: { interview_id: id } }])
  await bench.assess(id)
  expect(await bench.assessment(id)).toMatchObject({ state: 'completed', failure: null })
})

test('asked for anew, it settles its dead letter: no redrive sends it a second time', async () => {
  const { id } = await bench.requested()
  await bench.die('assessments', { interview_id: id })
  await bench.request(id)
  expect(await bench.redrive('assessments')).toMatchObject({ redriven: 0 })
})
