import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { parse } from 'csv-parse/sync'
import { inject } from 'vitest'
import { type Cloud, startCloud } from '../../infra/local/cloud.ts'
import type { Report } from '../../lib/imports/report.ts'
import type { OpenApiDocument } from '../../lib/platform/http/openapi.ts'
import type { Role } from '../../lib/platform/routes.ts'
import { contractOf } from '../support/contract.ts'
import { matchRoute } from '../support/http-event.ts'

export type Call = {
  /** Sent as `Authorization: Bearer`: that of the local administrator unless given; null sends none. */
  key?: string | null
  headers?: Record<string, string>
  /** Sent as JSON; a text is sent as it is. */
  body?: unknown
}

export type Answer = {
  status: number
  headers: Headers
  text: string
  /** Whatever JSON says; each test names the fields that it expects. */
  body: ReturnType<typeof JSON.parse>
}

export type Upload = { url: string; method: string; headers: Record<string, string>; expires_at: string }

export type TestCloud = Awaited<ReturnType<typeof startTestCloud>>

/** The folder of the app that was synthesised for this run. */
export function assemblyFolder(): string {
  const { outDir, error } = inject('assembly')
  if (error !== undefined) throw new Error(error)
  return outDir
}

/** A folder for a cloud's data. Under root its database runs as another user, who must be able to enter. */
export async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-e2e-'))
  await chmod(folder, 0o711)
  return folder
}

/** Resolves once the condition holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await setTimeout(50)
}

/** The check of an API's answers by the description that it serves itself, read once. */
function contractAt(url: string): () => Promise<ReturnType<typeof contractOf>> {
  let check: ReturnType<typeof contractOf> | undefined
  return async () => {
    if (check) return check
    const response = await fetch(`${url}/api/openapi.json`)
    check = contractOf((await response.json()) as OpenApiDocument)
    return check
  }
}

/** Calls of the API under `url`, redirects not followed. Throws for an answer that is not as described. */
export function apiOf(url: string, ownKey: string) {
  const contract = contractAt(url)
  return async (target: string, { key = ownKey, headers = {}, body }: Call = {}): Promise<Answer> => {
    const [method = 'GET', path] = target.split(' ')
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(key !== null && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const check = await contract()
    // What HEAD leaves out is not described.
    if (method !== 'HEAD') {
      check(matchRoute(method, new URL(url + path).pathname).routeKey, {
        status: response.status,
        header: (name) => response.headers.get(name) ?? undefined,
        text,
      })
    }
    const isJson = /^application\/json(?:;|$)/.test(response.headers.get('content-type') ?? '')
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && method !== 'HEAD' ? JSON.parse(text) : undefined,
    }
  }
}

/** Uploads by the API of one cloud as the local administrator, all by HTTP. */
export function importsOf(call: ReturnType<typeof apiOf>) {
  async function create(size: number, filename = 'people.csv'): Promise<{ id: string; upload: Upload }> {
    const { status, body, text } = await call('POST /api/imports', { body: { filename, size } })
    if (status !== 201) throw new Error(`POST /api/imports: ${status} ${text}`)
    return body
  }
  const put = (upload: Upload, body: Uint8Array<ArrayBuffer>) =>
    fetch(upload.url, { method: upload.method, headers: upload.headers, body })

  /** Answers the import's id once S3 has accepted the file. */
  async function upload(content: string | Uint8Array<ArrayBuffer>, filename?: string): Promise<string> {
    const body = typeof content === 'string' ? Buffer.from(content) : content
    const created = await create(body.length, filename)
    const answer = await put(created.upload, body)
    if (!answer.ok) throw new Error(`The upload was refused: ${answer.status} ${await answer.text()}`)
    return created.id
  }
  const report = async (id: string): Promise<Report> => (await call(`GET /api/imports/${id}`)).body

  async function finished(id: string): Promise<Report> {
    for (;;) {
      const now = await report(id)
      if (now.finished_at) return now
      await setTimeout(50)
    }
  }
  return {
    create,
    put,
    upload,
    report,
    finished,
    run: async (content: string | Uint8Array<ArrayBuffer>) => finished(await upload(content)),
    /** The rows of the file that the rejects route redirects to. */
    async rejects(id: string): Promise<Record<string, string>[]> {
      const { status, headers } = await call(`GET /api/imports/${id}/rejects`)
      if (status !== 302) throw new Error(`GET /api/imports/${id}/rejects: ${status}`)
      const file = await fetch(headers.get('location') ?? '')
      return parse(await file.text(), { columns: true }) as unknown as Record<string, string>[]
    },
  }
}

/**
 * A cloud over the run's one assembly, or over one of its own for another `context`, all its data in `dataDir`
 * (default: a folder that close() removes).
 */
export async function startTestCloud(dataDir?: string, context?: Record<string, string>) {
  const app = context ? { context } : { outDir: assemblyFolder() }
  const folder = dataDir ?? (await dataFolder())
  const removeFolder = async () => {
    if (dataDir === undefined) await rm(folder, { recursive: true, force: true })
  }
  const cloud: Cloud = await startCloud({ dataDir: folder, port: 0, ...app }).catch(
    async (error: unknown) => {
      await removeFolder()
      throw error
    },
  )
  const { credentials } = cloud
  const call = apiOf(cloud.url, credentials.api_key)
  return {
    ...cloud,
    dataDir: folder,
    call,
    imports: importsOf(call),
    /** A new key of a role and a team, with its id; `rateLimit` in requests per minute. */
    async newKey(role: Role, team = 'local', rateLimit?: number): Promise<{ key: string; id: string }> {
      const request = JSON.stringify({ action: 'create', role, team, label: 'test', rate_limit: rateLimit })
      return JSON.parse((await cloud.lambda.invoke(credentials.keys_function, request)).payload)
    },
    async revoke(id: string): Promise<void> {
      await cloud.lambda.invoke(credentials.keys_function, JSON.stringify({ action: 'revoke', id }))
    },
    /** The text of every log by file name. */
    async logs(): Promise<Map<string, string>> {
      const logs = new Map<string, string>()
      for (const name of await readdir(cloud.logDir)) {
        logs.set(name, await readFile(join(cloud.logDir, name), 'utf8'))
      }
      return logs
    },
    /** The sum of a metric of the last three hours over all its dimensions but those given. */
    metric(metric: string, dimensions: Record<string, string> = {}): number {
      return cloud.metrics
        .list()
        .filter((series) => series.metric === metric)
        .filter((series) =>
          Object.entries(dimensions).every(([name, value]) => series.dimensions[name] === value),
        )
        .flatMap((series) => cloud.metrics.query({ ...series, statistic: 'Sum' }))
        .reduce((sum, { value }) => sum + value, 0)
    },
    async close(): Promise<void> {
      await cloud.close()
      await removeFolder()
    },
  }
}
