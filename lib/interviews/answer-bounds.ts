import * as z from 'zod'

/** The keywords of a JSON schema that bound a value, and where further ones are. */
export type BoundedSchema = {
  type?: string
  description?: string
  properties?: Record<string, BoundedSchema>
  items?: BoundedSchema
  anyOf?: readonly BoundedSchema[]
  minLength?: number
  maxLength?: number
  maxItems?: number
  minimum?: number
  maximum?: number
}

/** The schema of an answer with all its bounds. */
export function boundedSchema(schema: z.ZodType): BoundedSchema {
  return z.toJSONSchema(schema) as BoundedSchema
}

export type Fitted = {
  value: unknown
  /** How many texts and lists were longer than the schema allows. */
  shortened: number
}

/**
 * A value within the bounds of a schema: texts are cut at a word and lists at an element. Nothing else changes but
 * blanks round texts and blank elements of lists.
 */
export function fitTo(schema: BoundedSchema, value: unknown): Fitted {
  let shortened = 0

  function fitted(schema: BoundedSchema, value: unknown): unknown {
    const choice = schema.anyOf?.find(({ type }) => type !== 'null')
    if (choice) return fitted(choice, value)
    if (typeof value === 'string') return text(schema, value)
    if (Array.isArray(value)) return list(schema, value)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => {
        const known = schema.properties && Object.hasOwn(schema.properties, name)
        return [name, known ? fitted(schema.properties![name]!, inner) : inner]
      }),
    )
  }

  function text({ maxLength = Number.POSITIVE_INFINITY }: BoundedSchema, value: string): string {
    const trimmed = value.trim()
    if (trimmed.length <= maxLength) return trimmed
    shortened += 1
    return cutText(trimmed, maxLength)
  }

  function list({ items = {}, maxItems = Number.POSITIVE_INFINITY }: BoundedSchema, value: unknown[]) {
    const filled = value.filter((item) => typeof item !== 'string' || item.trim() !== '')
    if (filled.length > maxItems) shortened += 1
    return filled.slice(0, maxItems).map((item) => fitted(items, item))
  }

  return { value: fitted(schema, value), shortened }
}

const words = new Intl.Segmenter(undefined, { granularity: 'word' })
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
/** Characters in which a word is looked for: longer ones are cut. */
const longestWord = 100

/** The words of a text that fit, with a mark, into so many characters (UTF-16 code units, at least 2). */
export function cutText(text: string, most: number): string {
  if (text.length <= most) return text
  const end = boundary(words, text, most - 1) ?? boundary(graphemes, text, most - 1) ?? most - 1
  return `${text.slice(0, end).trimEnd().toWellFormed()}…`
}

/** The last place up to `end` between two segments. */
function boundary(segmenter: Intl.Segmenter, text: string, end: number): number | undefined {
  const from = Math.max(0, end - longestWord)
  const places = [...segmenter.segment(text.slice(from, end + longestWord))].map(({ index }) => from + index)
  return places.findLast((place) => place > from && place <= end)
}

/** How long a text or list may be, and the range of a number, in words; undefined if there are no bounds. */
export function boundsInWords({ maxLength, maxItems, minimum, maximum }: BoundedSchema): string | undefined {
  if (maxLength !== undefined) return `at most ${maxLength} characters`
  if (maxItems !== undefined) return `at most ${maxItems} items`
  return minimum !== undefined && maximum !== undefined ? `from ${minimum} to ${maximum}` : undefined
}

/** What is whole of a JSON text that was cut off: up to the last element or field that ended. */
export function wholePart(text: string): string | undefined {
  const open: string[] = []
  let quoted = false
  let ended: { at: number; open: readonly string[] } | undefined
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (quoted) {
      if (character === '\\') at += 1
      else if (character === '"') quoted = false
    } else if (character === '"') quoted = true
    else if (character === '{') open.push('}')
    else if (character === '[') open.push(']')
    else if (character === ',') ended = { at, open: [...open] }
    else if (character === '}' || character === ']') {
      open.pop()
      ended = { at: at + 1, open: [...open] }
    }
  }
  return ended && text.slice(0, ended.at) + ended.open.toReversed().join('')
}
