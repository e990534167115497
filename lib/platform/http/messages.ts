import type * as z from 'zod'

/** Things in words: "csv, jsonl or pdf". */
export function either(values: readonly unknown[]): string {
  const words = values.map(String)
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

const kinds: Record<string, string> = {
  string: 'must be a string',
  number: 'must be a number',
  int: 'must be a whole number',
  boolean: 'must be true or false',
  object: 'must be an object',
  record: 'must be an object',
  array: 'must be a list',
  null: 'must be null',
}

const formats: Record<string, string> = {
  uuid: 'must be a UUID',
  guid: 'must be a UUID',
  email: 'must be an e-mail address',
  url: 'must be a URL',
  datetime: 'must be a date and time with its zone in ISO 8601, as 2026-11-01T09:30:00Z',
  date: 'must be a date in ISO 8601, as 2026-11-01',
}

/** What a size is counted in. */
const units: Record<string, string> = { string: 'character', array: 'item', set: 'item', file: 'byte' }

function bound(
  side: 'at least' | 'at most',
  origin: string,
  limit: number | bigint,
  inclusive: boolean,
): string {
  const unit = units[origin]
  if (unit && side === 'at least' && Number(limit) === 1) return 'must not be empty'
  if (unit) return `must have ${side} ${limit} ${unit}${Number(limit) === 1 ? '' : 's'}`
  if (inclusive) return `must be ${side} ${limit}`
  return `must be ${side === 'at least' ? 'greater' : 'less'} than ${limit}`
}

/**
 * What is wrong, in our words, of whatever a schema has no message of its own for: to be given to each parsing of
 * what a caller sent, so that none of the library's own messages is ever shown.
 */
export const ourMessage: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      // At the root: what JSON also allows is no object.
      if (issue.expected === 'object' && (issue.path ?? []).length === 0) return 'must be one JSON object'
      return kinds[issue.expected] ?? 'has the wrong type'
    case 'invalid_value':
      return `must be ${either(issue.values)}`
    case 'too_small':
      return bound('at least', issue.origin, issue.minimum, issue.inclusive ?? true)
    case 'too_big':
      return bound('at most', issue.origin, issue.maximum, issue.inclusive ?? true)
    case 'invalid_format':
      return formats[issue.format] ?? 'does not have the form that is needed'
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`
    case 'unrecognized_keys':
      return `has fields that are not known here: ${issue.keys.join(', ')}`
    case 'invalid_union':
      return Array.isArray(issue.options)
        ? `must be ${either(issue.options)}`
        : 'has none of the forms that are taken here'
    case 'invalid_key':
      return 'has a name that is not allowed'
    case 'invalid_element':
      return 'has an element that is not allowed'
    default:
      return 'is not allowed'
  }
}

/**
 * Issues with what is wrong by the one form of a union that a value comes closest to; if several come as close, it
 * is the union's own issue.
 */
export function closest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union') return [issue]
    const forms = issue.errors.map((errors) => closest(errors)).sort((a, b) => a.length - b.length)
    const [best, next] = forms
    if (!best || best.length === 0 || best.length === next?.length) return [issue]
    return best.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
  })
}
