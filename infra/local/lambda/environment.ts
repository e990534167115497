import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { lineSplitter } from '../logs.ts'
import { readMemory, watchMemory } from './memory.ts'
import type { Reaper } from './reaper.ts'
import { type RuntimeInvocation, responseLimit, startRuntimeApi } from './runtime-api.ts'

const runtime = fileURLToPath(new URL('./runtime.mjs', import.meta.url))

export type FunctionDefinition = {
  name: string
  /** Absolute path of the unpacked bundle. */
  assetDir: string
  /** `index.handler`: file and export. */
  handler: string
  timeoutSeconds: number
  memoryMb: number
  environment: Record<string, string>
  reservedConcurrency?: number
}

/** `payload` is JSON; with a functionError it is `{errorType, errorMessage, ...}`. */
export type InvokeResult = { payload: string; functionError?: 'Unhandled' }

export type Invocation = RuntimeInvocation & { finish(result: InvokeResult): void }

export type EnvironmentOptions = {
  definition: FunctionDefinition
  region: string
  platformEnvironment: Record<string, string>
  initTimeoutMs: number
  reaper: Reaper
  onLine(line: string, stream: 'stdout' | 'stderr'): void
  /** The runtime waits for its next invocation: after init, and after each answer. */
  onFree(environment: Environment): void
  /** The process is gone; `initError` is set when it never came to its first poll. */
  onExit(environment: Environment, initError: InvokeResult | undefined): void
}

/**
 * One process that runs one invocation at a time. `start` begins its init; onFree says when it can run.
 */
export type Environment = {
  /** Milliseconds from start to the first poll. */
  readonly initMs: number | undefined
  readonly logStream: string
  run(invocation: Invocation): void
  /** MiB, the most the process ever held; undefined when the system does not tell. */
  peakMemoryMb(): number | undefined
  /** Kills the process with everything it started and waits for its end. */
  stop(): Promise<void>
}

export async function startEnvironment(options: EnvironmentOptions): Promise<Environment> {
  const { definition } = options
  const startedAt = performance.now()
  const logStream = logStreamName(new Date())
  let initMs: number | undefined
  let initError: InvokeResult | undefined
  let running: Invocation | undefined
  let killedFor: InvokeResult | undefined
  let endWatches = () => {}

  const api = await startRuntimeApi({
    onNext() {
      endWatches()
      if (initMs === undefined) {
        clearTimeout(initTimer)
        initMs = performance.now() - startedAt
      }
      options.onFree(environment)
    },
    onResponse(requestId, body) {
      if (body !== undefined) return finish(requestId, { payload: body })
      const message = `Response payload size exceeded maximum allowed payload size (${responseLimit} bytes).`
      finish(requestId, failure('Function.ResponseSizeTooLarge', message))
    },
    onError(requestId, body) {
      finish(requestId, { payload: body, functionError: 'Unhandled' })
    },
    onInitError(body) {
      initError = { payload: body, functionError: 'Unhandled' }
    },
  })

  const child = spawnRuntime(options, api.address, logStream)
  const exited = new Promise<void>((resolve) => {
    let over = false
    async function end(reason: string) {
      if (over) return
      over = true
      clearTimeout(initTimer)
      endWatches()
      await api.close()
      const requestId = running?.requestId
      const message = requestId === undefined ? reason : `RequestId: ${requestId} Error: ${reason}`
      const result = killedFor ?? failure('Runtime.ExitError', message)
      if (requestId !== undefined) finish(requestId, result)
      options.onExit(environment, initMs === undefined ? (initError ?? result) : undefined)
      resolve()
    }
    child.once('error', (error) => end(`Runtime could not be started: ${error.message}`))
    child.once('exit', () => {
      killGroup()
      if (child.pid !== undefined) options.reaper.forget(child.pid)
    })
    // Not 'exit': 'close' comes once its last output has been read.
    child.once('close', (code, signal) => end(describeExit(code, signal)))
  })

  const initTimer = setTimeout(() => {
    const seconds = (options.initTimeoutMs / 1000).toFixed(2)
    kill(failure('Sandbox.Timedout', `Error: Init timed out after ${seconds} seconds`))
  }, options.initTimeoutMs)

  function finish(requestId: string, result: InvokeResult) {
    if (running?.requestId !== requestId) return
    const { finish: settle } = running
    running = undefined
    settle(result)
  }

  function kill(reason?: InvokeResult) {
    killedFor ??= reason
    if (child.exitCode === null && child.signalCode === null) killGroup()
  }

  /** Ends whatever the handler itself started, too: it would hold the output open. */
  function killGroup() {
    if (child.pid === undefined) return
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // ESRCH: nobody is left in the group.
    }
  }

  const environment: Environment = {
    get initMs() {
      return initMs
    },
    logStream,
    run(invocation) {
      running = invocation
      const { requestId } = invocation
      const seconds = definition.timeoutSeconds.toFixed(2)
      const timer = setTimeout(
        () =>
          kill(
            failure(
              'Sandbox.Timedout',
              `RequestId: ${requestId} Error: Task timed out after ${seconds} seconds`,
            ),
          ),
        invocation.deadlineMs - Date.now(),
      )
      const endMemoryWatch = watchMemory(child.pid ?? 0, definition.memoryMb, () =>
        kill(
          failure(
            'Runtime.ExitError',
            `RequestId: ${requestId} Error: Runtime exited with error: signal: killed`,
          ),
        ),
      )
      endWatches = () => {
        clearTimeout(timer)
        endMemoryWatch()
      }
      api.deliver(invocation)
    },
    peakMemoryMb() {
      return child.pid === undefined ? undefined : readMemory(child.pid)?.peakMb
    },
    stop() {
      kill()
      return exited
    },
  }
  return environment
}

