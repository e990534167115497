import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { keyOf, type RejectForm } from '../../lib/imports/rejects.ts'
import { type ImportState, states } from '../../lib/imports/report.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { queueVariables } from '../../lib/platform/names.ts'
import { call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'

let folder: string
let database: TestDatabase
let sqs: Sqs
let bucket: Awaited<ReturnType<typeof startStorage>>
let key: string
let imports: typeof import('../../functions/imports.ts').handler

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-import-states-'))
  database = await freshDatabase()
  bucket = await startStorage()
  sqs = await startSqs({ dataDir: folder, region: bucket.region, credentials: bucket.credentials })
  for (const [name, value] of Object.entries({ ...database.env, ...bucket.env })) vi.stubEnv(name, value)
  vi.stubEnv('AWS_ENDPOINT_URL_SQS', sqs.url)
  vi.stubEnv('UPLOAD_BUCKET', 'uploads')
  for (const [name, { source }] of Object.entries(queueVariables)) {
    vi.stubEnv(source, sqs.createQueue(`insighta-test-${name}`).url)
  }
  key = (await createKey(database.sql, { role: 'admin', team: 'acme', label: 'admin' })).key
  imports = (await import('../../functions/imports.ts')).handler
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), sqs.close(), bucket.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

type Situation = {
  state: ImportState
  finished: boolean
  failure?: string
  retried?: boolean
  removal?: 'running' | 'done'
  /** Of its slices; without any, it was never scanned. */
  slice?: 'pending' | 'done' | 'failed' | 'cancelled'
  /** Which files of skipped rows are stored. */
  rejects?: RejectForm[]
  upload?: 'gone' | 'replaced'
}

async function anImport({ state, finished, failure, retried, removal, slice, ...files }: Situation) {
  const id = randomUUID()
  const upload = `uploads/${id}/source.csv`
  await bucket.storage.put(upload, 'x', 'text/csv')
  const etag = slice ? (await bucket.storage.head(upload)).etag : null
  if (files.upload === 'gone') await bucket.storage.remove(upload)
  if (files.upload === 'replaced') await bucket.storage.put(upload, 'other', 'text/csv')
  const rejects = files.rejects ? `rejects/${id}/file.csv` : null
  for (const form of files.rejects ?? []) await bucket.storage.put(keyOf(rejects!, form), form, 'text/csv')
  const { sql } = database
  await sql`
    insert into imports (id, team_id, filename, size, object_key, etag, upload_expires_at, state, slices_total,
      failure, finished_at, started_at, rejects_key, removal_state, retried_at)
    select ${id}, id, 'people.csv', 1, ${upload}, ${etag}, now(), ${state}, ${slice ? 1 : 0},
      ${failure ? sql.json({ code: failure, message: 'It failed' }) : null},
      case when ${finished} then now() end, now(), ${rejects}, ${removal ?? null},
      case when ${retried ?? false} then now() end
    from teams where name = 'acme'`
  if (slice) {
    await sql`
      insert into import_slices (import_id, slice_no, byte_start, byte_end, first_row, first_line, record_count,
        state, error)
      values (${id}, 0, 0, 1, 1, 1, 1, ${slice}, case when ${slice === 'failed'} then 'It failed' end)`
  }
  return id
}

/** What a route returns: its status alone, or a code with words of its message. */
type Outcome = number | [code: string, words: RegExp]

type Expected = {
  retry: Outcome
  cancel: Outcome
  remove: Outcome
  rejects: Outcome
  /** Of the file of whole rows, if it differs. */
  rows?: Outcome
}

