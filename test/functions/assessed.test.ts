import { extractText } from 'unpdf'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { sendEmail } from '../../lib/interviews/emails.ts'
import { createGemini } from '../../lib/interviews/gemini.ts'
import type { Mail } from '../../lib/interviews/model.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { type AssessmentBench, startAssessmentBench } from '../lib/interviews/assessment-bench.ts'
import { call } from '../support/http-event.ts'
import { watchRetries } from '../support/retries.ts'
import { startThirdParties, type ThirdParties } from '../support/third-parties.ts'

/*
 * What a model answers, through the real SDK and the simulated Gemini, and what becomes of it wherever somebody
 * reads it: stored, in the API, in each export and in the e-mail.
 */

const retries = watchRetries()
let parties: ThirdParties
let bench: AssessmentBench
let handler: typeof import('../../functions/interviews.ts').handler
let key: string

beforeAll(async () => {
  parties = await startThirdParties()
  const model = createGemini({
    apiKey: async () => 'key',
    baseUrl: parties.environment.GEMINI_URL,
    retry: { jitter: 'none', clock: retries.clock },
  })
  bench = await startAssessmentBench({ model })
  const unused = {
    ASSESSMENTS_QUEUE_URL: 'http://127.0.0.1:1/none',
    EMAILS_QUEUE_URL: 'http://127.0.0.1:1/none',
    GEMINI_FUNCTION_NAME: 'none',
    LIVEKIT_FUNCTION_NAME: 'none',
  }
  for (const [name, value] of Object.entries({ ...bench.env, ...unused })) vi.stubEnv(name, value)
  key = (await createKey(bench.sql, { role: 'recruiter', team: bench.teamName, label: 'test' })).key
  handler = (await import('../../functions/interviews.ts')).handler
})
beforeEach(() => parties.asked.clear())
afterAll(async () => {
  await disconnect()
  await bench.close()
  await parties.close()
  vi.unstubAllEnvs()
})

const rubric = [
  { id: 'go', title: 'Go', weight: 1 },
  { id: 'sql', title: 'SQL', weight: 1 },
  { id: 'team', title: 'Teamwork', weight: 2 },
  { id: 'drive', title: 'Drive', weight: 4 },
]
const path = '/gemini/v1beta/models/gemini-flash-latest'
const longAnswer =
  'I built the payment services of two banks in Go and kept their ledgers in PostgreSQL for six years, together with a team of nine people.'

type Judgement = { id: string; score?: unknown; evidence?: unknown } & Record<string, unknown>
type Said = { criteria: Judgement[]; recommendation: unknown } & Record<string, unknown>

/** Everything scored 90 by the candidate's long answer, which is a strong yes. */
function good(turn: string): Said {
  return {
    summary: 'Built much.',
    recommendation: 'strong_yes',
    overall_score: 95,
    criteria: rubric.map(({ id, title }) => ({
      id,
      title,
      score: 90,
      confidence: 0.9,
      justification: `Knows ${title}.`,
      evidence: [{ turn_id: turn, reason: 'Says so.' }],
    })),
    strengths: ['Clear'],
    weaknesses: [],
    highlights: [],
    red_flags: [],
  }
}

type Turns = { long: string; short: string; foreign: string }
const only = (said: Said, ...ids: string[]) => ({
  ...said,
  criteria: said.criteria.filter(({ id }) => ids.includes(id)),
})
const each = (said: Said, change: (judgement: Judgement) => object) => ({
  ...said,
  criteria: said.criteria.map((judgement) => ({ ...judgement, ...change(judgement) })),
})
const second = (said: Said, change: object) => each(said, ({ id }) => (id === 'sql' ? change : {}))

/**
 * Answers what the model says, each time, and reads the result in every place. The first `cut` answers have no
 * room for their second half.
 */
