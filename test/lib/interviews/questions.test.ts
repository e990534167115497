import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { getInterview, type Interview } from '../../../lib/interviews/interviews.ts'
import { nextQuestion, planQuestions } from '../../../lib/interviews/questions.ts'
import { UpstreamUnavailableError } from '../../../lib/platform/errors.ts'
import { type AssessmentBench, startAssessmentBench } from './assessment-bench.ts'

let bench: AssessmentBench
beforeAll(async () => {
  bench = await startAssessmentBench()
})
beforeEach(() => bench.clear())
afterAll(() => bench.close())

const context = () => ({ sql: bench.sql, model: bench.scripted.model })
const stored = ({ team_id, id }: Interview) => getInterview(bench.sql, team_id, id)
const described = () => bench.interview({ job_description: 'Builds services.' })
const plan = {
  intro: 'Hello.',
  questions: [
    { question: 'Why us?', follow_up_hint: 'more', criterion_id: 'motivation' },
    { question: 'What is Go?', follow_up_hint: 'more', criterion_id: 'invented' },
  ],
  closing: 'Goodbye.',
}

test('stores a plan, with no criterion that there is not', async () => {
  const interview = await described()
  bench.scripted.script.push(() => plan)
  const answer = await planQuestions(context(), interview)
  expect(answer.questions.map(({ criterion_id }) => criterion_id)).toEqual(['motivation', undefined])
  expect((await stored(interview)).plan).toEqual(answer)
})

test('plans nothing without a job description, or once the interview has begun: the model is not asked', async () => {
  const bare = await bench.interview()
  const incomplete = { status: 400, code: 'incomplete_context' }
  await expect(planQuestions(context(), bare)).rejects.toMatchObject(incomplete)
  await expect(nextQuestion(context(), bare)).rejects.toMatchObject(incomplete)
  const begun = await described()
  await bench.sql`update interviews set state = 'in_progress' where id = ${begun.id}`
  await expect(planQuestions(context(), begun)).rejects.toMatchObject({ status: 409 })
  expect(bench.scripted.asked).toEqual([])
})

test('keeps the plan that there is where the model does not answer', async () => {
  const interview = await described()
  bench.scripted.script.push(
    () => plan,
    () => {
      throw new UpstreamUnavailableError('Gemini does not answer')
    },
  )
  const first = await planQuestions(context(), interview)
  await expect(planQuestions(context(), interview)).rejects.toMatchObject({ status: 503 })
  expect((await stored(interview)).plan).toEqual(first)
})

test('asks the next question from what was said, and stores no turn', async () => {
  const interview = await described()
  await bench.say(interview.id, [['candidate', 'I like Go.']])
  bench.scripted.script.push(() => ({ question: 'Why Go?' }))
  expect(await nextQuestion(context(), interview)).toBe('Why Go?')
  expect(bench.scripted.asked.at(-1)!.prompt.text).toContain('Candidate: I like Go.')
  const turns = await bench.sql`select from turns where interview_id = ${interview.id}`
  expect(turns).toHaveLength(1)
})

test('asks nothing once the interview has ended', async () => {
  const interview: Interview = { ...(await described()), state: 'cancelled' }
  await expect(nextQuestion(context(), interview)).rejects.toMatchObject({ code: 'interview_ended' })
})
