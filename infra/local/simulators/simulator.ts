/** A request that a simulator answers: the path is the one under its own prefix. */
export type SimulatedRequest = {
  method: string
  path: string
  query: URLSearchParams
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}

/** A body that is an object is sent as JSON, a text as it is. */
export type SimulatedAnswer = { status: number; headers?: Record<string, string>; body: object | string }

/** One third party's wire format. */
export type Simulator = {
  /** The first part of its paths on the simulators' port. */
  prefix: `/${string}`
  /** The variable that tells the functions its address. */
  variable: string
  answer(request: SimulatedRequest): SimulatedAnswer | Promise<SimulatedAnswer>
}
