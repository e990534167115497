import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createGemini, type GeminiOptions } from '../../../lib/interviews/gemini.ts'
import type { RefusalSubject } from '../../../lib/platform/errors.ts'
import { watchRetries } from '../../support/retries.ts'
import { startThirdParties, type ThirdParties } from '../../support/third-parties.ts'
import { startWire, type Wire, type WireAnswer } from '../../support/wire.ts'

const retries = watchRetries()
let wire: Wire
let parties: ThirdParties
beforeAll(async () => {
  wire = await startWire()
  parties = await startThirdParties()
})
afterAll(async () => {
  await wire.close()
  await parties.close()
})
beforeEach(() => wire.reset())

/** The real SDK over real HTTP, with a clock that does not wait. */
function gemini(options: Partial<GeminiOptions> = {}) {
  return createGemini({
    apiKey: async () => 'key-1',
    baseUrl: wire.url,
    ...options,
    retry: { jitter: 'none', clock: retries.clock, ...options.retry },
  })
}

const turn = '0f0ad1f8-7bd5-5d0c-9a4e-0a3d4e1f2b3c'
const prompt = {
  system: 'Assess the interview.',
  text: `- depth: Depth\n[${turn}] Candidate: I built the queue of Ada Obi.`,
  citable: { turn_ids: [turn], criterion_ids: ['depth'] },
}
const assessment = (turn_id = turn) => ({
  summary: 'Good',
  recommendation: 'yes',
  criteria: [
    {
      id: 'depth',
      score: 70,
      confidence: 0.8,
      justification: 'Built a queue',
      evidence: [{ turn_id, reason: 'Says so' }],
    },
  ],
  strengths: [],
  weaknesses: [],
  highlights: [],
  red_flags: [],
})