async function assessed(answer: (turns: Turns) => unknown, { cut = 0 } = {}) {
  const interview = await bench.interview({ rubric })
  const { id } = interview
  await bench.say(id, [
    ['ai', 'What have you built?'],
    ['candidate', longAnswer],
    ['ai', 'And why?'],
    ['candidate', 'For fun.'],
  ])
  const turns = { long: bench.turnId(id, 2), short: bench.turnId(id, 4), foreign: bench.turnId(key, 2) }
  const said = answer(turns)
  const text = typeof said === 'string' ? said : JSON.stringify(said)
  for (let attempt = 1; attempt <= 3; attempt++) {
    const part =
      attempt <= cut
        ? { text: text.slice(0, text.length / 2), finishReason: 'MAX_TOKENS' }
        : { text, finishReason: 'STOP' }
    const { finishReason } = part
    const candidates = [{ content: { role: 'model', parts: [{ text: part.text }] }, finishReason, index: 0 }]
    await parties.fault({ path, status: 200, body: { candidates } })
  }
  await bench.request(id)
  const { outcome } = await bench.assess(id)
  await parties.unmet()
  const asked = [...parties.asked].reduce((sum, [at, n]) => sum + (at.startsWith(path) ? n : 0), 0)
  const get = (what: string) => call(handler, `GET /api/interviews/${id}/assessment${what}`, { key })
  const { state, content } = (await get('')).body
  const [stored] = await bench.sql`select content from assessments where interview_id = ${id}`
  expect(stored!.content).toEqual(content ?? null)
  if (!content) return { outcome, state, asked, turns, markdown: '', pages: '', mail: '' }
  const markdown = (await get('/export?format=md')).text
  const pdf = await get('/export?format=pdf')
  const bytes = new Uint8Array(Buffer.from(pdf.text, 'base64'))
  const pages = (await extractText(bytes, { mergePages: true })).text.replaceAll(/\s+/g, ' ')
  return { outcome, state, asked, turns, content, markdown, pages, mail: await mailed(id) }
}

async function mailed(interviewId: string): Promise<string> {
  const [email] = await bench.emails(interviewId)
  const mails: Mail[] = []
  const mailer = {
    async send(mail: Mail) {
      mails.push(mail)
      return { provider_id: mail.id }
    },
  }
  await sendEmail(
    {
      sql: bench.sql,
      mailer,
      mailFrom: 'Insighta <interviews@example.com>',
      consoleUrl: 'http://x',
      remainingMs: () => 10_000,
    },
    email!.id,
  )
  return mails[0]!.text
}

/** Of the criteria in their order: the score, or the reason why there is none. */
const outcomes = (content: { criteria: { score: number | null; reason: string | null }[] }) =>
  content.criteria.map(({ score, reason }) => score ?? reason)
const leftOut = 'The model left this criterion out.'

type Row = {
  answer(turns: Turns): unknown
  /** How often the model is asked. */
  asked: number
  criteria: (number | string)[]
  overall: number | null
  recommendation: string | null
  /** What each reader is told, in exports and e-mail alike. */
  told: string[]
  cut?: number
}

