import { setTimeout as wait } from 'node:timers/promises'
import type { Cloud } from '../../infra/local/cloud.ts'
import { retryRead, type Sql } from '../../lib/platform/db.ts'
import { apiOf } from '../e2e/cloud.ts'
import { interviewsOf, modelPath, outsideOf, type Turn, turnEvent, turnsOf } from '../e2e/recruiting.ts'
import { environmentsOf, killEnvironment } from '../support/environments.ts'
import type { Hour, HourFault, HourInterview, Service } from './interview-plan.ts'
import { type Outcome, outcomeViolations } from './interview-verify.ts'
import type { Random } from './random.ts'

const rubric = [
  { id: 'systems', title: 'Distributed systems', weight: 2 },
  { id: 'data', title: 'Databases', weight: 1 },
  { id: 'team', title: 'Teamwork', weight: 1 },
  { id: 'care', title: 'Care', weight: 1 },
]

const subjects = ['a queue', 'a ledger', 'an index', 'a runbook', 'a migration', 'a cache']

const resumeText =
  'Ada Example\nEngineer\n\nSix years of TypeScript and PostgreSQL on AWS.\nSkills: TypeScript, SQL\n'

/** Ms after the hour within which everything has to be settled: a few runs of the sweep, each of a minute. */
const settleMs = 420_000

export type HourResult = { problems: string[]; seconds: number; retried: number }

/** Plays the interviews while things go wrong, mends what only an operator can, and looks at what came of it all. */
export async function playHour(
  { cloud, sql, random, say }: { cloud: Cloud; sql: Sql; random: Random; say(line: string): void },
  hour: Hour,
): Promise<HourResult> {
  const outside = outsideOf(cloud.credentials)
  const problems: string[] = []
  const { call, bare } = patientApi(cloud)
  const interviews = interviewsOf(call)
  const started = performance.now()
  const until = (at: number) => wait(Math.max(0, started + at - performance.now()))

  async function play(plan: HourInterview, number: number): Promise<Played> {
    await until(plan.at)
    const address = `recruiter-${number}@people.example`
    const candidate = await interviews.meet(`Ada Example ${number}`, `candidate-${number}@people.example`)
    if (plan.resume) await upload(call, candidate)
    const id = await interviews.draft(candidate, { recruiter_email: address, rubric })
    const turns = turnsOf(
      Array.from({ length: plan.exchanges }, (_, n) => [
        `Tell me about ${subjects[n % subjects.length]}.`,
        `I built ${subjects[n % subjects.length]} with five people, measured it for ${n + 2} months, and wrote down what failed and why it failed.`,
      ]),
    )
    const told = (turn: Turn) => outside.agent(turnEvent(id, turn))
    for (const turn of turns) {
      if (plan.lost.includes(turn.sequence_no)) continue
      await told(turn)
      if (plan.doubled.includes(turn.sequence_no)) await told(turn)
    }
    await outside.agent({ type: 'session.completed', data: { interview_id: id, transcript: turns } })
    if (plan.late) {
      const [last] = turnsOf([['And lastly?', 'That I thanked them.']])
      await told({ ...last!, sequence_no: turns.length + 1, timestamp_sec: turns.length * 20 })
    }
    return { id, candidate, address, resume: plan.resume, spoken: turns.length + (plan.late ? 1 : 0) }
  }

  const striking = hour.faults.map(async (fault) => {
    await until(fault.at)
    await strike({ cloud, sql, random, outside }, fault)
  })
  const outcomes = await Promise.allSettled(hour.interviews.map(play))
  const played = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') problems.push(`an interview could not be held: ${outcome.reason}`)
  }
  for (const strike of await Promise.allSettled(striking)) {
    if (strike.status === 'rejected') problems.push(`a fault could not strike: ${strike.reason}`)
  }
  await outside.calm()
  say(`  the hour is over after ${Math.round((performance.now() - started) / 1000)} s`)
  const retried = (await retryRefused(call)) + (await redrive(call, () => true))
  problems.push(...(await leftOver({ cloud, sql, call }, performance.now() + settleMs)))
  for (const each of played) problems.push(...outcomeViolations(await outcomeOf(each)))
  problems.push(...bare)
  return { problems, seconds: (performance.now() - started) / 1000, retried }

  async function outcomeOf({ id, candidate, address, resume, spoken }: Played): Promise<Outcome> {
    const { turns } = await interviews.transcript(id)
    const emails = (await call(`GET /api/interviews/${id}/emails`)).body.data
    return {
      id,
      rubric: rubric.map((criterion) => criterion.id),
      turns: turns.map((turn: { id: string }) => turn.id),
      spoken,
      assessment: await interviews.assessment(id),
      mailKeys: (await outside.mails(address)).map(({ idempotency_key }) => idempotency_key),
      emails: emails.map((email: { state: string }) => email.state),
      resume: resume ? (await call(`GET /api/candidates/${candidate}/resume`)).body.state : undefined,
    }
  }
}