const says = (text: string, finishReason = 'STOP'): WireAnswer => ({
  body: { candidates: [{ content: { role: 'model', parts: [{ text }] }, finishReason, index: 0 }] },
})
const good = says(JSON.stringify(assessment()))
const fails = (code: number, status: string, details?: object[], headers?: object): WireAnswer => ({
  status: code,
  headers: { 'content-type': 'application/json', ...headers },
  body: { error: { code, status, message: `No: ${prompt.text}`, ...(details && { details }) } },
})
const busy = fails(429, 'RESOURCE_EXHAUSTED')
const retryIn = (retryDelay: string) => [
  { '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaMetric: 'requests' }] },
  { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay },
]

describe('an answer of Gemini', () => {
  it('is asked for by the task: its model, schema and limits', async () => {
    wire.answers.push(good)
    expect(await gemini({ model: 'gemini-x' }).ask('assessment', prompt)).toEqual(assessment())
    const [{ path, headers, body } = { path: '', headers: {}, body: '' }] = wire.requests
    expect(path).toBe('/v1beta/models/gemini-x:generateContent')
    expect(headers['x-goog-api-key']).toBe('key-1')
    const { contents, systemInstruction, generationConfig } = JSON.parse(body)
    expect(contents[0].parts).toEqual([{ text: prompt.text }])
    expect(systemInstruction.parts).toEqual([{ text: prompt.system }])
    const { responseMimeType, responseJsonSchema, temperature, maxOutputTokens } = generationConfig
    expect({ responseMimeType, temperature, maxOutputTokens }).toEqual({
      responseMimeType: 'application/json',
      temperature: 0.3,
      maxOutputTokens: 16_192,
    })
    expect(responseJsonSchema.properties.criteria.items.properties.score.anyOf[0]).toEqual({
      type: 'number',
      description: 'from 0 to 100',
    })
    expect(responseJsonSchema.properties.summary.description).toBe('at most 4000 characters')
    expect(responseJsonSchema.properties.strengths.description).toBe('at most 20 items')
    expect(responseJsonSchema.required).toContain('criteria')
    expect(responseJsonSchema.properties).not.toHaveProperty('shortened')
    expect(JSON.stringify(responseJsonSchema)).not.toMatch(
      /"(?:\$schema|format|pattern|m(?:ax|in)(?:Items|Length|imum))"/,
    )
  })

  it('is asked for by the settings of its task, and the others by the defaults', async () => {
    wire.answers.push(good, says('{"question":"Why?"}'))
    const model = gemini({
      model: 'gemini-x',
      settings: { assessment: { model: 'gemini-pro', max_output_tokens: 3000 } },
    })
    await model.ask('assessment', prompt)
    await model.ask('next_question', prompt)
    const asked = wire.requests.map(({ path, body }) => ({
      model: path.split('/').at(-1)?.split(':')[0],
      tokens: JSON.parse(body).generationConfig.maxOutputTokens,
    }))
    expect(asked).toEqual([
      { model: 'gemini-pro', tokens: 3000 + 8192 },
      { model: 'gemini-x', tokens: 500 + 8192 },
    ])
  })

  it('about a résumé comes from the small model, others from the usual one', async () => {
    wire.answers.push(says('{"question":"Why?"}'))
    await gemini().ask('next_question', prompt)
    wire.answers[0] = says('nothing')
    await gemini()
      .ask('resume', prompt)
      .catch(() => {})
    expect(wire.requests.map(({ path }) => path.split('/').at(-1)?.split(':')[0]).slice(0, 2)).toEqual([
      'gemini-flash-latest',
      'gemini-flash-lite-latest',
    ])
  })

  it('comes after two 429s, with a line for each and one recovery', async () => {
    wire.answers.push(busy, busy, good)
    expect(await gemini().ask('assessment', prompt)).toEqual(assessment())
    const attempt = (n: number, wait: string) =>
      `Attempt ${n}/3 failed for Generate assessment: Gemini answered 429 (RESOURCE_EXHAUSTED). Retrying in ${wait}s...`
    expect(retries.warned).toEqual([attempt(1, '2.00'), attempt(2, '4.00')])
    expect(retries.counted.filter((metric) => metric.startsWith('RetryRecoveries'))).toEqual([
      'RetryRecoveries Call=Generate assessment',
    ])
    expect(wire.requests).toHaveLength(3)
  })

  it('is waited for with full jitter where nobody says otherwise', async () => {
    wire.answers.push(busy, good)
    const model = createGemini({
      apiKey: async () => 'key-1',
      baseUrl: wire.url,
      retry: { clock: retries.clock },
    })
    await model.ask('assessment', prompt)
    expect(retries.waits).toEqual([1000])
  })

  it.each<[string, WireAnswer, number]>([
    ['the body', fails(429, 'RESOURCE_EXHAUSTED', retryIn('7s')), 7000],
    ['a part of a second in the body', fails(429, 'RESOURCE_EXHAUSTED', retryIn('12.345s')), 12_345],
    ['the header', fails(503, 'UNAVAILABLE', undefined, { 'retry-after': '9' }), 9000],
    ['both', fails(429, 'RESOURCE_EXHAUSTED', retryIn('7s'), { 'retry-after': '9' }), 9000],
  ])('is waited for as long as it says in %s', async (_where, answer, wait) => {
    wire.answers.push(answer, good)
    await gemini().ask('assessment', prompt)
    expect(retries.waits).toEqual([wait])
  })

  it('is handed back where the wait is too long, or longer than the caller has', async () => {
    wire.answers.push(fails(429, 'RESOURCE_EXHAUSTED', retryIn('90s')))
    await expect(gemini().ask('assessment', prompt)).rejects.toMatchObject({
      name: 'RetryLaterError',
      waitSeconds: 90,
    })
    wire.answers[0] = busy
    await expect(gemini().ask('assessment', prompt, { remainingMs: () => 2500 })).rejects.toMatchObject({
      name: 'RetryLaterError',
      waitSeconds: 2,
    })
    expect(retries.waits).toEqual([])
    expect(wire.requests).toHaveLength(2)
  })

  it.each<[string, WireAnswer, string]>([
    ['is down', fails(503, 'UNAVAILABLE'), 'Gemini answered 503 (UNAVAILABLE)'],
    ['answers by a proxy', { status: 502, headers: {}, body: '<html>' }, 'Gemini answered 502 (UNKNOWN)'],
    ['answers what only claims to be JSON', { status: 503, body: '' }, 'Gemini did not answer with JSON'],
    ['is cut off', { body: '{"candidates":[' }, 'Gemini did not answer with JSON'],
    ['hangs', { hangs: true }, 'Gemini did not answer within 0.20s'],
  ])('is given up after three attempts where Gemini %s', async (_how, answer, message) => {
    wire.answers.push(answer)
    await expect(gemini({ timeout: 200 }).ask('assessment', prompt)).rejects.toMatchObject({
      name: 'UpstreamUnavailableError',
      message,
      retryable: true,
    })
    expect(wire.requests).toHaveLength(3)
    expect(retries.failed).toEqual(['All 3 attempts failed for Generate assessment'])
  })

  it('is not to be had from a dead host, which is then left in peace', async () => {
    const gone = await startWire()
    await gone.close()
    const model = gemini({ baseUrl: gone.url })
    await expect(model.ask('plan', prompt)).rejects.toMatchObject({ message: 'Gemini does not answer' })
    await expect(model.ask('plan', prompt)).rejects.toMatchObject({ name: 'RetryLaterError' })
    const attempts = retries.warned.length
    await expect(model.ask('plan', prompt)).rejects.toMatchObject({ name: 'RetryLaterError' })
    expect(retries.warned).toHaveLength(attempts)
  })

  const changed = (change: object) => says(JSON.stringify({ ...assessment(), ...change }))
  it.each<[string, WireAnswer, string]>([
    ['no JSON', says('As an AI, I think Ada Obi'), 'it is not JSON'],
    ['half of it', says('{"summary":"Ada', 'MAX_TOKENS'), 'it ended with MAX_TOKENS'],
    ['no candidate', { body: {} }, 'it is not JSON'],
    ['another shape', says('{"a":1}'), expect.stringMatching(/^it does not fit the schema at summary, /)],
    [
      'neither summary nor score',
      changed({ summary: '', criteria: [] }),
      'it does not fit the schema at summary',
    ],
    ['a list', says('[]'), 'it does not fit the schema at all of it'],
  ])('is invalid after three times %s, without a word of it', async (_what, answer, reason) => {
    wire.answers.push(answer)
    const error = await gemini()
      .ask('assessment', prompt)
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'invalid_answer', status: 502, retryable: false, reason })
    expect(wire.requests).toHaveLength(3)
    expect(retries.warned).toHaveLength(2)
    expect(JSON.stringify([retries.warned, String(error)])).not.toContain('Ada')
  })

  it('with faults is asked for once more, told which, and then taken for what it is worth', async () => {
    const half = changed({ summary: ' ' })
    const none = changed({ criteria: [] })
    wire.answers.push(half, none)
    const answer = await gemini().ask('assessment', prompt)
    expect(answer).toMatchObject({ summary: 'Good', criteria: [{ id: 'depth', score: null }] })
    expect(wire.requests).toHaveLength(2)
    const { systemInstruction } = JSON.parse(wire.requests[1]!.body)
    expect(systemInstruction.parts[0].text).toBe(
      `${prompt.system}\nYour last answer could not be used as it was:\n- the summary is missing\nGive the whole answer again, without these faults.`,
    )
    expect(retries.counted).toContain('ModelAnswersIncomplete Call=Generate assessment')
    expect(retries.counted.join()).not.toContain('RetryExhaustions')
  })

  it('that had no room to end is asked for with twice as much each time', async () => {
    const half = says('{"question":"Why', 'MAX_TOKENS')
    wire.answers.push(half, half, says('{"question":"Why?"}'))
    expect(await gemini().ask('next_question', prompt)).toEqual({ question: 'Why?' })
    const rooms = wire.requests.map(({ body }) => JSON.parse(body).generationConfig.maxOutputTokens)
    expect(rooms).toEqual([8692, 17_384, 34_768])
    wire.reset()
    wire.answers.push(half)
    const attempts = { retry: { clock: retries.clock, attempts: 5 } }
    await expect(gemini(attempts).ask('assessment', prompt)).rejects.toMatchObject({
      reason: 'it ended with MAX_TOKENS',
    })
    expect(JSON.parse(wire.requests[4]!.body).generationConfig.maxOutputTokens).toBe(65_536)
  })

  it('that is longer than is stored is cut, and counted', async () => {
    wire.answers.push(says(JSON.stringify({ question: 'Why? '.repeat(201) })))
    const { question, shortened } = await gemini().ask('next_question', prompt)
    expect(question.length).toBeLessThanOrEqual(1000)
    expect(question).toMatch(/ Why\?…$/)
    expect(shortened).toBe(1)
    expect(retries.counted).toEqual(['ModelTextsShortened Call=Generate next question'])
  })

  it.each<[string, WireAnswer]>([
    ['is down', fails(503, 'UNAVAILABLE')],
    ['asks for a long wait', fails(429, 'RESOURCE_EXHAUSTED', retryIn('90s'))],
    ['refuses', fails(403, 'PERMISSION_DENIED')],
    ['writes no sense', says('no')],
  ])('with faults is still there if Gemini then %s', async (_what, then) => {
    wire.answers.push(changed({ criteria: [] }), then)
    expect(await gemini().ask('assessment', prompt)).toMatchObject({ criteria: [{ score: null }] })
  })

  it('with faults at the last attempt is taken without a line that all failed', async () => {
    wire.answers.push(busy, busy, changed({ criteria: [] }))
    expect(await gemini().ask('assessment', prompt)).toMatchObject({ criteria: [{ score: null }] })
    expect(retries.failed).toEqual([])
  })

  it('leaves out turns that it was not given, and is of no use if it stands on nothing else', async () => {
    const chat = (...turn_ids: string[]) => says(JSON.stringify({ answer: 'A queue', found: true, turn_ids }))
    wire.answers.push(chat(`[${turn.toUpperCase()}]`, turn, 'x'))
    expect(await gemini().ask('chat', prompt)).toEqual({ answer: 'A queue', found: true, turn_ids: [turn] })
    expect(wire.requests).toHaveLength(2)
    wire.answers[0] = chat('x')
    await expect(gemini().ask('chat', prompt)).rejects.toMatchObject({
      reason: 'it cites nothing but what it was not given',
    })
  })

  it('is used where the second one is right', async () => {
    wire.answers.push(says('no'), good)
    expect(await gemini().ask('assessment', prompt)).toEqual(assessment())
    expect(wire.requests).toHaveLength(2)
  })

  it('does not open the circuit by being invalid', async () => {
    wire.answers.push(says('no'))
    const model = gemini()
    for (let i = 0; i < 2; i++) await model.ask('assessment', prompt).catch(() => {})
    wire.answers[0] = good
    expect(await model.ask('assessment', prompt)).toEqual(assessment())
  })

  it.each<[string, WireAnswer, string, RefusalSubject?]>([
    ['a 400', fails(400, 'INVALID_ARGUMENT'), '400 INVALID_ARGUMENT'],
    ['a 401', fails(401, 'UNAUTHENTICATED'), '401 UNAUTHENTICATED', 'account'],
    ['a 403', fails(403, 'PERMISSION_DENIED'), '403 PERMISSION_DENIED', 'account'],
    ['a 404', fails(404, 'NOT_FOUND'), '404 NOT_FOUND', 'account'],
    ['a 422 without a form', { status: 422, headers: {}, body: 'Ada' }, '422 UNKNOWN'],
    [
      'a page of a proxy that calls itself JSON',
      { status: 403, headers: { 'content-type': 'application/json' }, body: '<html>' },
      '403 UNKNOWN',
      'account',
    ],
    [
      'a prompt it will not read',
      { body: { promptFeedback: { blockReason: 'PROHIBITED_CONTENT' } } },
      'the prompt was blocked (PROHIBITED_CONTENT)',
    ],
    ['an answer it will not give', says('', 'SAFETY'), 'the answer was blocked (SAFETY)'],
  ])(
    'is refused at once by %s, whatever the service says about it',
    async (_what, answer, reason, about = 'request') => {
      wire.answers.push(answer)
      const error = await gemini()
        .ask('assessment', prompt)
        .catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        name: 'UpstreamRefusedError',
        service: 'Gemini',
        reason,
        about,
        retryable: false,
      })
      expect(error).not.toHaveProperty('cause', expect.anything())
      expect(wire.requests).toHaveLength(1)
      expect([retries.warned, retries.failed, retries.counted]).toEqual([[], [], []])
    },
  )

  it('is called off by the caller', async () => {
    wire.answers.push({ hangs: true })
    const off = new AbortController()
    const asked = gemini().ask('chat', prompt, { signal: off.signal })
    await vi.waitUntil(() => wire.requests.length === 1)
    off.abort(new Error('gone'))
    await expect(asked).rejects.toThrow('gone')
    expect(retries.warned).toEqual([])
  })

  it('is asked for with the key as it is now', async () => {
    const keys = ['old', 'new']
    wire.answers.push(good)
    const model = gemini({ apiKey: async () => keys.shift() ?? '' })
    await model.ask('assessment', prompt)
    await model.ask('assessment', prompt)
    expect(wire.requests.map(({ headers }) => headers['x-goog-api-key'])).toEqual(['old', 'new'])
  })

  it('comes from the simulator in the same form', async () => {
    const model = gemini({ baseUrl: parties.environment.GEMINI_URL })
    expect(await model.ask('assessment', prompt)).toMatchObject({ criteria: [{ id: 'depth' }] })
  })
})