const whole = { overall: 90, recommendation: 'strong_yes', criteria: [90, 90, 90, 90] }
const missing = (...titles: string[]) => [
  'Recommendation: None, since not every criterion was assessed',
  `Coverage: ${4 - titles.length} of 4 criteria assessed`,
  `Not assessed: ${titles.join(', ')}`,
]
const table: Record<string, Row> = {
  'the whole of it': {
    answer: ({ long }) => good(long),
    asked: 1,
    ...whole,
    told: ['Recommendation: Strong yes', 'Overall score: 90 of 100', 'Coverage: 4 of 4 criteria assessed'],
  },
  'none of the criteria': {
    answer: ({ long }) => only(good(long)),
    asked: 2,
    criteria: [leftOut, leftOut, leftOut, leftOut],
    overall: null,
    recommendation: null,
    told: [
      ...missing('Go', 'SQL', 'Teamwork', 'Drive'),
      'Overall score: None, since no criterion was assessed',
    ],
  },
  'one of four criteria': {
    answer: ({ long }) => each(only(good(long), 'go'), () => ({ score: 95 })),
    asked: 2,
    criteria: [95, leftOut, leftOut, leftOut],
    overall: 95,
    recommendation: null,
    told: [...missing('SQL', 'Teamwork', 'Drive'), '(12.5 % of the weight)'],
  },
  'a criterion twice': {
    answer(turns) {
      const said = good(turns.long)
      return { ...said, criteria: [...said.criteria, { ...said.criteria[0], score: 10 }] }
    },
    asked: 1,
    ...whole,
    told: ['Coverage: 4 of 4'],
  },
  'a criterion of its own': {
    answer(turns) {
      const said = good(turns.long)
      return { ...said, criteria: [{ ...said.criteria[0], id: 'charm', score: 1 }, ...said.criteria] }
    },
    asked: 2,
    ...whole,
    told: ['Coverage: 4 of 4'],
  },
  'ids in another case and in brackets': {
    answer: ({ long }) =>
      each(good(long), ({ id }) => ({
        id: ` ${id.toUpperCase()}`,
        evidence: [{ turn_id: `[${long.toUpperCase()}]`, reason: 'Says so.' }],
      })),
    asked: 1,
    ...whole,
    told: ['Coverage: 4 of 4'],
  },
  'a foreign turn beside a right one': {
    answer: ({ long, foreign }) =>
      second(good(long), {
        evidence: [
          { turn_id: foreign, reason: 'Elsewhere.' },
          { turn_id: long, reason: 'Here.' },
          { turn_id: long, reason: 'Again.' },
        ],
      }),
    asked: 2,
    ...whole,
    told: ['Coverage: 4 of 4'],
  },
  'nothing but a foreign turn': {
    answer: ({ long, foreign }) =>
      second(good(long), { evidence: [{ turn_id: foreign, reason: 'Elsewhere.' }] }),
    asked: 2,
    criteria: [90, 'The model scored this criterion by turns that are not in the interview.', 90, 90],
    overall: 90,
    recommendation: null,
    told: missing('SQL'),
  },
  'a score without a turn': {
    answer: ({ long }) => second(good(long), { evidence: [] }),
    asked: 2,
    criteria: [90, 'The model scored this criterion without naming a turn that supports the score.', 90, 90],
    overall: 90,
    recommendation: null,
    told: missing('SQL'),
  },
  'a score of 700': {
    answer: ({ long }) => second(good(long), { score: 700 }),
    asked: 2,
    criteria: [90, 'The model gave no score from 0 to 100.', 90, 90],
    overall: 90,
    recommendation: null,
    told: missing('SQL'),
  },
  'that a criterion cannot be assessed, and why': {
    answer: ({ long }) =>
      second(good(long), { score: null, confidence: null, justification: 'Nobody asked.', evidence: [] }),
    asked: 1,
    criteria: [90, 'Nobody asked.', 90, 90],
    overall: 90,
    recommendation: null,
    told: [...missing('SQL'), '(87.5 % of the weight)'],
  },
  'scores against its recommendation': {
    answer: ({ long }) => each(good(long), ({ id }) => ({ score: id === 'drive' ? 10 : 50 })),
    asked: 1,
    criteria: [50, 50, 50, 10],
    overall: 30,
    recommendation: 'strong_no',
    told: [
      'Recommendation: Strong no',
      'Contradiction: The model recommended "Strong yes", its scores amount to "Strong no"',
    ],
  },
  'more than is stored of everything': {
    answer({ long }) {
      const said = each(good(long), () => ({ justification: 'many words '.repeat(92) }))
      return { ...said, summary: 'long '.repeat(1000), highlights: Array(101).fill('x'.repeat(1001)) }
    },
    asked: 1,
    ...whole,
    told: ["Shortened: 26 of the model's texts and lists, which were too long"],
  },
  'half of it for want of room, then all': {
    answer: ({ long }) => good(long),
    cut: 1,
    asked: 2,
    ...whole,
    told: ['Coverage: 4 of 4'],
  },
  'half of it, however much room it has': {
    answer: ({ long }) => good(long),
    cut: 3,
    asked: 3,
    criteria: [90, 90, leftOut, leftOut],
    overall: 90,
    recommendation: null,
    told: missing('Teamwork', 'Drive'),
  },
  'scores by a few words': {
    answer: ({ short }) => good(short),
    asked: 1,
    ...whole,
    told: ['Thin evidence: The candidate says little that supports: Go, SQL, Teamwork, Drive'],
  },
}

describe('an assessment of which the model says', () => {
  it.each(Object.entries(table))(
    '%s',
    async (_what, { answer, asked, criteria, overall, recommendation, told, cut }) => {
      const result = await assessed(answer, { cut })
      expect(result).toMatchObject({ outcome: 'done', state: 'completed', asked })
      const { content, markdown, pages, mail } = result
      expect(outcomes(content)).toEqual(criteria)
      expect(content).toMatchObject({ overall_score: overall, recommendation })
      for (const fact of told) {
        expect(markdown.replaceAll('**', '').replaceAll('\\', '')).toContain(fact)
        expect(pages).toContain(fact)
        expect(mail).toContain(fact)
      }
      if (recommendation === null) expect(`${markdown}${pages}${mail}`).not.toMatch(/: Strong yes/i)
    },
  )

  it('a foreign turn or one twice keeps only what is right of the citations, each turn once', async () => {
    const { content, turns } = await assessed(table['a foreign turn beside a right one']!.answer)
    expect(content.criteria[1].evidence).toEqual([{ turn_id: turns.long, reason: 'Here.' }])
  })

  it.each<[string, unknown]>([
    ['neither words nor scores', { summary: '', criteria: [] }],
    ['another shape', { a: 1 }],
    ['no JSON', 'As an AI, I'],
  ])('%s is failed, with a way to retry and nothing to read', async (_what, said) => {
    expect(await assessed(() => said)).toMatchObject({ outcome: 'failed', state: 'failed', asked: 3 })
  })
})
