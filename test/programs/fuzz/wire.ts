import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import type { Known } from './known.ts'
import type { Caller, FuzzRequest } from './requests.ts'

/** A request as it goes over the wire. */
export type WireRequest = {
  method: string
  target: string
  headers: [string, string][]
  body: Buffer | undefined
}

export type WireResponse = { status: number; headers: IncomingHttpHeaders; text: string }

/** What a header of Node's client may hold. */
const carried = /^[\t\x20-\x7e\x80-\xff]*$/

/** Characters of the request line, and of all headers: the gateway's limit is 10,240 for both together. */
const maxTarget = 6000
const maxHeaders = 2500

/** The key of each caller; null sends none. */
export type Keys = Record<Caller, string | null>

export function wireOf(fuzzed: FuzzRequest, known: Known, keys: Keys): WireRequest {
  const query = fuzzed.query.length > 0 ? `?${fuzzed.query.join('&')}` : ''
  const key = keys[fuzzed.caller]
  const headers: [string, string][] = key === null ? [] : [['authorization', `Bearer ${key}`]]
  let length = 0
  for (const [name, template] of fuzzed.headers) {
    const value = known.fill(template)
    length += name.length + value.length
    // Node's client sends a body in chunks once it is told to; without one there is nothing to send.
    const unfit = name === 'transfer-encoding' && (fuzzed.body === undefined || isChunked(headers))
    if (carried.test(value) && length <= maxHeaders && !unfit) headers.push([name, value])
  }
  const body = fuzzed.body === undefined ? undefined : bytesOf(known.fill(fuzzed.body), fuzzed.coding)
  if (body && !isChunked(headers)) headers.push(['content-length', String(body.length)])
  return {
    method: fuzzed.method,
    target: known.fill(fuzzed.path + query).slice(0, maxTarget),
    headers,
    body,
  }
}

function isChunked(headers: readonly [string, string][]): boolean {
  return headers.some(([name]) => name === 'transfer-encoding')
}

function bytesOf(text: string, coding: FuzzRequest['coding']): Buffer {
  switch (coding) {
    case 'utf-16':
      return Buffer.from(text, 'utf16le')
    case 'latin-1':
      return Buffer.from(text, 'latin1')
    case 'gzip':
      return gzipSync(text)
    default:
      return Buffer.from(text)
  }
}

/** A client that sends what it is told. `send` rejects where no response comes within a gateway's 30 s. */
export function createClient(url: string) {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true })

  function once({ method, target, headers, body }: WireRequest): Promise<WireResponse> {
    return new Promise((resolve, reject) => {
      const flat = headers.flat()
      const sending = request({
        agent,
        hostname,
        port,
        method,
        path: target,
        headers: ['host', `${hostname}:${port}`, ...flat],
        timeout: 35_000,
      })
      sending.on('timeout', () => sending.destroy(new Error('no response within 35 s')))
      sending.on('error', (error) => reject(Object.assign(error, { reused: sending.reusedSocket })))
      sending.on('response', (response) => {
        const { statusCode: status = 0, headers } = response
        buffer(response)
          .then((bytes) => resolve({ status, headers, text: decode(bytes, headers['content-encoding']) }))
          // A body that was cut short or is not coded as it says.
          .catch(reject)
      })
      sending.end(body)
    })
  }

  return {
    async send(wire: WireRequest): Promise<WireResponse> {
      try {
        return await once(wire)
      } catch (error) {
        // A connection that was kept may have been closed just before.
        if ((error as { reused?: boolean }).reused) return once(wire)
        throw error
      }
    },
    close: () => agent.destroy(),
  }
}

function decode(bytes: Buffer, encoding: string | undefined): string {
  // To HEAD, which has the headers of a body.
  if (bytes.length === 0) return ''
  if (encoding === 'gzip') return gunzipSync(bytes).toString()
  if (encoding === 'br') return brotliDecompressSync(bytes).toString()
  return bytes.toString()
}

/** The request as a command. The key is left out: `$KEY` stands for it. */
export function curlOf(url: string, { method, target, headers, body }: WireRequest): string {
  const named = headers
    .filter(([name]) => name !== 'content-length')
    .map(([name, value]) =>
      name === 'authorization' ? '-H "Authorization: Bearer $KEY"' : `-H ${quoted(`${name}: ${value}`)}`,
    )
  const data = body ? [`--data-binary ${quoted(shortened(body.toString('latin1')))}`] : []
  return ['curl -i --path-as-is', `-X ${method}`, ...named, ...data, quoted(url + target)].join(' ')
}

function shortened(text: string): string {
  return text.length > 2000 ? `${text.slice(0, 2000)}... (${text.length} bytes)` : text
}

/** As bash reads it: plain where it can be, else with escapes. */
function quoted(text: string): string {
  if (/^[\x20-\x7e]*$/.test(text)) return `'${text.replaceAll("'", `'\\''`)}'`
  const escaped = [...text].map((char) => {
    const code = char.codePointAt(0)!
    if (char === "'" || char === '\\') return `\\${char}`
    return code >= 0x20 && code <= 0x7e ? char : `\\x${code.toString(16).padStart(2, '0')}`
  })
  return `$'${escaped.join('')}'`
}