function spawnRuntime(options: EnvironmentOptions, address: string, logStream: string): ChildProcess {
  const { definition } = options
  // AWS leaves about a tenth of the memory to everything outside the heap.
  const heapMb = Math.floor(definition.memoryMb * 0.9)
  const child = spawn(process.execPath, [`--max-old-space-size=${heapMb}`, runtime], {
    cwd: definition.assetDir,
    // A group of its own: Ctrl-C in the terminal reaches the cloud only, which ends its environments in order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      LANG: 'en_US.UTF-8',
      TZ: ':UTC',
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      AWS_LAMBDA_FUNCTION_NAME: definition.name,
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(definition.memoryMb),
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${definition.name}`,
      AWS_LAMBDA_LOG_STREAM_NAME: logStream,
      AWS_REGION: options.region,
      AWS_DEFAULT_REGION: options.region,
      ...definition.environment,
      ...options.platformEnvironment,
      AWS_LAMBDA_RUNTIME_API: address,
      LAMBDA_TASK_ROOT: definition.assetDir,
      _HANDLER: definition.handler,
    },
  })
  for (const stream of ['stdout', 'stderr'] as const) {
    const lines = lineSplitter((line) => options.onLine(line, stream))
    child[stream]?.on('data', lines.push).once('end', lines.end)
  }
  if (child.pid !== undefined) options.reaper.watch(child.pid)
  return child
}

function failure(errorType: string, errorMessage: string): InvokeResult {
  return { payload: JSON.stringify({ errorType, errorMessage }), functionError: 'Unhandled' }
}

/** Go's words for it, which are what AWS shows. */
function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  if (code === 0) return 'Runtime exited without providing a reason'
  if (code !== null) return `Runtime exited with error: exit status ${code}`
  const words: Record<string, string> = {
    SIGKILL: 'killed',
    SIGTERM: 'terminated',
    SIGABRT: 'aborted',
    SIGSEGV: 'segmentation fault',
  }
  return `Runtime exited with error: signal: ${words[signal ?? ''] ?? signal}`
}

function logStreamName(date: Date): string {
  const day = date.toISOString().slice(0, 10).replaceAll('-', '/')
  return `${day}/[$LATEST]${randomBytes(16).toString('hex')}`
}
