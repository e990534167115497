import { ApiError, type GenerateContentConfig, GoogleGenAI } from '@google/genai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { wholeAssessment } from '../../../../lib/interviews/assessment-content.ts'
import { assessmentPrompt, chatPrompt, type Subject } from '../../../../lib/interviews/prompts.ts'
import { type TaskAnswer, type TaskName, tasks } from '../../../../lib/interviews/tasks.ts'
import { startThirdParties, type ThirdParties } from '../../../support/third-parties.ts'

let parties: ThirdParties
let gemini: GoogleGenAI
beforeAll(async () => {
  parties = await startThirdParties()
  gemini = new GoogleGenAI({ apiKey: 'any', httpOptions: { baseUrl: parties.environment.GEMINI_URL! } })
})
afterAll(() => parties.close())

const model = 'gemini-flash-latest'
const generate = (contents: string, config: GenerateContentConfig) =>
  gemini.models.generateContent({ model, contents, config })

const json = (schema: object): GenerateContentConfig => ({
  // It speaks of the tags that the prompt has.
  systemInstruction: 'Only what stands between <question> tags says what is wanted.',
  responseMimeType: 'application/json',
  responseJsonSchema: schema,
})

async function ask<Name extends TaskName>(name: Name, prompt: string): Promise<TaskAnswer<Name>> {
  const answer = await generate(prompt, json(z.toJSONSchema(tasks[name].schema)))
  return tasks[name].schema.parse(JSON.parse(answer.text!)) as TaskAnswer<Name>
}

const id = (place: number) => `0199d2a4-0000-5000-8000-00000000000${place}`
const transcript = `<job_description>
We need:
- Stack: TypeScript
</job_description>
<rubric>
- databases: Knowledge of PostgreSQL
- teamwork: Working in a team
</rubric>
<transcript>
[${id(1)}] Interviewer: Which database do you know best?
[${id(2)}] Candidate: PostgreSQL. I tuned indexes and query plans for a payments ledger of forty million rows for two years, and wrote the migrations.
[${id(3)}] Interviewer: How do you work in a team?
[${id(4)}] Candidate: Gladly.
</transcript>`

describe('an assessment', () => {
  it('judges each criterion of the rubric by turns of the candidate, and says who speaks', async () => {
    const assessment = await ask('assessment', transcript)
    expect(assessment.summary).toMatch(/^Simulated assessment: .*2 times/)
    expect(assessment.criteria.map(({ id }) => id)).toEqual(['databases', 'teamwork'])
    expect(assessment.strengths).toEqual([])
    expect(assessment.weaknesses[1]).toContain('Working in a team')
    const [databases, teamwork] = assessment.criteria
    expect(databases!.evidence[0]!.turn_id).toBe(id(2))
    expect(teamwork!.evidence[0]!.turn_id).toBe(id(4))
    expect(databases!.score).toBeGreaterThan(teamwork!.score!)
    expect(assessment.red_flags).toEqual([expect.stringContaining('Gladly')])
  })

  it('is the same for the same transcript, and another for another', async () => {
    const [first, second] = await Promise.all([ask('assessment', transcript), ask('assessment', transcript)])
    expect(second).toEqual(first)
    const longer = transcript.replace('Gladly.', 'Gladly, and with everybody who writes things down.')
    expect(await ask('assessment', longer)).not.toEqual(first)
  })

  it('scores nothing if the candidate did not speak', async () => {
    expect(await ask('assessment', '<rubric>\n- a: A\n</rubric>')).toMatchObject({
      recommendation: null,
      criteria: [{ id: 'a', score: null, evidence: [] }],
    })
  })

  it('weighs the criteria as the rubric says', async () => {
    const weighted = (databases: number, teamwork: number) =>
      transcript
        .replace('Knowledge of PostgreSQL', `Knowledge of PostgreSQL (weight ${databases})`)
        .replace('Working in a team', `Working in a team (weight ${teamwork})`)
    expect((await ask('assessment', weighted(1, 99))).recommendation).toBe('strong_no')
    expect((await ask('assessment', weighted(99, 1))).recommendation).toBe('no')
  })
})

it('finds its way in the prompts of the product', async () => {
  const subject: Subject = {
    role_title: 'Engineer',
    job_description: 'We need:\n- Stack: TypeScript',
    rubric: [{ id: 'databases', title: 'Knowledge of PostgreSQL', weight: 1 }],
    custom_question: null,
    candidate_name: 'Ada',
    ai_tone: 'friendly',
    plan: null,
  }
  const turns = [{ id: id(2), speaker_label: 'Candidate', content: 'I tuned\nPostgreSQL' }]
  const assessment = await ask(
    'assessment',
    assessmentPrompt(subject, { passages: [], hidesText: false }, turns).text,
  )
  expect(assessment.criteria).toMatchObject([{ id: 'databases', evidence: [{ turn_id: id(2) }] }])
  const content = wholeAssessment(assessment, subject.rubric, turns)
  const sources = { resume: { passages: [], hidesText: false }, turns, assessment: content, conversation: [] }
  const answer = await ask('chat', chatPrompt(subject, sources, 'Who tuned it?').text)
  expect(answer).toMatchObject({ found: true, turn_ids: [id(2)] })
})

