import { randomUUID } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type LogFile, openLogFile } from '../logs.ts'
import type { Metrics } from '../metrics.ts'
import {
  type Environment,
  type FunctionDefinition,
  type Invocation,
  type InvokeResult,
  startEnvironment,
} from './environment.ts'
import { LambdaError } from './errors.ts'
import { startReaper } from './reaper.ts'
import { endLines, startLine, traceHeader } from './report.ts'

export type { FunctionDefinition, InvokeResult } from './environment.ts'

/** The largest event of a synchronous invocation, in bytes. */
const requestLimit = 6 * 1024 * 1024

export type LogLine = { functionName: string; line: string; stream: 'stdout' | 'stderr' | 'platform' }

export type LambdaOptions = {
  region: string
  accountId: string
  /** `<logDir>/<function>.log` holds what CloudWatch Logs would. */
  logDir: string
  /** Endpoints and credentials, read when an environment starts; they win over the function's own. */
  platformEnvironment(): Record<string, string>
  /** Concurrent executions of the functions without a reservation together: 50. */
  maxConcurrency?: number
  /** Environments whose init may run at the same time: as many as there are cores, at least 2. */
  maxStarting?: number
  /** Milliseconds after which an idle environment is stopped: 5 minutes. */
  idleMs?: number
  /** Milliseconds an init may take: 10 s. */
  initTimeoutMs?: number
  metrics?: Metrics
  onLog?(line: LogLine): void
}

export type InvokeOptions = {
  /** Ends the wait; like on AWS an invocation that has begun runs on. */
  signal?: AbortSignal
}

export type Lambda = {
  /** A second definition of a name replaces the first: its environments end when they are done. */
  define(definition: FunctionDefinition): void
  names(): string[]
  arnOf(name: string): string
  /**
   * Runs the function with a JSON payload of up to 6 MiB. Rejects with a LambdaError when it could not run
   * at all (isTooManyRequests: concurrency is exhausted); a function that ran and failed is a result.
   */
  invoke(name: string, payload: string, options?: InvokeOptions): Promise<InvokeResult>
  /** Kills every environment; invocations in flight end with Runtime.ExitError. */
  close(): Promise<void>
}

type Pending = {
  requestId: string
  /** When it began to wait, as performance.now tells time. */
  since: number
  payload: string
  settle(result: InvokeResult): void
  reject(error: unknown): void
}

type Slot = {
  environment: Environment | undefined
  state: 'starting' | 'busy' | 'finishing' | 'idle'
  retired: boolean
  idleSince: number
  idleTimer?: NodeJS.Timeout
  /** Writes the last lines of an invocation, once what the function itself wrote has been read. */
  report?: () => void
}

type FunctionState = {
  definition: FunctionDefinition
  waiting: Pending[]
  slots: Set<Slot>
  /** The most recently used last. */
  idle: Slot[]
  inFlight: number
  log: LogFile
}

/**
 * A local Lambda: one process per execution environment, reused while it lives, most recently used first.
 * An invocation without a free environment takes the next one that is free or has started.
 */
