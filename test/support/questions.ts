import { isInsightaError } from '../../lib/platform/errors.ts'
import type { Filter } from '../../lib/profiles/filter.ts'
import { interpret } from '../../lib/profiles/grammar.ts'

export type Refusal = { status: number; code: string; message: string; details: string[] }

/** The filter a question means, or the error it gets with its details as plain messages. */
export function outcome(query: string): Filter | Refusal {
  try {
    return interpret(query)
  } catch (error) {
    if (!isInsightaError(error)) throw error
    const { status, code, message, details = [] } = error
    if (details.some(({ field }) => field !== 'q')) throw new Error(`${query}: details of another field`)
    return { status, code, message, details: details.map((detail) => detail.message) }
  }
}

export function isRefusal(result: Filter | Refusal): result is Refusal {
  return 'status' in result
}

/** The error that a question gets. */
export function refusal(query: string): Refusal {
  const result = outcome(query)
  if (!isRefusal(result)) throw new Error(`${query} was understood as ${JSON.stringify(result)}`)
  return result
}

/**
 * A filter in short: "female 20-45 KE,NG", "male 60+", "-12", and "everybody" for none at all.
 */
export function filterOf(short: string): Filter {
  const filter: Filter = {}
  for (const part of short === 'everybody' ? [] : short.split(' ')) {
    const ages = /^(\d*)(?:-(\d*)|\+)$/.exec(part)
    if (part === 'male' || part === 'female') filter.gender = part
    else if (ages) {
      const [, from = '', to = ''] = ages
      if (from !== '') filter.min_age = Number(from)
      if (to !== '') filter.max_age = Number(to)
    } else if (/^[A-Z]{2}(?:,[A-Z]{2})*$/.test(part)) filter.country_id = part.split(',')
    else throw new Error(`${part} in ${short} is no filter`)
  }
  return filter
}
