import { canonicalRequest, sha256Hex, signingScope, signLines } from '../../infra/local/sigv4/canonical.ts'

export type RequestToSign = {
  method: string
  url: string
  keys: { accessKeyId: string; secretAccessKey: string }
  region: string
  /** As credentials name it: `s3`, `sqs`, `lambda`, `secretsmanager`. */
  service: string
  headers?: Record<string, string>
  body?: Buffer | string
  /** In place of the hash of the body. */
  payloadHash?: string
  at?: Date
  /** Headers sent but not signed. */
  unsigned?: Record<string, string>
}

/** Headers of a request signed as the SDKs do, for bodies and mistakes that no SDK would send. */
export function signedHeaders(request: RequestToSign): {
  headers: Record<string, string>
  signature: string
} {
  const { method, headers = {}, body, at = new Date(), keys, region, service, unsigned = {} } = request
  const url = new URL(request.url)
  const date = at.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const hash = request.payloadHash ?? sha256Hex(body ?? '')
  const all: Record<string, string> = {
    host: url.host,
    'x-amz-date': date,
    'x-amz-content-sha256': hash,
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers,
  }
  const names = Object.keys(all).sort()
  const scope = signingScope(keys.secretAccessKey, date, region, service)
  const canonical = canonicalRequest({
    method,
    path: service === 's3' ? decodeURIComponent(url.pathname) : url.pathname,
    query: [...url.searchParams],
    headers: all,
    signedHeaders: names,
    payloadHash: hash,
  })
  const signature = signLines('AWS4-HMAC-SHA256', scope, sha256Hex(canonical))
  const authorization = `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope.scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return { headers: { ...all, authorization, ...unsigned }, signature }
}