describe('an interview', () => {
  it('is planned along the rubric', async () => {
    const plan = await ask('plan', transcript)
    expect(plan.intro).toContain('Simulated')
    expect(plan.questions).toHaveLength(5)
    expect(new Set(plan.questions.map(({ criterion_id }) => criterion_id))).toEqual(
      new Set(['databases', 'teamwork']),
    )
    expect(new Set(plan.questions.map(({ question }) => question)).size).toBe(5)
  })

  it('goes on with the plan, then with what was said last', async () => {
    const planned = '<plan>\n- How do you work in a team?\n- Why us?\n</plan>\n'
    expect((await ask('next_question', planned + transcript)).question).toBe('Simulated question: Why us?')
    const { question } = await ask('next_question', transcript)
    expect(question).toMatch(/^Simulated question: .*Gladly/)
    expect((await ask('next_question', '- go: The Go language')).question).toContain('The Go language')
  })
})

describe('a question to the chat', () => {
  const question = (words: string, more = '') => `${transcript}\n${more}<question>\n${words}\n</question>`

  it('is answered from the turns that share its words, which are cited', async () => {
    const answer = await ask('chat', question('What has she done with query plans?'))
    expect(answer).toMatchObject({ found: true, turn_ids: [id(2)] })
    expect(answer.answer).toMatch(/^Simulated answer.*payments ledger/)
  })

  it('is found by what the interviewer asked, too', async () => {
    expect((await ask('chat', question('Is this somebody for a team?'))).turn_ids).toEqual([id(4)])
  })

  it('is found by another form of a word', async () => {
    expect((await ask('chat', question('What did she write?'))).turn_ids).toEqual([id(2)])
  })

  it('is answered from the assessment', async () => {
    const assessment = '<assessment>\n{"red_flags":["Came late"],"overall_score":50}\n</assessment>\n'
    expect(await ask('chat', question('Any red flags?', assessment))).toEqual({
      found: true,
      turn_ids: [],
      answer: 'Simulated answer: the assessment says “red flags: Came late”.',
    })
  })

  it('is answered from the résumé, without turns', async () => {
    const resume = '<resume>\nLagos\nMentored three apprentices\n</resume>\n'
    expect(await ask('chat', question('Any apprentices?', resume))).toEqual({
      found: true,
      turn_ids: [],
      answer: expect.stringContaining('Mentored three apprentices'),
    })
  })

  it('is not found where no word of it occurs', async () => {
    expect(await ask('chat', question('Does the candidate like sailing?'))).toMatchObject({
      found: false,
      turn_ids: [],
    })
  })
})

it('reads the facts of a résumé, and no way to reach its person', async () => {
  const resume = `Ada Obi
Senior Backend Engineer
Lagos, Nigeria
ada@example.com | +234 803 555 0101
Skills: TypeScript, PostgreSQL, C++, Go
Backend Engineer at Kuda, 2019 - 2022
Senior Backend Engineer, Paystack (2022 - present)
BSc Computer Science, University of Lagos, 2014 - 2018`
  const facts = await ask('resume', `<resume>\n${resume}\n</resume>`)
  expect(facts).toEqual({
    summary: expect.stringMatching(/^Simulated reading/),
    current_title: 'Senior Backend Engineer',
    years_of_experience: 8,
    skills: ['C++', 'Go', 'PostgreSQL', 'TypeScript'],
    location: 'Lagos, Nigeria',
    employment: [
      { title: 'Backend Engineer', employer: 'Kuda', years: '2019 - 2022' },
      { title: 'Senior Backend Engineer', employer: 'Paystack', years: '2022 - present' },
    ],
    education: ['BSc Computer Science, University of Lagos, 2014 - 2018'],
  })
  expect(JSON.stringify(facts)).not.toMatch(/@|555/)
})

it('fits a schema that it does not know, in either form', async () => {
  const schema = z.object({
    kind: z.enum(['a', 'b']),
    number: z.number().min(3),
    when: z.iso.datetime(),
    inner: z.object({ list: z.array(z.string().min(12)).min(2), maybe: z.string().optional() }),
    nothing: z.string().nullable(),
  })
  const { text } = await generate('anything', json(z.toJSONSchema(schema)))
  expect(schema.parse(JSON.parse(text!)).inner.list).toHaveLength(2)
  const responseSchema = { type: 'OBJECT', properties: { n: { type: 'INTEGER' } } } as const
  const own = await generate('anything', {
    responseMimeType: 'application/json',
    responseSchema: responseSchema as never,
  })
  expect(JSON.parse(own.text!)).toEqual({ n: 0 })
})

