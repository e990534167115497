import * as z from 'zod'

/**
 * What goes wrong with requests to a path and below: after `delay_ms` the answer is `status` (with `retry_after`
 * and `body`), or the real one where only a delay is asked for. It is spent after `times` requests.
 */
export const faultSchema = z
  .strictObject({
    path: z.string().startsWith('/'),
    status: z.int().min(200).max(599).optional(),
    times: z.int().min(1).default(1),
    delay_ms: z.int().min(0).max(60_000).default(0),
    /** The Retry-After header, as it is. */
    retry_after: z.union([z.int().min(0), z.string()]).optional(),
    /** Sent as it is where it is a text, else as JSON. */
    body: z.union([z.string(), z.record(z.string(), z.unknown())]).optional(),
  })
  .refine(({ status, delay_ms }) => status !== undefined || delay_ms > 0, {
    error: 'status or delay_ms is needed',
  })
export type Fault = z.output<typeof faultSchema>

export type Faults = {
  /** Faults of one path take their turn in the order in which they came. */
  add(fault: Fault): void
  /** The fault that the next request to the path meets, which is spent by it. */
  take(path: string): Fault | undefined
  clear(): void
  list(): readonly Fault[]
}

export function createFaults(): Faults {
  let waiting: Fault[] = []
  // A colon, too, ends a path: Google writes `/models/<model>:<method>`.
  const meets = ({ path }: Fault, asked: string) =>
    asked === path || asked.startsWith(`${path}/`) || asked.startsWith(`${path}:`)
  return {
    add: (fault) => void waiting.push({ ...fault }),
    take(path) {
      const fault = waiting.find((each) => meets(each, path))
      if (fault && --fault.times === 0) waiting = waiting.filter((each) => each !== fault)
      return fault
    },
    clear() {
      waiting = []
    },
    list: () => waiting,
  }
}