const both: RejectForm[] = ['report', 'rows']
const running = /still running: cancel it, or wait/
const cases: [string, Situation, Expected][] = [
  [
    'awaiting its upload',
    { state: 'awaiting_upload', finished: false },
    {
      retry: ['not_retryable', /^Nothing of this import has failed: it is awaiting_upload$/],
      cancel: 200,
      remove: ['not_finished', running],
      rejects: ['not_finished', /waits for its file/],
    },
  ],
  [
    'splitting',
    { state: 'splitting', finished: false },
    {
      retry: ['not_retryable', /has failed: it is splitting/],
      cancel: 200,
      remove: ['not_finished', running],
      rejects: ['not_finished', /has not finished: it is splitting/],
    },
  ],
  [
    'inserting',
    { state: 'inserting', finished: false, slice: 'pending' },
    {
      retry: ['not_retryable', /has failed: it is inserting/],
      cancel: 200,
      remove: ['not_finished', running],
      rejects: ['not_finished', /has not finished: it is inserting/],
    },
  ],
  [
    'inserting what a retry runs',
    { state: 'inserting', finished: false, slice: 'pending', retried: true },
    { retry: 200, cancel: 200, remove: ['not_finished', running], rejects: ['not_finished', /inserting/] },
  ],
  [
    'finishing',
    { state: 'finishing', finished: false, slice: 'done' },
    {
      retry: ['not_retryable', /has failed: it is finishing/],
      cancel: ['not_cancellable', /finishes in a moment/],
      remove: ['not_finished', /finishes in a moment: try again/],
      rejects: ['not_finished', /has not finished: it is finishing/],
    },
  ],
  [
    'completed',
    { state: 'completed', finished: true, slice: 'done', rejects: both },
    {
      retry: ['not_retryable', /every row is inserted or skipped/],
      cancel: ['not_cancellable', /has ended already: it is completed/],
      remove: 202,
      rejects: 302,
    },
  ],
  [
    'completed before whole rows were kept',
    { state: 'completed', finished: true, slice: 'done', rejects: ['report'] },
    {
      retry: ['not_retryable', /every row/],
      cancel: ['not_cancellable', /completed/],
      remove: 202,
      rejects: 302,
      rows: ['not_available', /older than this form: import its file again/],
    },
  ],
  [
    'completed so long ago that its files have expired',
    { state: 'completed', finished: true, slice: 'done', rejects: [] },
    {
      retry: ['not_retryable', /every row/],
      cancel: ['not_cancellable', /completed/],
      remove: 202,
      rejects: ['not_available', /has expired/],
    },
  ],
  [
    'completed with failures',
    { state: 'completed_with_failures', finished: true, slice: 'failed', rejects: both },
    { retry: 200, cancel: ['not_cancellable', /completed_with_failures/], remove: 202, rejects: 302 },
  ],
  [
    'completed with failures, its upload deleted',
    { state: 'completed_with_failures', finished: true, slice: 'failed', rejects: both, upload: 'gone' },
    {
      retry: ['not_retryable', /^The uploaded file was deleted, or has expired: begin a new import$/],
      cancel: ['not_cancellable', /completed_with_failures/],
      remove: 202,
      rejects: 302,
    },
  ],
  [
    'completed with failures, its upload replaced',
    { state: 'completed_with_failures', finished: true, slice: 'failed', rejects: both, upload: 'replaced' },
    {
      retry: ['not_retryable', /^The uploaded file was replaced: begin a new import$/],
      cancel: ['not_cancellable', /completed_with_failures/],
      remove: 202,
      rejects: 302,
    },
  ],
  [
    'failed because of its file',
    { state: 'failed', finished: true, failure: 'missing_columns' },
    {
      retry: ['not_retryable', /failed with missing_columns, and would again: begin a new import/],
      cancel: ['not_cancellable', /has ended already: it is failed/],
      remove: 202,
      rejects: 302,
    },
  ],
  [
    'failed because its scan did',
    { state: 'failed', finished: true, failure: 'split_failed' },
    { retry: 200, cancel: ['not_cancellable', /it is failed/], remove: 202, rejects: 302 },
  ],
  [
    'failed because its scan did, its upload deleted',
    { state: 'failed', finished: true, failure: 'split_failed', upload: 'gone' },
    {
      retry: ['not_retryable', /was deleted, or has expired: begin a new import/],
      cancel: ['not_cancellable', /it is failed/],
      remove: 202,
      rejects: 302,
    },
  ],
  [
    'cancelled before its scan',
    { state: 'cancelled', finished: true },
    { retry: ['not_retryable', /was cancelled: begin/], cancel: 200, remove: 202, rejects: 302 },
  ],
  [
    'cancelled, with a worker at its last slice',
    { state: 'cancelled', finished: false, slice: 'pending' },
    {
      retry: ['not_retryable', /was cancelled: begin/],
      cancel: 200,
      remove: ['not_finished', /was cancelled, and its last rows are being written: try again/],
      rejects: ['not_finished', /was cancelled, and its last rows are being counted: try again/],
    },
  ],
  [
    'cancelled and finished',
    { state: 'cancelled', finished: true, slice: 'cancelled', rejects: both },
    { retry: ['not_retryable', /was cancelled: begin/], cancel: 200, remove: 202, rejects: 302 },
  ],
  [
    'completed, its profiles being removed',
    { state: 'completed', finished: true, slice: 'done', rejects: both, removal: 'running' },
    {
      retry: ['not_retryable', /profiles of this import are being removed/],
      cancel: ['not_cancellable', /it is completed/],
      remove: 202,
      rejects: 302,
    },
  ],
  [
    'completed with failures, its profiles removed',
    { state: 'completed_with_failures', finished: true, slice: 'failed', rejects: both, removal: 'done' },
    {
      retry: ['not_retryable', /profiles of this import were removed: begin a new import/],
      cancel: ['not_cancellable', /completed_with_failures/],
      remove: 202,
      rejects: 302,
    },
  ],
]

