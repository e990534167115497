/** How well a media range of an Accept header fits a type: its weight, and how closely it names the type. */
type Fit = { quality: number; closeness: number }

const unwanted: Fit = { quality: 0, closeness: 0 }
const weight = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/

/**
 * Whether a client that can be given either of two media types asks for `wanted` rather than for `usual` (RFC
 * 9110, section 12.5.1). Without a header, or where both fit equally well, as under the range of all types, it is
 * `usual`. Ranges that are malformed are left out.
 */
export function prefersType(accept: string | undefined, wanted: string, usual: string): boolean {
  if (accept === undefined) return false
  const ranges = accept.split(',').flatMap(parseRange)
  const [a, b] = [closest(ranges, wanted), closest(ranges, usual)]
  return a.quality > b.quality || (a.quality > 0 && a.quality === b.quality && a.closeness > b.closeness)
}

type Range = { type: string; quality: number }

function parseRange(text: string): Range[] {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1'
  return weight.test(quality) ? [{ type, quality: Number(quality) }] : []
}

/** That of the closest range, which decides: `application/json;q=0` beside all types refuses JSON. */
function closest(ranges: readonly Range[], type: string): Fit {
  const names = ['*/*', `${type.split('/')[0]}/*`, type]
  let best = unwanted
  for (const range of ranges) {
    const closeness = names.indexOf(range.type) + 1
    if (closeness > best.closeness) best = { quality: range.quality, closeness }
  }
  return best
}
