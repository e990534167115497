import { S3Error } from './errors.ts'

export const s3Namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'

export type XmlContent = { readonly [name: string]: XmlValue | readonly XmlValue[] }
type XmlValue = string | number | boolean | XmlContent | undefined

export type XmlElement = { name: string; text: string; children: XmlElement[] }

// Control characters are not allowed in XML 1.0 even as references, but keys may hold them and S3
// writes them so; clients that list such keys ask for encoding-type=url.
// A carriage return must be a reference: parsers fold a bare one into a line feed.
function escapeText(text: string): string {
  let escaped = ''
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (character === '&') escaped += '&amp;'
    else if (character === '<') escaped += '&lt;'
    else if (character === '>') escaped += '&gt;'
    else if (character === '"') escaped += '&quot;'
    else if (code < 0x20 && code !== 0x09 && code !== 0x0a) escaped += `&#x${code.toString(16)};`
    else escaped += character
  }
  return escaped
}

function renderValue(name: string, value: XmlValue | readonly XmlValue[]): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map((item) => renderValue(name, item)).join('')
  const inner = typeof value === 'object' ? renderContent(value as XmlContent) : escapeText(String(value))
  return `<${name}>${inner}</${name}>`
}

function renderContent(content: XmlContent): string {
  return Object.entries(content)
    .map(([name, value]) => renderValue(name, value))
    .join('')
}

/** A whole document; an array becomes one element for each of its items, undefined none. */
export function renderXml(root: string, content: XmlContent | string, namespace?: string): string {
  const attribute = namespace === undefined ? '' : ` xmlns="${namespace}"`
  const inner = typeof content === 'string' ? escapeText(content) : renderContent(content)
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attribute}>${inner}</${root}>`
}

const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function unescapeText(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]+|#[0-9]+|[a-z]+);/g, (whole, body: string) => {
    if (!body.startsWith('#')) {
      const character = named[body]
      if (character === undefined) throw new S3Error('MalformedXML', `Unknown entity ${whole}`)
      return character
    }
    const code = body.startsWith('#x')
      ? Number.parseInt(body.slice(2), 16)
      : Number.parseInt(body.slice(1), 10)
    if (code > 0x10ffff) throw new S3Error('MalformedXML', `Unknown character ${whole}`)
    return String.fromCodePoint(code)
  })
}

const token = /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([A-Za-z_][\w.:-]*)((?:\s[^<>]*?)?)(\/?)>|([^<]+)/y

/** The root element of a request body. Namespaces and attributes are read over; a DTD is MalformedXML. */
export function parseXml(source: string): XmlElement {
  const top: XmlElement = { name: '', text: '', children: [] }
  const open: XmlElement[] = [top]
  const text = source.replace(/^\uFEFF/, '')
  token.lastIndex = 0
  while (token.lastIndex < text.length) {
    const match = token.exec(text)
    const parent = open.at(-1)
    if (match === null || parent === undefined) throw new S3Error('MalformedXML')
    const [, closing, name, , selfClosing, characters] = match
    if (characters !== undefined) parent.text += unescapeText(characters)
    else if (name === undefined) continue
    else if (closing === '/') {
      if (parent.name !== name) throw new S3Error('MalformedXML')
      open.pop()
    } else {
      const element: XmlElement = { name, text: '', children: [] }
      parent.children.push(element)
      if (selfClosing !== '/') open.push(element)
    }
  }
  const root = top.children[0]
  if (open.length !== 1 || root === undefined || top.children.length !== 1) throw new S3Error('MalformedXML')
  return root
}

/** The text of the first child of that name. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text
}
