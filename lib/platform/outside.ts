import type * as z from 'zod'
import { createCircuit } from './circuit.ts'
import { isInsightaError, UpstreamInvalidError, UpstreamUnavailableError } from './errors.ts'
import { type RetryOptions, retry } from './retry.ts'
import { parseRetryAfter } from './retry-after.ts'
import { isTransientStatus, neverRetried } from './transient.ts'

export type ThirdPartyOptions = {
  /** As people know it; in log lines and error messages. */
  service: string
  /** Milliseconds for one attempt, its whole answer included. Default 5,000. */
  timeout?: number
  retry?: Omit<RetryOptions, 'name' | keyof CallOptions>
}

export type CallOptions = Pick<RetryOptions, 'signal' | 'remainingMs'>

/** Somebody else's service: every call to one goes through here. */
export type ThirdParty = {
  /**
   * Runs the attempt, which ends by its signal at the latest, until it succeeds. Rejects with what the last one
   * met, RetryLaterError, or UpstreamUnavailableError where there was no answer.
   */
  call<T>(
    name: string,
    attempt: (signal: AbortSignal) => Promise<T>,
    options?: CallOptions & { timeout?: number | undefined },
  ): Promise<T>
}

/** With a timeout, retries, and a circuit breaker of its own: make one for an environment's life. */
export function createThirdParty(options: ThirdPartyOptions): ThirdParty {
  const { service } = options
  const circuit = createCircuit(service)

  return {
    call(name, attempt, { signal, remainingMs, timeout = options.timeout ?? 5000 } = {}) {
      const settings = { ...options.retry, name, signal, ...(remainingMs && { remainingMs }) }
      return retry(settings, () =>
        circuit.run(() => {
          const left = remainingMs ? Math.max(1, Math.min(timeout, remainingMs())) : timeout
          return inTime(service, left, signal, attempt)
        }, signal),
      )
    },
  }
}

async function inTime<T>(
  service: string,
  timeout: number,
  signal: AbortSignal | undefined,
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = AbortSignal.timeout(timeout)
  try {
    return await attempt(signal ? AbortSignal.any([signal, ended]) : ended)
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    if (isInsightaError(error) || isMistake(error)) throw error
    const said = ended.aborted ? `did not answer within ${(timeout / 1000).toFixed(2)}s` : 'does not answer'
    throw new UpstreamUnavailableError(`${service} ${said}`, { cause: error })
  }
}

/** Of the program, that is: fetch throws a TypeError too, but with a cause. */
function isMistake(error: unknown): boolean {
  return neverRetried(error) && (error as Error).cause === undefined
}

/** A fetch for an SDK that keeps the headers of answers to itself. */
export function fetchNoting(note: (response: Response) => void): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init)
    note(response)
    return response
  }
}

export type OutsideOptions = ThirdPartyOptions & {
  /** Its parameters, as an API key, are kept. */
  baseUrl: string
}

/** A third party that answers GET with JSON. */
export type Outside = {
  /**
   * The answer by its schema, after retries. Rejects with UpstreamInvalidError where it is refused (4xx), is no
   * JSON or does not fit; with UpstreamUnavailableError or RetryLaterError where there is none.
   */
  get<Schema extends z.ZodType>(
    query: Readonly<Record<string, string>>,
    schema: Schema,
    options?: CallOptions,
  ): Promise<z.output<Schema>>
}

/** Bytes of an answer at the most. */
const largestAnswer = 1024 * 1024

/** A third party at an address. Each keeps a circuit breaker, so make one for an environment's life. */
export function createOutside(options: OutsideOptions): Outside {
  const { service, baseUrl } = options
  const party = createThirdParty(options)

  return {
    async get(query, schema, call) {
      const url = new URL(baseUrl)
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
      const text = await party.call(service, (signal) => getText(service, url, signal), call)
      const parsed = schema.safeParse(parseJson(service, text))
      // zod's error says which field is wrong, never what stood there.
      if (!parsed.success) throw new UpstreamInvalidError(service, parsed.error)
      return parsed.data
    },
  }
}

async function getText(service: string, url: URL, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { headers: { accept: 'application/json' }, redirect: 'error', signal })
  const text = await readText(service, response)
  if (response.ok) return text
  const answered = `${service} answered ${response.status}`
  if (!isTransientStatus(response.status)) throw new UpstreamInvalidError(service, new Error(answered))
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now())
  throw new UpstreamUnavailableError(answered, { retryAfterMs })
}

async function readText(service: string, response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > largestAnswer) throw new UpstreamInvalidError(service, new Error('The answer is over 1 MB'))
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(service: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes the answer, which names a person.
    throw new UpstreamInvalidError(service, new Error('The answer is not JSON'))
  }
}
