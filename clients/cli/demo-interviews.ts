import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { AssessmentAnswer } from '../../lib/interviews/assessments.ts'
import { type Api, createApi } from './api.ts'
import { dataDir, localCredentials } from './credentials.ts'

const write = (text: string) => void process.stdout.write(text)
const say = (text: string) => write(`   ${text}\n`)

/** Milliseconds that one step may take before the demo gives up. */
const patience = 180_000

/** The model as the simulator serves it; the résumé is read by another one. */
const model = '/gemini/v1beta/models/gemini-flash-latest'

type Mail = { to: string[] | string; subject: string; text: string; last_event: string; tags?: unknown }
type Turn = {
  sequence_no: number
  speaker: 'ai' | 'candidate'
  content: string
  timestamp_sec: number
  is_ai_question: boolean
}
type Context = { api: Api; outside: Outside; interview: string; candidate: string }

const resume = `Amara Invented
Backend engineer

Six years of TypeScript and PostgreSQL. Led the move of a payment platform to AWS Lambda and SQS.
Skills: TypeScript, Node.js, PostgreSQL, AWS, Kubernetes
2019 to 2025: Senior engineer at Examplepay, Lagos
BSc Computer Science, University of Lagos
`

const jobDescription =
  'We look for a backend engineer who builds reliable serverless systems on AWS with TypeScript and PostgreSQL, and who can explain decisions.'

const said: readonly [question: string, answer: string][] = [
  ['Welcome. What have you been working on?', 'I led the move of our payment platform to Lambda and SQS.'],
  [
    'How did you make sure that no payment was lost?',
    'Every message is idempotent by its payment id, and dead-letter queues keep whatever fails so that we can redrive it.',
  ],
  [
    'Tell me about a mistake.',
    'Once a deploy doubled the retries and PostgreSQL ran out of connections. I bounded the pool and wrote the runbook.',
  ],
  [
    'How do you explain such a decision to people who are no engineers?',
    'I draw what a customer would see, with and without it, and put a price on both.',
  ],
]

/** Plays a whole interview against the running local cloud, with everything that goes wrong on the way. */
export async function interviewDemo(): Promise<void> {
  const { url, api_key, simulators, simulators_key } = await localCredentials()
  const api = createApi(url, api_key)
  const outside = createOutsideWorld(simulators, simulators_key)
  await outside.clearFaults()
  const started = performance.now()
  const address = `amara.${Date.now()}@candidates.example`
  const candidate = await meet(api, address)
  const interview = await prepare(api, candidate)
  const context = { api, outside, interview, candidate }
  await invite(context, address)
  await talk(context)
  await assess(context)
  await readMail(context)
  await chat(context)
  await deadLetter(context)
  step('Deleting the interview')
  await api.call('DELETE', `/api/interviews/${interview}`)
  say('gone, with all that was said in it; that it was deleted is kept')
  write(`\nPlayed in ${((performance.now() - started) / 1000).toFixed(0)} s.\n`)
}

function step(title: string): void {
  write(`\n── ${title}\n`)
}

/** The answer of `look` once it is there. Throws after three minutes. */
async function waitFor<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const until = Date.now() + patience
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > until) throw new Error(`Waited three minutes for ${what}`)
    await setTimeout(200)
  }
}

type Outside = ReturnType<typeof createOutsideWorld>

