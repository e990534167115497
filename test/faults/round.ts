import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Api } from '../../clients/cli/api.ts'
import type { Cloud } from '../../infra/local/cloud.ts'
import { retryRead, type Sql } from '../../lib/platform/db.ts'
import type { FaultFile } from './files.ts'
import type { Injector } from './inject.ts'
import type { Fault } from './plan.ts'
import type { Random } from './random.ts'
import { violations } from './verify.ts'

export type Round = {
  cloud: Cloud
  sql: Sql
  api: Api
  injector: Injector
  folder: string
  files: readonly FaultFile[]
  faults: readonly Fault[]
  random: Random
}

export type RoundResult = { problems: string[]; seconds: number; retries: number }

/** Deliveries come back within a minute and a half, the sweep runs every minute, and each may be needed more than once. */
const boundMs = 300_000
const retriesAtMost = 3

/** Uploads the files at once, lets the faults strike, waits until all is quiet, and looks for contradictions. */
export async function runRound(round: Round): Promise<RoundResult> {
  const { api, sql, injector, files, folder } = round
  const started = performance.now()
  const deadline = started + boundMs
  const paths = files.map((_, index) => join(folder, `file-${index}.csv`))
  for (const [index, { bytes }] of files.entries()) await writeFile(paths[index]!, bytes)
  const ids = await Promise.all(paths.map((path) => api.upload(path, 'people.csv')))

  const over = new AbortController()
  const striking = strikeAll(round, ids, over.signal).then(
    () => [],
    (error: unknown) => [`a fault could not strike: ${String(error)}`],
  )
  let retries = 0
  const broken: string[] = []
  try {
    retries = await ended(api, ids, deadline)
  } catch (error) {
    if (!(error instanceof StuckError)) throw error
    broken.push(error.message)
  } finally {
    over.abort()
    broken.push(...(await striking))
    await injector.calm()
  }
  broken.push(...(await leftOver(round, deadline)))
  if (broken.length > 0) return { problems: broken, seconds: secondsSince(started), retries }
  const imports = await Promise.all(
    ids.map(async (id, index) => ({
      id,
      file: files[index]!,
      report: await api.report(id),
      rejects: await rejectsOf(api, id),
    })),
  )
  const problems = await violations(sql, imports)
  return { problems, seconds: secondsSince(started), retries }
}

const secondsSince = (started: number) => (performance.now() - started) / 1000

/** Thrown when something does not come to its end within the bound. */
class StuckError extends Error {}

/** Lets each fault strike at its moment. Those whose moment never came strike not at all. */
async function strikeAll(round: Round, ids: readonly string[], over: AbortSignal): Promise<void> {
  const { injector, faults, random, files } = round
  const uploaded = performance.now()
  const total = files.reduce((sum, { rows }) => sum + Math.ceil(rows / 1000), 0)
  const left = new Set(faults)
  const running = new Set<Promise<void>>()
  let lastSlice: number | undefined
  while (left.size > 0 && !over.aborted) {
    const { done, finishing } = (await progress(round.sql, ids)) ?? { done: 0, finishing: false }
    if (finishing) lastSlice ??= performance.now()
    for (const fault of left) {
      const { when } = fault
      const since = 'share' in when ? undefined : when.after === 'upload' ? uploaded : lastSlice
      const due =
        'share' in when
          ? done >= when.share * total
          : since !== undefined && performance.now() >= since + when.ms
      if (!due) continue
      left.delete(fault)
      const strike = untilDone(() => injector.strike(fault, ids, random)).finally(() =>
        running.delete(strike),
      )
      running.add(strike)
    }
    await wait(5)
  }
  await Promise.all(running)
}

/** A fault that itself needs the database while another has stopped it is tried until it gets through. */
async function untilDone(strike: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await strike()
    } catch (error) {
      if (attempt === 50) throw error
      await wait(100)
    }
  }
}

/** Undefined while the database is away. */
async function progress(
  sql: Sql,
  ids: readonly string[],
): Promise<{ done: number; finishing: boolean } | undefined> {
  const [row] = await sql<{ done: number; finishing: boolean }[]>`
    select (
      select count(*) from import_slices where state = 'done' and import_id in (
        select value::uuid from jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))
    ) as done, exists (
      select from imports where state in ('finishing', 'completed') and id in (
        select value::uuid from jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb))
    ) as finishing`.catch(() => [])
  return row
}

/**
 * Waits for the end of every import, and retries by the API what ended with failures. Answers how often. Throws
 * StuckError.
 */
async function ended(api: Api, ids: readonly string[], deadline: number): Promise<number> {
  const retries = await Promise.all(
    ids.map(async (id) => {
      let last = 'nothing'
      for (let retries = 0; ; ) {
        if (performance.now() > deadline) {
          throw new StuckError(`import ${id} has not ended in ${boundMs / 1000} s; the API last said ${last}`)
        }
        // The API has its own troubles while the database is away.
        const report = await api.report(id).catch((error: unknown) => {
          last = String(error)
        })
        if (report) last = JSON.stringify(report)
        const again = report?.state === 'completed_with_failures' || report?.failure?.code === 'split_failed'
        if (report?.finished_at && !(again && retries < retriesAtMost)) return retries
        if (again && (await retried(api, id))) retries++
        await wait(100)
      }
    }),
  )
  return retries.reduce((a, b) => a + b, 0)
}

async function retried(api: Api, id: string): Promise<boolean> {
  return api.call('POST', `/api/imports/${id}/retry`).then(
    () => true,
    () => false,
  )
}

/**
 * Waits until no queue holds a message and no dead letter asks for anybody, since what comes late must change
 * nothing. Answers what is left over at the deadline.
 */
async function leftOver({ cloud, sql }: Round, deadline: number): Promise<string[]> {
  for (;;) {
    const messages = cloud.sqs.queues().flatMap(({ name }) => {
      const { ready = [], delayed = [], inFlight = [] } = cloud.sqs.inspect(name) ?? {}
      const count = ready.length + delayed.length + inFlight.length
      return count > 0 ? [`${count} messages left in ${name}`] : []
    })
    const letters = await retryRead(
      () => sql<{ queue: string; error: string }[]>`
        select queue, error from dead_letters where state = 'open'`,
    )
    const left = [...messages, ...letters.map(({ queue, error }) => `a dead letter of ${queue}: ${error}`)]
    if (left.length === 0 || performance.now() > deadline) return left
    await wait(200)
  }
}

async function rejectsOf(api: Api, id: string): Promise<string> {
  const { headers } = await api.call('GET', `/api/imports/${id}/rejects`)
  const answer = await fetch(headers.get('location') ?? '')
  if (!answer.ok) throw new Error(`The skipped rows were refused: ${answer.status}`)
  return answer.text()
}
