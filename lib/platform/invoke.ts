import { UpstreamUnavailableError } from './errors.ts'
import { isTransient } from './transient.ts'

/**
 * Invokes another function and returns its answer. Rejects with UpstreamUnavailableError if Lambda cannot run it
 * now or its environment ended before it answered (killed, out of memory, out of time), and with an Error if its
 * code failed: the same call would fail again, and its own log says why.
 */
export async function invokeFunction(name: string, payload: object, signal?: AbortSignal): Promise<unknown> {
  // Bundled, yet only loaded by those who come here: it costs a cold start 30 ms.
  const { InvokeCommand, LambdaClient } = await import('./lambda-client.ts')
  client ??= new LambdaClient()
  const command = new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(payload) })
  let answer: import('@aws-sdk/client-lambda').InvokeCommandOutput
  try {
    answer = await client.send(command, { ...(signal && { abortSignal: signal }) })
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    if (!isTransient(error) && !isBeingUpdated(error)) throw error
    throw new UpstreamUnavailableError('A function is unavailable; try again', { cause: error })
  }
  const text = Buffer.from(answer.Payload ?? []).toString('utf8')
  if (answer.FunctionError === undefined) return JSON.parse(text)
  const failure = new Error(`${name} failed (${answer.FunctionError}, ${errorType(text) ?? 'unknown'})`)
  if (!hasDied(text)) throw failure
  throw new UpstreamUnavailableError('A function ended before it answered; try again', { cause: failure })
}

let client: import('@aws-sdk/client-lambda').LambdaClient | undefined

/** Lambda returns 409 while it creates a function, updates it or wakes it up. */
function isBeingUpdated(error: unknown): boolean {
  return error instanceof Error && error.name === 'ResourceConflictException'
}

/**
 * Whether an environment ended under its invocation, rather than the code in it. Lambda reports both as a
 * FunctionError, and a kill by these types alone; a timeout had none until 2024. What code throws has the name of
 * its class, and other `Runtime` types tell of code that cannot run at all: Runtime.ImportModuleError,
 * Runtime.HandlerNotFound, Runtime.NodeJsExit.
 */
function hasDied(payload: string): boolean {
  const type = errorType(payload)
  if (type === undefined) return / Task timed out after /.test(payload)
  return type.startsWith('Sandbox.') || deaths.has(type)
}

const deaths = new Set(['Runtime.ExitError', 'Runtime.OutOfMemory', 'Runtime.Unknown'])

/** Not the message, which may name a person. */
function errorType(payload: string): string | undefined {
  return /"errorType":\s?"([\w.]{1,80})"/.exec(payload)?.[1]
}