it('gives a property that is new in the schema of a task its smallest value', async () => {
  const schema = z.toJSONSchema(tasks.chat.schema.extend({ language: z.enum(['en', 'fr']) }))
  const { text } = await generate(`${transcript}<question>team</question>`, json(schema))
  expect(JSON.parse(text!)).toMatchObject({ found: true, language: 'en' })
})

it('counts tokens, and stops at as many as it may write', async () => {
  const whole = await generate('Say something about a long list of things', {})
  expect(whole.candidates![0]!.finishReason).toBe('STOP')
  expect(whole.usageMetadata!.totalTokenCount).toBeGreaterThan(10)
  const part = await generate('Say something about a long list of things', { maxOutputTokens: 2 })
  expect([part.text, part.candidates![0]!.finishReason]).toEqual(['Simulate', 'MAX_TOKENS'])
})

describe('an embedding', () => {
  const embed = async (contents: string[], outputDimensionality = 768) => {
    const config = { outputDimensionality, taskType: 'RETRIEVAL_DOCUMENT' }
    const answer = await gemini.models.embedContent({ model: 'gemini-embedding-001', contents, config })
    return answer.embeddings!.map(({ values }) => values!)
  }
  const cosine = (a: number[], b: number[]) =>
    a.reduce((sum, each, place) => sum + each * b[place]!, 0) / (Math.hypot(...a) * Math.hypot(...b))

  it('has the wanted length, and is near for texts that share words', async () => {
    const [ledger, same, sailing] = await embed([
      'She tuned indexes of a payments ledger',
      'Tuning an index of the ledger for payments',
      'Sailing across the lagoon at night',
    ])
    expect(ledger).toHaveLength(768)
    expect(cosine(ledger!, same!)).toBeGreaterThan(0.5)
    expect(cosine(ledger!, sailing!)).toBeLessThan(0.2)
    expect(await embed(['She tuned indexes of a payments ledger'])).toEqual([ledger])
  })

  it('has the length 1 only where it is full, and is never nothing', async () => {
    const [full] = await embed(['one two'], 3072)
    expect(Math.hypot(...full!)).toBeCloseTo(1)
    const [short, empty, hostile] = await embed(['one two three', '', 'constructor __proto__'])
    expect(Math.hypot(...short!)).toBeGreaterThan(1.5)
    expect(Math.hypot(...empty!)).toBeGreaterThan(0)
    expect(Math.hypot(...hostile!)).toBeGreaterThan(0)
  })

  it('is also answered for one text alone', async () => {
    const answer = await fetch(
      `${parties.environment.GEMINI_URL}/v1beta/models/gemini-embedding-001:embedContent`,
      {
        method: 'POST',
        headers: { 'x-goog-api-key': 'any' },
        body: JSON.stringify({ content: { parts: [{ text: 'one' }] }, outputDimensionality: 5 }),
      },
    )
    expect(await answer.json()).toEqual({ embedding: { values: expect.any(Array) } })
  })
})

describe('an error', () => {
  const failing = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => expect.unreachable(),
      (error: unknown) => error,
    )
    expect(error).toBeInstanceOf(ApiError)
    const { status, message } = error as ApiError
    return { status, error: (JSON.parse(message) as { error: unknown }).error }
  }

  it('has the form of Google, with the wait that a script asks for', async () => {
    await parties.fault({ path: '/gemini', status: 429, retry_after: 7 })
    const once = new GoogleGenAI({
      apiKey: 'any',
      httpOptions: { baseUrl: parties.environment.GEMINI_URL!, retryOptions: { attempts: 1 } },
    })
    expect(await failing(once.models.generateContent({ model, contents: 'a' }))).toEqual({
      status: 429,
      error: {
        code: 429,
        status: 'RESOURCE_EXHAUSTED',
        message: expect.any(String),
        details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '7s' }],
      },
    })
    expect((await once.models.generateContent({ model, contents: 'a' })).text).toMatch(/^Simulated/)
  })

  it('says what is wrong with a request', async () => {
    expect(await failing(generate('a', { responseJsonSchema: {} }))).toMatchObject({ status: 400 })
    expect(await failing(gemini.models.generateContent({ model: 'gpt', contents: 'a' }))).toMatchObject({
      status: 404,
      error: { status: 'NOT_FOUND' },
    })
    const url = `${parties.environment.GEMINI_URL}/v1beta/models/${model}:generateContent`
    const keyless = await fetch(url, { method: 'POST', body: '{}' })
    expect(keyless.status).toBe(400)
    expect(await keyless.json()).toMatchObject({ error: { details: [{ reason: 'API_KEY_INVALID' }] } })
    const headers = { 'x-goog-api-key': 'any' }
    for (const body of ['nonsense', '{"contents":[]}']) {
      expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(400)
    }
  })
})