type Played = { id: string; candidate: string; address: string; resume: boolean; spoken: number }

type Call = ReturnType<typeof apiOf>

/**
 * The API as a patient client has it: 503 and 429 are asked again after a second. `bare` names what no answer may be:
 * an error that is neither, and an answer that is not as described.
 */
function patientApi({ url, credentials }: Cloud): { call: Call; bare: string[] } {
  const once = apiOf(url, credentials.api_key)
  const bare: string[] = []
  const call: Call = async (target, options) => {
    for (let attempt = 1; ; attempt++) {
      const answer = await once(target, options)
      const { status } = answer
      if (status < 500 && status !== 429) return answer
      if (status !== 503 && status !== 429) bare.push(`${target}: ${status} ${answer.text}`)
      if (attempt === 60) throw new Error(`${target}: ${status} for a minute`)
      await wait(1000)
    }
  }
  return { call, bare }
}

async function upload(call: Call, candidate: string): Promise<void> {
  const file = { filename: 'resume.txt', size: Buffer.byteLength(resumeText), content_type: 'text/plain' }
  const { body } = await call(`POST /api/candidates/${candidate}/resume`, { body: file })
  const { url, headers } = body.upload
  const put = await fetch(url, { method: 'PUT', headers, body: resumeText })
  if (!put.ok) throw new Error(`The résumé was refused: ${put.status}`)
}

type Struck = { cloud: Cloud; sql: Sql; random: Random; outside: ReturnType<typeof outsideOf> }

const paths: Record<Service, string> = { gemini: '/gemini', resend: '/resend/emails' }

