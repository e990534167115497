/**
 * Whether a Prefer header asks not to wait for the result (RFC 7240, section 4.1). Other preferences, and how
 * long a client would wait all the same, are passed over.
 */
export function prefersAsync(prefer = ''): boolean {
  for (const preference of preferences(prefer)) {
    // A token whose value is empty means what it means without one.
    if (/^\s*respond-async\s*(?:=\s*""\s*)?(?:;|$)/i.test(preference)) return true
  }
  return false
}

/** The parts between commas, except those inside quotes. */
function* preferences(header: string): Generator<string> {
  let from = 0
  let quoted = false
  for (let at = 0; at < header.length; at++) {
    const char = header[at]
    if (quoted && char === '\\') at++
    else if (char === '"') quoted = !quoted
    else if (char === ',' && !quoted) {
      yield header.slice(from, at)
      from = at + 1
    }
  }
  yield header.slice(from)
}