describe('embeddings', () => {
  const dimensions = 768
  const vector = (first: number) => ({ values: [first, ...Array<number>(dimensions - 1).fill(2)] })
  const vectors = (count: number): WireAnswer => ({
    body: { embeddings: Array.from({ length: count }, () => vector(3)) },
  })

  it('have length 1, and come in batches of 50', async () => {
    wire.answers.push(vectors(50), vectors(50), vectors(20))
    const { vectors: found } = await gemini().embed(Array<string>(120).fill('text'), 'document')
    expect(found).toHaveLength(120)
    expect(Math.hypot(...(found[119] ?? []))).toBeCloseTo(1, 12)
    const [first] = wire.requests
    expect(first?.path).toBe('/v1beta/models/gemini-embedding-001:batchEmbedContents')
    const { requests } = JSON.parse(first?.body ?? '')
    expect(requests).toHaveLength(50)
    expect(requests[0]).toMatchObject({ taskType: 'RETRIEVAL_DOCUMENT', outputDimensionality: 768 })
    expect(wire.requests).toHaveLength(3)
  })

  it('are made by the model and in the dimensions of the settings, and say so', async () => {
    wire.answers.push({ body: { embeddings: [{ values: [3, 4, ...Array<number>(254).fill(0)] }] } })
    const settings = { embedding: { model: 'gemini-embedding-002', dimensions: 256 } }
    const { vectors, ...by } = await gemini({ settings }).embed(['text'], 'document')
    expect(by).toEqual({ model: 'gemini-embedding-002', dimensions: 256 })
    expect(vectors[0]?.slice(0, 3)).toEqual([0.6, 0.8, 0])
    const [{ path, body } = { path: '', body: '' }] = wire.requests
    expect(path).toBe('/v1beta/models/gemini-embedding-002:batchEmbedContents')
    expect(JSON.parse(body).requests[0].outputDimensionality).toBe(256)
  })

  it('of a question are marked as such', async () => {
    wire.answers.push(vectors(1))
    await gemini().embed(['who?'], 'query')
    expect(JSON.parse(wire.requests[0]?.body ?? '').requests[0].taskType).toBe('RETRIEVAL_QUERY')
  })

  it.each<[string, WireAnswer]>([
    ['too few', vectors(1)],
    ['short ones', { body: { embeddings: [vector(1), { values: [1, 2] }] } }],
    ['one without a direction', { body: { embeddings: [vector(1), { values: Array(768).fill(0) }] } }],
    ['none', { body: {} }],
  ])('are invalid after three times %s', async (_what, answer) => {
    wire.answers.push(answer)
    await expect(gemini().embed(['a', 'b'], 'document')).rejects.toMatchObject({ code: 'invalid_answer' })
    expect(wire.requests).toHaveLength(3)
    expect(retries.warned[0]).toMatch(/^Attempt 1\/3 failed for Embed texts: /)
  })

  it('come after a 500', async () => {
    wire.answers.push(fails(500, 'INTERNAL'), vectors(1))
    expect((await gemini().embed(['a'], 'document')).vectors).toHaveLength(1)
  })

  it('come from the simulator in the same form', async () => {
    const model = gemini({ baseUrl: parties.environment.GEMINI_URL })
    const embedding = await model.embed(['queues', 'queues'], 'document')
    const [near = [], same = []] = embedding.vectors
    expect(near.reduce((sum, value, at) => sum + value * (same[at] ?? 0), 0)).toBeCloseTo(1)
  })
})