const ask = (target: string) => call(imports, target, { key })

describe('an import', () => {
  it('is seen here in every state', () => {
    expect(new Set(cases.map(([, { state }]) => state))).toEqual(new Set(states))
  })

  it.each(cases)(
    'that is %s takes the calls that make sense, and says why it refuses the others',
    async (_, situation, expected) => {
      const routes: [string, Outcome][] = [
        ['POST /api/imports/{id}/retry', expected.retry],
        ['POST /api/imports/{id}/cancel', expected.cancel],
        ['DELETE /api/imports/{id}/profiles', expected.remove],
        ['GET /api/imports/{id}/rejects', expected.rejects],
        ['GET /api/imports/{id}/rejects?format=report', expected.rejects],
        ['GET /api/imports/{id}/rejects?format=rows', expected.rows ?? expected.rejects],
      ]
      for (const [route, outcome] of routes) {
        // One of its own for each: a call that succeeds leaves another state behind.
        const id = await anImport(situation)
        const { status, body } = await ask(route.replace('{id}', id))
        if (typeof outcome === 'number') expect([route, status]).toEqual([route, outcome])
        else {
          expect([route, status, body.code]).toEqual([route, 409, outcome[0]])
          expect(body.message).toMatch(outcome[1])
        }
      }
    },
  )

  it('shows the address of its skipped rows once they can be had, and not before', async () => {
    for (const [, situation, { rejects }] of cases) {
      const id = await anImport(situation)
      const { body } = await ask(`GET /api/imports/${id}`)
      const early = Array.isArray(rejects) && rejects[0] === 'not_finished'
      expect(body.rejects_url).toBe(early ? null : `/api/imports/${id}/rejects`)
    }
  })
})

describe('skipped rows of an import that was never scanned', () => {
  const file = async (id: string, format: RejectForm) => {
    const { status, headers } = await ask(`GET /api/imports/${id}/rejects?format=${format}`)
    expect(status).toBe(302)
    const response = await fetch(String(headers.location))
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    return {
      name: response.headers.get('content-disposition'),
      text: Buffer.from(await response.arrayBuffer()).toString(),
    }
  }

  it('are a header, however often they are asked for, in both forms', async () => {
    const id = await anImport({ state: 'failed', finished: true, failure: 'not_csv' })
    for (const _ of [1, 2]) {
      expect(await file(id, 'report')).toEqual({
        name: `attachment; filename="rejects-${id}.csv"`,
        text: 'row,line,reason,column,value,detail,raw\r\n',
      })
      expect(await file(id, 'rows')).toEqual({
        name: `attachment; filename="rows-${id}.csv"`,
        text: '\ufeffreject_reason,reject_detail,name,gender,age,country_id,gender_probability,country_probability\r\n',
      })
    }
  })

  it('are led to by JSON for a client that asks for it, like any other file', async () => {
    const id = await anImport({ state: 'cancelled', finished: true })
    const accept = { accept: 'application/json' }
    const { status, body } = await call(imports, `GET /api/imports/${id}/rejects?format=rows`, {
      key,
      headers: accept,
    })
    expect(status).toBe(200)
    expect(await (await fetch(body.url)).text()).toMatch(/^reject_reason,reject_detail,name,/)
  })

  it('cannot be had in a form that is none', async () => {
    const id = await anImport({ state: 'cancelled', finished: true })
    const { status, body } = await ask(`GET /api/imports/${id}/rejects?format=xlsx`)
    expect([status, body.details[0].field]).toEqual([422, 'format'])
  })
})

it('a second removal of what was removed is the report that says so', async () => {
  const id = await anImport({
    state: 'completed',
    finished: true,
    slice: 'done',
    rejects: both,
    removal: 'done',
  })
  const { status, body } = await ask(`DELETE /api/imports/${id}/profiles`)
  expect([status, body.removal.state]).toEqual([202, 'done'])
})
