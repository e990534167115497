/** A request that a simulator answers: the path is the one under its own prefix. */
export type SimulatedRequest = {
  method: string
  path: string
  query: URLSearchParams
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}

export type SimulatedAnswer = {
  status: number
  headers?: Record<string, string>
  /** One that is an object is sent as JSON, a text as it is. */
  body: object | string
  /** Called when the answer has left. */
  afterwards?(): void
}

/** One third party's wire format. */
export type Simulator = {
  /** The first part of its paths on the simulators' port. */
  prefix: `/${string}`
  /** The variable that tells the functions its address. */
  variable: string
  /** Whether a path under the prefix is for the person at this machine, whose key it asks for. */
  isControl?(path: string): boolean
  answer(request: SimulatedRequest): SimulatedAnswer | Promise<SimulatedAnswer>
  /** What it says with a status of 400 or more, where a scripted fault does not say it. */
  errorBody?(status: number, retryAfter: string | undefined): object
}

/** The body of a request, or undefined where it is not JSON. */
export function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Whether a request says that it is JSON: a web page may post text to this machine unasked, but not that. */
export function isJson({ headers }: Pick<SimulatedRequest, 'headers'>): boolean {
  return /^application\/json\b/.test(String(headers['content-type']))
}
