import { domainToASCII, domainToUnicode } from 'node:url'
import * as z from 'zod'

/** Characters of an address at most: https://www.rfc-editor.org/errata/eid1690 */
const longest = 254
const ascii = /^\p{ASCII}*$/u
const beyondAscii = /\P{ASCII}/gu
/** What people's names are made of. Nothing invisible: two addresses that look alike would not be one. */
const inName = /^[\p{L}\p{M}\p{N}]$/u
const label = /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i
const topLabel = /^(?:[a-z]+|xn--[a-z\d-]+)$/i

/**
 * An e-mail address, also with letters beyond ASCII in the local part (RFC 6531) or the domain (IDN). Parsed to the
 * form in which it is stored, compared (in any case) and sent.
 */
export const emailAddress = z
  .string()
  .max(longest)
  .refine(isAddress, { error: 'must be an e-mail address' })
  .overwrite(storedAddress)
  .meta({ override: { type: 'string', format: 'idn-email', maxLength: longest } })

/**
 * The one form of all that name the same mailbox, but for case: the local part composed (NFC), a domain beyond ASCII
 * as Punycode. What is no address stays as it is.
 */
export function storedAddress(address: string): string {
  const { local, domain } = partsOf(address)
  if (domain === undefined) return address
  return `${local.normalize('NFC')}@${ascii.test(domain) ? domain : domainToASCII(domain)}`
}

/** The stored form as people read it: a domain in Punycode is written in its own script. */
export function shownAddress(stored: string): string {
  const { local, domain } = partsOf(stored)
  if (domain === undefined || !/xn--/i.test(domain)) return stored
  const shown = domainToUnicode(domain)
  return domainToASCII(shown) === domain.toLowerCase() ? `${local}@${shown}` : stored
}

/** A part of an address, perhaps of its domain, as the stored form has it. */
export function storedPart(part: string): string {
  return part.includes('@') ? storedAddress(part) : domainToASCII(part) || part
}

function isAddress(given: string): boolean {
  const stored = storedAddress(given)
  const { local, domain } = partsOf(stored)
  if (domain === undefined || stored.length > longest) return false
  const others = local.match(beyondAscii) ?? []
  if (!others.every((char) => inName.test(char))) return false
  const plain = local.replaceAll(beyondAscii, 'x')
  return z.regexes.email.test(`${plain}@example.com`) && isDomain(domain)
}

function isDomain(domain: string): boolean {
  const labels = domain.split('.')
  const top = labels.at(-1) ?? ''
  if (labels.length < 2 || top.length < 2 || !labels.every((each) => label.test(each))) return false
  return topLabel.test(top)
}

function partsOf(address: string): { local: string; domain?: string } {
  const at = address.lastIndexOf('@')
  return at < 0 ? { local: address } : { local: address.slice(0, at), domain: address.slice(at + 1) }
}
