import type postgres from 'postgres'
import type { Sql, Transaction } from './db.ts'
import { shownAddress, storedAddress } from './email-address.ts'

/** What a local part is made of; an apostrophe counts within one only, since it also quotes. */
const inLocalPart = /[\p{L}\p{M}\p{N}_.+-]'*$/u
/** What makes a domain go on. A full stop that ends a sentence does not. */
const restOfDomain = /^(?:[\p{L}\p{M}\p{N}]|\.[\p{L}\p{N}]|-{1,3}[\p{L}\p{N}])/u
/** Characters before and after an address that are looked at. */
const beside = 4

/** JSON in JSON in JSON: a letter holds a webhook, whose body holds a transcript. */
const deepest = 5

/**
 * Whether a text names an e-mail address, in any case and with a domain beyond ASCII in either form, also as JSON or a
 * URL escapes it. As a whole: `ann@b.org` is neither in `maryann@b.org` nor in `ann@b.org.uk`.
 */
export function namesAddress(text: string, address: string): boolean {
  const wanted = formsOf(address)
  const namesIn = (form: string) => {
    const composed = form.normalize('NFC')
    return wanted.some((each) => holds(composed, each))
  }
  let form = text.toLowerCase()
  for (let depth = 0; depth <= deepest; depth++) {
    if (namesIn(form) || namesIn(urlDecoded(form))) return true
    const decoded = jsonDecoded(form)
    if (decoded === form) return false
    form = decoded
  }
  return false
}

function formsOf(address: string): string[] {
  const stored = storedAddress(address)
  return [...new Set([stored, shownAddress(stored)])].map((each) => each.toLowerCase())
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
  return text.replaceAll(/(?:%[2-9a-f][0-9a-f])+/g, (run) => {
    const bytes = Buffer.from(run.replaceAll('%', ''), 'hex')
    return bytes.toString('utf8').toLowerCase()
  })
}

/** A condition that every text of a column which names the address meets, and few others do. */
export function mayNameAddress(sql: Sql | Transaction, column: string, address: string): postgres.Fragment {
  const text = sql(column)
  const [first, second = first] = formsOf(address)
  const plain = /^\p{ASCII}*$/u.test(address)
  const composed = plain ? sql`lower(${text})` : sql`lower(normalize(${text}, NFC))`
  return sql`
    (strpos(${composed}, ${first!}) > 0 or strpos(${composed}, ${second!}) > 0 or strpos(${text}, '%') > 0
      or strpos(lower(${text}), '\\u') > 0)`
}