async function strike({ cloud, sql, random, outside }: Struck, fault: HourFault): Promise<void> {
  switch (fault.kind) {
    case 'status': {
      const { service, status, times, retryAfter } = fault
      await outside.fault({
        path: paths[service],
        status,
        times,
        ...(retryAfter !== undefined && { retry_after: retryAfter }),
      })
      return
    }
    case 'refused': {
      await outside.fault({ path: paths[fault.service], times: 1_000_000, ...refusal(fault) })
      await wait(fault.ms)
      // With it go the faults that were scripted behind it and have not struck.
      await outside.calm()
      return
    }
    case 'hang':
      await outside.fault({ path: paths[fault.service], delay_ms: fault.ms, times: fault.times })
      return
    case 'poor answer':
      await outside.fault({ path: modelPath, status: 200, times: fault.times, body: poorAnswer(fault.form) })
      return
    case 'kill': {
      const pids = await environmentsOf(`-${fault.worker}`)
      if (pids.length > 0) killEnvironment(random.pick(pids))
      return
    }
    case 'end sessions':
      await sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name ilike 'insighta-%' and pid <> pg_backend_pid()`.catch(() => {})
      return
    case 'database outage':
      await cloud.database.stop()
      await wait(fault.ms)
      await cloud.database.start()
  }
}

/** As Google words a key that is not valid, with the status 400; every other as the simulators do. */
function refusal({ status, service }: { status: number; service: Service }): object {
  if (status !== 400 || service !== 'gemini') return { status }
  const details = [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID' }]
  const message = 'API key not valid. Please pass a valid API key.'
  return { status, body: { error: { code: 400, message, status: 'INVALID_ARGUMENT', details } } }
}

/** What a model may say instead of a whole assessment. */
function poorAnswer(form: 'part' | 'foreign' | 'cut' | 'nonsense'): object {
  const evidence = [{ turn_id: '00000000-0000-5000-8000-000000000000', reason: 'It says so.' }]
  const criterion = {
    id: 'systems',
    title: 'Systems',
    score: 95,
    confidence: 1,
    justification: 'Good.',
    evidence,
  }
  const assessment = {
    summary: 'Good in every way.',
    recommendation: 'strong_yes',
    overall_score: 95,
    criteria: form === 'foreign' ? rubric.map(({ id, title }) => ({ ...criterion, id, title })) : [criterion],
    strengths: [],
    weaknesses: [],
    highlights: [],
    red_flags: [],
  }
  const whole = form === 'nonsense' ? 'I cannot assess people.' : JSON.stringify(assessment)
  const text = form === 'cut' ? whole.slice(0, whole.length / 2) : whole
  const finishReason = form === 'cut' ? 'MAX_TOKENS' : 'STOP'
  return { candidates: [{ content: { role: 'model', parts: [{ text }] }, finishReason, index: 0 }] }
}

/** What an operator does once both third parties take the keys again. Returns how much there was. */
async function retryRefused(call: Call): Promise<number> {
  let retried = 0
  for (const service of ['gemini', 'resend']) {
    for (;;) {
      const { status, body, text } = await call('POST /api/ops/refused/retry', { body: { service } })
      if (status >= 300) throw new Error(`POST /api/ops/refused/retry: ${status} ${text}`)
      for (const count of Object.values<number>(body.retried)) retried += count
      if (body.remaining === 0) break
    }
  }
  return retried
}

/** Waits until nothing is under way: no message, no row that waits for a worker, no dead letter. */
async function leftOver(
  { cloud, sql, call }: { cloud: Cloud; sql: Sql; call: Call },
  deadline: number,
): Promise<string[]> {
  for (;;) {
    const messages = cloud.sqs.queues().flatMap(({ name }) => {
      const { ready = [], delayed = [], inFlight = [] } = cloud.sqs.inspect(name) ?? {}
      const count = ready.length + delayed.length + inFlight.length
      return count > 0 ? [`${count} messages left in ${name}`] : []
    })
    const rows = await retryRead(
      () => sql<{ what: string }[]>`
        select 'an assessment is ' || state as what from assessments where state in ('pending', 'generating')
        union all select 'an e-mail is ' || state from emails where state in ('queued', 'sending')
        union all select 'a résumé is ' || state from resumes where state in ('pending', 'processing')
        union all select 'an unsent message for ' || queue from outbox
        union all select 'a dead letter of ' || queue || ': ' || error from dead_letters where state = 'open'`,
    )
    const left = [...messages, ...rows.map(({ what }) => what)]
    if (left.length === 0) return []
    if (performance.now() > deadline) return left
    await redrive(call, ({ cause }) => cause !== 'dependency')
    await wait(500)
  }
}

type Letter = { id: string; cause: string }

/**
 * Redrives the open dead letters that are chosen. Returns how many. Those of a dependency that was down are the
 * sweep's, until they have used up its redrives, as in an hour in which everything fails: then they are the operator's.
 */
async function redrive(call: Call, chosen: (letter: Letter) => boolean): Promise<number> {
  let redriven = 0
  for (const queue of ['assessments', 'emails', 'resumes']) {
    const { body } = await call(`GET /api/ops/dead-letters/${queue}?state=open&limit=100`)
    const ids = body.data.filter(chosen).map(({ id }: Letter) => id)
    if (ids.length > 0) await call(`POST /api/ops/dead-letters/${queue}/redrive`, { body: { ids } })
    redriven += ids.length
  }
  return redriven
}
