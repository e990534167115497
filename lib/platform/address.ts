import type postgres from 'postgres'
import type { Sql, Transaction } from './db.ts'

/** What a local part is made of; an apostrophe counts within one only, since it also quotes. */
const inLocalPart = /[\p{L}\p{M}\p{N}_.+-]'*$/u
/** What makes a domain go on. A full stop that ends a sentence does not. */
const restOfDomain = /^(?:[\p{L}\p{M}\p{N}]|\.[\p{L}\p{N}]|-{1,3}[\p{L}\p{N}])/u
/** Characters before and after an address that are looked at. */
const beside = 4

/** JSON in JSON in JSON: a letter holds a webhook, whose body holds a transcript. */
const deepest = 5

/**
 * Whether a text names an e-mail address, in any case, also as JSON or a URL escapes it. As a whole: `ann@b.org` is
 * neither in `maryann@b.org` nor in `ann@b.org.uk`.
 */
export function namesAddress(text: string, address: string): boolean {
  const wanted = address.toLowerCase()
  let form = text.toLowerCase()
  for (let depth = 0; depth <= deepest; depth++) {
    if (holds(form, wanted) || holds(urlDecoded(form), wanted)) return true
    const decoded = jsonDecoded(form)
    if (decoded === form) return false
    form = decoded
  }
  return false
}

function holds(text: string, wanted: string): boolean {
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    const end = at + wanted.length
    const before = text.slice(Math.max(at - beside, 0), at)
    if (!inLocalPart.test(before) && !restOfDomain.test(text.slice(end, end + beside))) return true
  }
  return false
}

/** Of a JSON text what its strings say, beside its punctuation; of any other text about the same. */
function jsonDecoded(text: string): string {
  return text.replaceAll(/\\(?:u([0-9a-f]{4})|([^u]))/g, (_, hex?: string, char = '') => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16)).toLowerCase()
    return 'bfnrt'.includes(char) ? ' ' : char
  })
}

function urlDecoded(text: string): string {
  return text.replaceAll(/%([2-7][0-9a-f])/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)).toLowerCase(),
  )
}

/** A condition that every text of a column which names the address meets, and few others do. */
export function mayNameAddress(sql: Sql | Transaction, column: string, address: string): postgres.Fragment {
  const text = sql(column)
  return sql`
    (strpos(lower(${text}), lower(${address})) > 0 or strpos(${text}, '%') > 0 or strpos(lower(${text}), '\\u') > 0)`
}
