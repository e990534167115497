import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { parse } from 'csv-parse/sync'
import { finish } from '../../lib/imports/finish.ts'
import { insertSlice } from '../../lib/imports/insert.ts'
import { uploadKey } from '../../lib/imports/messages.ts'
import type { ImportOptions } from '../../lib/imports/options.ts'
import { keyOf, type RejectForm } from '../../lib/imports/rejects.ts'
import { type Report, reportOf } from '../../lib/imports/report.ts'
import type { sliceLimits } from '../../lib/imports/slices.ts'
import { splitImport } from '../../lib/imports/split.ts'
import { createImport, summarise } from '../../lib/imports/store.ts'
import type { Queue } from '../../lib/platform/queue.ts'
import { freshDatabase, type TestDatabase } from './postgres.ts'
import { startStorage } from './storage.ts'

type SliceMessage = { import_id: string; slice_no: number }

/** A queue that keeps what was sent, so that a test decides what is delivered when, and how often. */
export function heldQueue<T>(): Queue & { messages: T[] } {
  const messages: T[] = []
  return {
    messages,
    async send(more) {
      messages.push(...(more as T[]))
    },
  }
}

/** What an import is created with, beside its file. */
type How = { dry_run?: boolean; options?: ImportOptions }

export type ImportBench = Awaited<ReturnType<typeof startImportBench>>

/** The import path on a real database and a real S3, its messages in the test's hands. */
export async function startImportBench() {
  const [database, bucket] = await Promise.all([freshDatabase(), startStorage()])
  const { storage } = bucket
  const caller = await aCaller(database)
  const { sql } = database

  /** An import that awaits its upload. */
  async function create(size: number, { dry_run = false, options = {} }: How = {}): Promise<string> {
    const values = {
      ...caller,
      idempotency_key: null,
      filename: 'people.csv',
      size,
      expires_in_seconds: 60,
      dry_run,
      options,
    }
    return (await createImport(sql, values, uploadKey)).id
  }

  async function put(content: string | Uint8Array, how?: How): Promise<string> {
    const body = typeof content === 'string' ? Buffer.from(content) : content
    const id = await create(body.length, how)
    await storage.put(uploadKey(id), body, 'text/csv')
    return id
  }

  const report = async (id: string): Promise<Report> =>
    reportOf((await summarise(sql, caller.team_id, id))!, new Date())

  const context = { sql, storage, finish: heldQueue(), self: heldQueue(), remainingMs: () => 60_000 }

  async function splitWith(
    id: string,
    etag: string | undefined,
    limits?: typeof sliceLimits,
  ): Promise<SliceMessage[]> {
    const slices = heldQueue<SliceMessage>()
    await splitImport({ ...context, slices, ...(limits && { limits }) }, id, etag)
    return slices.messages
  }

  /** The same, of bytes that arrive in chunks of one length. */
  async function splitInChunks(id: string, bytes: number): Promise<SliceMessage[]> {
    const slices = heldQueue<SliceMessage>()
    const read: typeof storage.read = async (...which) => {
      const whole = await buffer(await storage.read(...which))
      const count = Math.ceil(whole.length / bytes)
      return Readable.from(
        Array.from({ length: count }, (_, n) => whole.subarray(n * bytes, (n + 1) * bytes)),
      )
    }
    await splitImport({ ...context, slices, storage: { ...storage, read } }, id)
    return slices.messages
  }

  /** Splits an uploaded file and answers its slices' messages, undelivered. */
  async function split(id: string, limits?: typeof sliceLimits): Promise<SliceMessage[]> {
    return splitWith(id, (await storage.head(uploadKey(id))).etag, limits)
  }

  /** The same by invocations that each find their time over after the first chunk. Answers how many it took. */
  async function splitInShortInvocations(id: string, limits: typeof sliceLimits): Promise<number> {
    let { etag }: { etag?: string } = await storage.head(uploadKey(id))
    for (let invocations = 1; ; invocations++) {
      let asked = 0
      const remainingMs = () => (asked++ === 0 ? 1000 : 0)
      const outcome = await splitImport({ ...context, limits, slices: heldQueue(), remainingMs }, id, etag)
      if (outcome !== 'continues') return invocations
      etag = undefined
    }
  }

  async function insert(messages: readonly SliceMessage[]): Promise<void> {
    for (const { import_id, slice_no } of messages) {
      await insertSlice({ sql, storage, finish: heldQueue() }, import_id, slice_no)
    }
  }

  async function rejectsCsv(id: string, form: RejectForm = 'report'): Promise<string> {
    const { rejects_key } = (await summarise(sql, caller.team_id, id))!
    return text(await storage.read(keyOf(rejects_key!, form)))
  }

  /** The whole way of one file, slices in the order that `order` gives them. */
  async function run(
    content: string | Uint8Array,
    limits?: typeof sliceLimits,
    order: (messages: SliceMessage[]) => SliceMessage[] = (messages) => messages,
    how?: How,
  ): Promise<Report> {
    const id = await put(content, how)
    await insert(order(await split(id, limits)))
    await finish({ sql, storage }, id)
    return report(id)
  }

  return {
    sql,
    storage,
    teamId: caller.team_id,
    create,
    put,
    split,
    splitWith,
    splitInChunks,
    splitInShortInvocations,
    insert,
    finish: (id: string) => finish({ sql, storage }, id),
    report,
    run,
    rejectsCsv,
    rejects: async (id: string) => readRejects(await rejectsCsv(id)),
    async names(): Promise<string[]> {
      return (await sql<{ name: string }[]>`select name from profiles order by name`).map(({ name }) => name)
    },
    async clear(): Promise<void> {
      await sql`truncate profiles, facets, profile_edits, name_twins, imports, dead_letters cascade`
    },
    async close(): Promise<void> {
      await Promise.all([bucket.close(), database.close()])
    },
  }
}

async function aCaller({ sql }: TestDatabase): Promise<{ team_id: string; created_by: string }> {
  const [team] = await sql`insert into teams (name) values ('test') returning id`
  const [key] = await sql`
    insert into api_keys (team_id, label, role, hash)
    values (${team!.id}, 'test', 'admin', ${Buffer.alloc(32)}) returning id`
  return { team_id: team!.id, created_by: key!.id }
}

export type RejectedRow = {
  row: string
  line: string
  reason: string
  column: string
  value: string
  detail: string
  raw: string
}

function readRejects(csv: string): RejectedRow[] {
  return parse(csv, { columns: true, record_delimiter: '\r\n' }) as unknown as RejectedRow[]
}
