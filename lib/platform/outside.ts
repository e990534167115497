import type * as z from 'zod'
import { createCircuit } from './circuit.ts'
import { isInsightaError, UnavailableError, UpstreamInvalidError } from './errors.ts'
import { type RetryOptions, retry } from './retry.ts'
import { parseRetryAfter } from './retry-after.ts'
import { isTransientStatus } from './transient.ts'

/** Thrown when a third party does not answer, or says that it cannot now: 503. */
export class UpstreamUnavailableError extends UnavailableError {
  /** What the service asked for by Retry-After. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, options: { cause?: unknown; retryAfterMs?: number | undefined } = {}) {
    const { cause, retryAfterMs } = options
    super(message, cause, retryAfterMs === undefined ? 5 : Math.max(1, Math.ceil(retryAfterMs / 1000)))
    this.retryAfterMs = retryAfterMs
  }
}

export type OutsideOptions = {
  /** As people know it; in log lines and error messages. */
  service: string
  /** Its parameters, as an API key, are kept. */
  baseUrl: string
  /** Milliseconds for one attempt, its whole answer included. Default 5,000. */
  timeout?: number
  retry?: Pick<RetryOptions, 'attempts' | 'initialDelay' | 'factor' | 'maxDelay' | 'jitter' | 'clock'>
}

export type CallOptions = Pick<RetryOptions, 'signal' | 'remainingMs'>

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

/** The one place that calls third parties: with a timeout, retries, and a circuit breaker of its own. */
export function createOutside(options: OutsideOptions): Outside {
  const { service, baseUrl, timeout = 5000 } = options
  const circuit = createCircuit(service)

  return {
    async get(query, schema, { signal, remainingMs } = {}) {
      const url = new URL(baseUrl)
      for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
      const settings = { ...options.retry, name: service, signal, ...(remainingMs && { remainingMs }) }
      const text = await retry(settings, () =>
        circuit.run(() => {
          const left = remainingMs ? Math.max(1, Math.min(timeout, remainingMs())) : timeout
          return getText(service, url, left, signal)
        }, signal),
      )
      const parsed = schema.safeParse(parseJson(service, text))
      // zod's error says which field is wrong, never what stood there.
      if (!parsed.success) throw new UpstreamInvalidError(service, parsed.error)
      return parsed.data
    },
  }
}

async function getText(
  service: string,
  url: URL,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const ended = AbortSignal.timeout(timeout)
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, ended]) : ended,
    })
    const text = await readText(service, response)
    if (response.ok) return text
    const answered = `${service} answered ${response.status}`
    if (!isTransientStatus(response.status)) throw new UpstreamInvalidError(service, new Error(answered))
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now())
    throw new UpstreamUnavailableError(answered, { retryAfterMs })
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    if (isInsightaError(error)) throw error
    const said = ended.aborted ? `did not answer within ${(timeout / 1000).toFixed(2)}s` : 'does not answer'
    throw new UpstreamUnavailableError(`${service} ${said}`, { cause: error })
  }
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