/** The third parties, which are simulated, and what is scripted to go wrong with them. */
function createOutsideWorld(simulators: string, key: string) {
  async function call<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(simulators + path, {
      method,
      headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} of the simulators: ${response.status} ${text}`)
    return JSON.parse(text) as T
  }
  return {
    fault: (fault: object) => call('POST', '/faults', fault),
    clearFaults: () => call('DELETE', '/faults'),
    mails: () => call<Mail[]>('GET', '/resend/outbox'),
    /** Sends one signed webhook and answers the status that the API gave it. */
    agent: (event: object) => call<{ id: string; status: number }>('POST', '/livekit/agent', event),
    room: (event: object) => call<{ id: string; status: number }>('POST', '/livekit/send', event),
  }
}

async function meet(api: Api, email: string): Promise<string> {
  step('A candidate, and a résumé')
  const { body } = await api.call<{ data: { id: string } }>('POST', '/api/candidates', {
    full_name: 'Amara Invented',
    email,
  })
  const { id } = body.data
  say(`candidate ${id}`)
  const size = Buffer.byteLength(resume)
  const file = { filename: 'resume.txt', size, content_type: 'text/plain' }
  const created = await api.call<{ upload: { url: string; headers: Record<string, string> } }>(
    'POST',
    `/api/candidates/${id}/resume`,
    file,
  )
  const { url, headers } = created.body.upload
  const put = await fetch(url, { method: 'PUT', headers, body: resume })
  if (!put.ok) throw new Error(`The résumé was refused: ${put.status}`)
  const read = await waitFor('the résumé', async () => {
    type Resume = { state: string; extracted?: { skills: string[] } }
    const { body } = await api.call<Resume>('GET', `/api/candidates/${id}/resume`)
    if (body.state === 'failed') throw new Error('The résumé could not be read')
    return body.state === 'completed' ? body : undefined
  })
  say(`résumé read; skills: ${read.extracted?.skills.join(', ')}`)
  return id
}

async function prepare(api: Api, candidate: string): Promise<string> {
  step('An interview, its plan, and a token to join')
  const { body } = await api.call<{ data: { id: string } }>('POST', '/api/interviews', {
    candidate_id: candidate,
    role_title: 'Backend engineer',
    job_description: jobDescription,
    recruiter_email: 'recruiter@insighta.example',
    scheduled_at: new Date(Date.now() + 86_400_000).toISOString(),
  })
  const { id } = body.data
  type Plan = { plan: { questions: { question: string }[] } }
  const { plan } = (await api.call<Plan>('POST', `/api/interviews/${id}/questions`, { kind: 'plan' })).body
  say(`planned: ${plan.questions[0]?.question} (and ${plan.questions.length - 1} more)`)
  const confirmed = await api.call<{ data: { state: string } }>('POST', `/api/interviews/${id}/confirm`)
  say(`interview ${id} is ${confirmed.body.data.state}`)
  const token = await api.call<{ url: string; room: string }>('POST', `/api/interviews/${id}/join-token`, {
    as: 'agent',
  })
  say(`the agent may join the room ${token.body.room}`)
  return id
}

async function invite({ api, outside, interview }: Context, address: string): Promise<void> {
  step('The invitation')
  await api.call('POST', `/api/interviews/${interview}/invite`, {})
  const mail = await mailTo(outside, address)
  say(`e-mail to the candidate: "${mail.subject}"`)
  const state = await waitFor('the word that it was delivered', async () => {
    const { data } = (
      await api.call<{ data: { kind: string; state: string }[] }>(
        'GET',
        `/api/interviews/${interview}/emails`,
      )
    ).body
    return data.find((email) => email.kind === 'invite' && email.state === 'delivered')?.state
  })
  say(`Resend's webhook says: ${state}`)
}

function mailTo(outside: Outside, address: string): Promise<Mail> {
  return waitFor('an e-mail', async () =>
    (await outside.mails()).find(({ to }) => [to].flat().some((each) => each.includes(address))),
  )
}

async function talk({ api, outside, interview }: Context): Promise<void> {
  step('The interview: signed webhooks, some lost, some doubled, out of order')
  await outside.room({ event: 'room_started', room: interview })
  const turns = said.flatMap(([question, answer], at): Turn[] => [
    {
      sequence_no: 2 * at + 1,
      speaker: 'ai',
      content: question,
      timestamp_sec: 30 * at,
      is_ai_question: true,
    },
    {
      sequence_no: 2 * at + 2,
      speaker: 'candidate',
      content: answer,
      timestamp_sec: 30 * at + 12,
      is_ai_question: false,
    },
  ])
  const lost = new Set([3, 6])
  const delivered = [...turns.slice(4), ...turns.slice(0, 4)].filter(
    ({ sequence_no }) => !lost.has(sequence_no),
  )
  let sent = 0
  for (const turn of delivered) {
    const event = {
      type: 'turn',
      data: { interview_id: interview, ...turn },
      id: `${interview}-${turn.sequence_no}`,
    }
    for (const copy of turn.sequence_no % 3 === 1 ? [event, event] : [event]) {
      const { status } = await outside.agent(copy)
      if (status !== 202) throw new Error(`A webhook was answered ${status}`)
      sent++
    }
  }
  say(`${turns.length} turns were spoken, ${sent} webhooks sent, ${lost.size} turns never`)
  const rows = await waitFor('the turns', async () => {
    const transcript = await transcriptOf(api, interview)
    return transcript.total_turns === delivered.length ? transcript : undefined
  })
  say(`the transcript has ${rows.total_turns} turns, each once (source: ${rows.source})`)
  await outside.fault({ path: model, status: 429, times: 2, retry_after: 2 })
  say('from now on Gemini answers 429: "too many requests", twice')
  await outside.agent({ type: 'session.completed', data: { interview_id: interview, transcript: turns } })
  await outside.room({ event: 'room_finished', room: interview })
  const whole = await waitFor('the whole transcript', async () => {
    const transcript = await transcriptOf(api, interview)
    return transcript.source === 'merged' ? transcript : undefined
  })
  say(
    `the agent's own account came: ${whole.total_turns} turns (source: ${whole.source}), the lost ones are back`,
  )
  for (const { timestamp, speaker_label, content } of whole.turns.slice(0, 4)) {
    say(`  [${timestamp}] ${speaker_label}: ${content}`)
  }
}

type Transcript = {
  source: string
  total_turns: number
  turns: { timestamp: string; speaker_label: string; content: string }[]
}

async function transcriptOf(api: Api, interview: string): Promise<Transcript> {
  return (await api.call<Transcript>('GET', `/api/interviews/${interview}/transcript`)).body
}

function result(content: AssessmentAnswer['content']): string {
  if (!content) return 'no assessment'
  const { recommendation, overall_score, coverage } = content
  return `recommendation ${recommendation ?? 'none'}, overall ${overall_score ?? 'none'} of 100, ${coverage.assessed} of ${coverage.criteria} criteria assessed`
}

async function assess({ api, interview }: Context): Promise<void> {
  step('The assessment, through the storm')
  const { content, completed_at } = await assessed(api, interview, ['completed'])
  for (const line of await retries()) say(line)
  say(`completed at ${completed_at}`)
  say(`${content?.summary}`)
  say(result(content))
  for (const { title, score, evidence } of content?.criteria ?? []) {
    say(
      `  ${title}: ${score ?? 'not assessed'} (evidence: ${evidence.map(({ reason }) => reason).join('; ')})`,
    )
  }
}

/** What the function that asks Gemini logged of its last retries. */
async function retries(): Promise<string[]> {
  const folder = join(dataDir(), 'logs')
  const file = (await readdir(folder)).find((name) => name.endsWith('-Gemini.log'))
  const log = file === undefined ? '' : await readFile(join(folder, file), 'utf8')
  return [...log.matchAll(/"message":"(Attempt \d\/\d failed for Generate assessment[^"]*)"/g)]
    .map(([, message = '']) => message)
    .slice(-2)
}

function assessed(
  api: Api,
  interview: string,
  states: readonly AssessmentAnswer['state'][],
  generation = 1,
): Promise<AssessmentAnswer> {
  return waitFor(`an assessment that is ${states.join(' or ')}`, async () => {
    const { body } = await api.call<AssessmentAnswer>('GET', `/api/interviews/${interview}/assessment`)
    return states.includes(body.state) && body.generation >= generation ? body : undefined
  })
}

async function readMail({ outside, interview }: Context): Promise<void> {
  step('The recruiter is told')
  const mail = await waitFor('the e-mail', async () =>
    (await outside.mails()).find(({ to, text }) => {
      return [to].flat().some((each) => each.includes('recruiter@')) && text.includes(interview)
    }),
  )
  say(`e-mail to the recruiter: "${mail.subject}"`)
}

async function chat({ api, interview }: Context): Promise<void> {
  step('A question about the interview')
  for (const question of ['How are lost payments prevented?', 'What is the favourite colour of the moon?']) {
    type Asked = {
      answer: {
        content: string
        found: boolean
        citations: { timestamp: string; speaker_label: string; content: string }[]
      }
    }
    const { answer } = (await api.call<Asked>('POST', `/api/interviews/${interview}/ask`, { question })).body
    say(`"${question}"`)
    say(`  ${answer.content.replaceAll('\n', ' ')}`)
    for (const { timestamp, speaker_label, content } of answer.citations) {
      say(`    cited [${timestamp}] ${speaker_label}: ${content}`)
    }
  }
}

async function deadLetter({ api, outside, interview }: Context): Promise<void> {
  step('Gemini dies: a dead letter, and its redrive')
  await outside.fault({ path: model, status: 500, times: 1000 })
  const { body } = await api.call<AssessmentAnswer>(
    'POST',
    `/api/interviews/${interview}/assessment/generate`,
  )
  say('another assessment is asked for; each delivery tries three times, and comes back later each time')
  const failed = await assessed(api, interview, ['failed'], body.generation)
  say(`failed: ${failed.failure?.message}`)
  say(`the recruiter still has the one before: ${result(failed.content)}`)
  type Letters = {
    data: { id: string; error: string; receive_count: number; owner: { id: string } | null }[]
  }
  const letter = await waitFor('the dead letter', async () => {
    const { data } = (await api.call<Letters>('GET', '/api/ops/dead-letters/assessments')).body
    return data.find(({ owner }) => owner?.id === interview)
  })
  say(`dead letter ${letter.id}, delivered ${letter.receive_count} times: ${letter.error}`)
  await outside.clearFaults()
  say('Gemini is back; an operator redrives the letter')
  await api.call('POST', '/api/ops/dead-letters/assessments/redrive', { ids: [letter.id] })
  const again = await assessed(api, interview, ['completed'], body.generation)
  say(`${again.state}: ${result(again.content)}`)
}