export function createLambda(options: LambdaOptions): Lambda {
  const maxConcurrency = options.maxConcurrency ?? 50
  // Fifty Node.js processes starting at once on two cores would all miss the limit of their init.
  const maxStarting = options.maxStarting ?? Math.max(2, availableParallelism())
  const idleMs = options.idleMs ?? 5 * 60_000
  const functions = new Map<string, FunctionState>()
  const stopping = new Set<Promise<unknown>>()
  const reaper = startReaper()
  let closed = false

  const arnOf = (name: string) => `arn:aws:lambda:${options.region}:${options.accountId}:function:${name}`
  const all = () => [...functions.values()]
  const slotsOfAll = () => all().flatMap((state) => [...state.slots])

  function define(definition: FunctionDefinition) {
    const state = functions.get(definition.name)
    if (state === undefined) {
      const log = openLogFile(join(options.logDir, `${definition.name}.log`))
      functions.set(definition.name, {
        definition,
        waiting: [],
        slots: new Set(),
        idle: [],
        inFlight: 0,
        log,
      })
      return
    }
    state.definition = definition
    for (const slot of state.slots) slot.retired = true
    for (const slot of state.idle.splice(0)) stop(slot)
  }

  async function invoke(name: string, payload: string, { signal }: InvokeOptions = {}) {
    const state = functions.get(name)
    if (closed) throw new LambdaError('ServiceException', 'Lambda is shutting down')
    if (state === undefined) {
      throw new LambdaError('ResourceNotFoundException', `Function not found: ${arnOf(name)}`)
    }
    signal?.throwIfAborted()
    const size = Buffer.byteLength(payload)
    if (size > requestLimit) {
      const message = `${size} byte payload is too large for the RequestResponse invocation type (limit ${requestLimit} bytes)`
      throw new LambdaError('RequestTooLargeException', message)
    }
    if (isExhausted(state)) {
      measure(state, 'Throttles', 1)
      throw new LambdaError('TooManyRequestsException', 'Rate Exceeded.')
    }
    state.inFlight++
    measure(state, 'ConcurrentExecutions', state.inFlight)
    const result = await new Promise<InvokeResult>((resolve, reject) => {
      const done = () => {
        state.inFlight--
        signal?.removeEventListener('abort', abort)
      }
      const pending: Pending = {
        requestId: randomUUID(),
        since: performance.now(),
        payload,
        settle(result) {
          done()
          resolve(result)
        },
        reject(error) {
          done()
          reject(error)
        },
      }
      function abort() {
        const place = state?.waiting.indexOf(pending) ?? -1
        if (place >= 0) {
          state?.waiting.splice(place, 1)
          pending.reject(signal?.reason)
        } else reject(signal?.reason)
      }
      signal?.addEventListener('abort', abort, { once: true })
      state.waiting.push(pending)
      schedule()
    })
    measure(state, 'Invocations', 1)
    measure(state, 'Errors', result.functionError === undefined ? 0 : 1)
    return result
  }

  /** An account whose quota has room for every reservation beside what the others share. */
  function isExhausted(state: FunctionState): boolean {
    const reserved = state.definition.reservedConcurrency
    if (reserved !== undefined) return state.inFlight >= reserved
    let free = maxConcurrency
    for (const { definition, inFlight } of functions.values()) {
      if (definition.reservedConcurrency === undefined) free -= inFlight
    }
    return free <= 0
  }

  /** Gives waiting invocations to idle environments, and starts as many more as are missing. */
  function schedule() {
    if (closed) return
    for (const state of functions.values()) {
      while (state.waiting.length > 0 && state.idle.length > 0) run(state, state.idle.pop()!)
    }
    let starting = slotsOfAll().filter((slot) => slot.state === 'starting').length
    // One start a function and round, so that a burst on one does not keep the others waiting.
    for (let found = true; found; ) {
      found = false
      for (const state of functions.values()) {
        if (missingIn(state) <= 0) continue
        if (starting >= maxStarting || !makeRoom()) return
        starting++
        found = true
        start(state)
      }
    }
  }

  /**
   * Invocations that no environment will take soon: those that start or have just answered take one each, and
   * those at work get a moment to end.
   */
  function missingIn(state: FunctionState): number {
    const slots = [...state.slots]
    const coming = slots.filter(
      (slot) => slot.state === 'starting' || (slot.state === 'finishing' && !slot.retired),
    )
    const tired = performance.now() - patienceMs
    const atWork = slots.some((slot) => slot.state === 'busy' && !slot.retired)
    const late = atWork ? state.waiting.filter(({ since }) => since <= tired) : state.waiting
    if (late.length < state.waiting.length) lookAgain()
    return late.length - coming.length
  }

  let looking: NodeJS.Timeout | undefined

  function lookAgain() {
    looking ??= setTimeout(() => {
      looking = undefined
      schedule()
    }, patienceMs)
  }

  /** At most maxConcurrency processes: the one idle for longest makes way. False when none is idle. */
  function makeRoom(): boolean {
    const reserved = all().reduce((sum, state) => sum + (state.definition.reservedConcurrency ?? 0), 0)
    if (slotsOfAll().length < Math.max(maxConcurrency, reserved)) return true
    const oldest = all()
      .flatMap((state) => state.idle.slice(0, 1))
      .reduce<Slot | undefined>((a, b) => (a !== undefined && a.idleSince <= b.idleSince ? a : b), undefined)
    if (oldest === undefined) return false
    stop(oldest)
    return true
  }

  function start(state: FunctionState) {
    const { definition } = state
    const slot: Slot = { environment: undefined, state: 'starting', retired: false, idleSince: 0 }
    state.slots.add(slot)
    const started = startEnvironment({
      definition,
      region: options.region,
      platformEnvironment: options.platformEnvironment(),
      initTimeoutMs: options.initTimeoutMs ?? 10_000,
      reaper,
      onLine(line, stream) {
        writeLog(state, line, stream)
        if (stream === 'stdout') options.metrics?.recordEmf(line)
      },
      onFree(environment) {
        slot.report?.()
        slot.environment = environment
        slot.state = 'idle'
        slot.idleSince = performance.now()
        if (closed || slot.retired) stop(slot)
        else {
          state.idle.push(slot)
          slot.idleTimer = setTimeout(() => stop(slot), idleMs).unref()
        }
        schedule()
      },
      onExit(_, initError) {
        slot.report?.()
        forget(state, slot)
        // Only one invocation learns of it; the others get an environment that may do better.
        if (initError !== undefined) failInit(state, initError)
        schedule()
      },
    }).then(
      (environment) => {
        slot.environment = environment
        if (closed) return environment.stop()
      },
      (error: unknown) => {
        forget(state, slot)
        const errorMessage = error instanceof Error ? error.message : String(error)
        const payload = JSON.stringify({ errorType: 'Runtime.Unknown', errorMessage })
        failInit(state, { payload, functionError: 'Unhandled' })
      },
    )
    track(started)
  }

  function failInit(state: FunctionState, result: InvokeResult) {
    const pending = state.waiting.shift()
    if (pending === undefined) return
    writeLog(state, `INIT_REPORT\tPhase: init\tStatus: error\t${result.payload}`, 'platform')
    pending.settle(result)
  }

  function run(state: FunctionState, slot: Slot) {
    const pending = state.waiting.shift()
    const { environment } = slot
    if (pending === undefined || environment === undefined) return
    clearTimeout(slot.idleTimer)
    slot.state = 'busy'
    const { requestId, payload } = pending
    const { timeoutSeconds, memoryMb } = state.definition
    const initMs = reportedInit.has(environment) ? undefined : environment.initMs
    reportedInit.add(environment)
    const startedAt = performance.now()
    const invocation: Invocation = {
      requestId,
      payload,
      deadlineMs: Date.now() + timeoutSeconds * 1000,
      functionArn: arnOf(state.definition.name),
      traceId: traceHeader(),
      finish(result) {
        slot.state = 'finishing'
        const durationMs = performance.now() - startedAt
        measure(state, 'Duration', durationMs)
        const peakMemoryMb = environment.peakMemoryMb()
        slot.report = () => {
          const lines = endLines({ requestId, durationMs, initMs, memoryMb, peakMemoryMb, result })
          for (const line of lines) writeLog(state, line, 'platform')
          delete slot.report
        }
        pending.settle(result)
      },
    }
    writeLog(state, startLine(requestId), 'platform')
    environment.run(invocation)
  }

  function stop(slot: Slot) {
    clearTimeout(slot.idleTimer)
    for (const state of functions.values()) {
      const place = state.idle.indexOf(slot)
      if (place >= 0) state.idle.splice(place, 1)
      if (state.slots.has(slot)) forget(state, slot)
    }
    if (slot.environment !== undefined) track(slot.environment.stop())
  }

  function forget(state: FunctionState, slot: Slot) {
    clearTimeout(slot.idleTimer)
    state.slots.delete(slot)
    const place = state.idle.indexOf(slot)
    if (place >= 0) state.idle.splice(place, 1)
  }

  function track(work: Promise<unknown>) {
    stopping.add(work)
    work.finally(() => stopping.delete(work))
  }

  function writeLog(state: FunctionState, line: string, stream: LogLine['stream']) {
    state.log.write(line)
    options.onLog?.({ functionName: state.definition.name, line, stream })
  }

  function measure(state: FunctionState, metric: string, value: number) {
    const dimensions = { FunctionName: state.definition.name }
    const unit = metric === 'Duration' ? 'Milliseconds' : 'Count'
    options.metrics?.record({ namespace: 'AWS/Lambda', metric, dimensions, value, unit })
  }

  return {
    define,
    names: () => [...functions.keys()],
    arnOf,
    invoke,
    async close() {
      closed = true
      clearTimeout(looking)
      const refusal = new LambdaError('ServiceException', 'Lambda is shutting down')
      for (const state of functions.values()) {
        for (const pending of state.waiting.splice(0)) pending.reject(refusal)
      }
      for (const slot of slotsOfAll()) stop(slot)
      while (stopping.size > 0) await Promise.all(stopping)
      await reaper.close()
      await Promise.all(all().map((state) => state.log.flush()))
    },
  }
}

/**
 * Milliseconds that an invocation waits for an environment at work before another one is started. AWS has a processor
 * for each; here a start takes half a second from those that would be done in a few milliseconds, so that a short
 * stall would start dozens, which stall the rest.
 */
const patienceMs = 100

/** The init of an environment is reported, and billed, with its first invocation only. */
const reportedInit = new WeakSet<Environment>()
