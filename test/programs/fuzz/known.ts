import { fc } from '../../support/properties.ts'

/** How many of the latest values of a kind are remembered. */
const remembered = 50

/** Stands in a request for the nth known value of a kind, so that the request depends on the seed alone. */
const placeholder = /‹([^‹›:]+):(\d+)›/g

/** A placeholder for something of the kind that is there when the request is sent. */
export function knownOf(kind: string): fc.Arbitrary<string> {
  return fc.nat(remembered - 1).map((n) => `‹${kind}:${n}›`)
}

/** What responses have told of what is there: ids by the path of their collection, cursors, ETags. */
export function createKnown() {
  const values = new Map<string, string[]>()

  function learn(kind: string, value: unknown): void {
    if (typeof value !== 'string') return
    const known = values.get(kind) ?? []
    if (!known.includes(value)) values.set(kind, [...known, value].slice(-remembered))
  }

  return {
    learn,
    /** What a response has shown to be gone. */
    forget(kind: string, gone: string): void {
      values.set(
        kind,
        (values.get(kind) ?? []).filter((value) => value !== gone),
      )
    },
    /**
     * The text with its placeholders filled in. `now` is the time in seconds; a kind of which nothing is known
     * gives an id of nothing.
     */
    fill: (text: string): string =>
      text.replaceAll(placeholder, (_, kind: string, n: string) => {
        if (kind === 'now') return String(Math.floor(Date.now() / 1000))
        const known = values.get(kind) ?? []
        return known[Number(n) % known.length] ?? '01a1fa1b-08a3-7fce-8c86-eb62c5da8ee8'
      }),
    /** Learns from a response in JSON to a call of `path`, an operation's path with its parameters' names. */
    read(method: string, path: string, body: unknown, etag: string | undefined): void {
      learn('etag', etag)
      if (typeof body !== 'object' || body === null) return
      const { id, data, next_cursor } = body as Record<string, unknown>
      learn(`cursor ${path}`, next_cursor)
      const made = method === 'POST' ? [{ id }, data] : data
      for (const one of Array.isArray(made) ? made : [])
        learn(path, (one as { id?: unknown } | undefined)?.id)
    },
  }
}

export type Known = ReturnType<typeof createKnown>
