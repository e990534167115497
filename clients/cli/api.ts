import { openAsBlob } from 'node:fs'
import type { Report } from '../../lib/imports/report.ts'

export type ApiAnswer<T> = { status: number; headers: Headers; body: T; ms: number }

export type Api = ReturnType<typeof createApi>

/** Calls of the HTTPS API with one key. Rejects with the error envelope's message for any status from 400. */
export function createApi(url: string, key: string) {
  async function call<T>(method: string, path: string, body?: object): Promise<ApiAnswer<T>> {
    const started = performance.now()
    const response = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      redirect: 'manual',
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const ms = performance.now() - started
    const json = text === '' ? undefined : JSON.parse(text)
    if (response.status >= 400) {
      throw new Error(`${method} ${path}: ${response.status} ${json?.message ?? text}`)
    }
    return { status: response.status, headers: response.headers, body: json, ms }
  }

  /** Uploads a file as a new import and answers its id once S3 has accepted it. */
  async function upload(file: string, filename: string): Promise<string> {
    const blob = await openAsBlob(file)
    const { body } = await call<{ id: string; upload: { url: string; headers: Record<string, string> } }>(
      'POST',
      '/api/imports',
      { filename, size: blob.size },
    )
    const { url: target, headers } = body.upload
    const answer = await fetch(target, { method: 'PUT', headers, body: blob })
    if (!answer.ok) throw new Error(`The upload was refused: ${answer.status} ${await answer.text()}`)
    return body.id
  }

  const report = async (id: string) => (await call<Report>('GET', `/api/imports/${id}`)).body

  return { call, upload, report }
}
