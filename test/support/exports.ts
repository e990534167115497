import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { HeadObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { exportOwners } from '../../lib/exports/dead-letter.ts'
import { type ExportReport, exportReport } from '../../lib/exports/report.ts'
import type { ExportRequest } from '../../lib/exports/request.ts'
import { createExport, findExport } from '../../lib/exports/store.ts'
import { sweepExports } from '../../lib/exports/sweep.ts'
import { type WriteContext, writeExport } from '../../lib/exports/write.ts'
import { recordDeadLetter, redrive, type SourceQueues } from '../../lib/platform/dead-letters.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { heldQueue } from './imports.ts'
import { freshDatabase } from './postgres.ts'
import { startStorage } from './storage.ts'

export type ExportBench = Awaited<ReturnType<typeof startExportBench>>

/** Exports on a real database and a real S3, their messages in the test's hands. */
export async function startExportBench() {
  const [database, bucket] = await Promise.all([freshDatabase(), startStorage()])
  const { client, storage } = bucket
  const { sql } = database
  const { id: keyId } = await createKey(sql, { role: 'analyst', team: 'acme', label: 'test' })
  const [team] = await sql<{ id: string }[]>`select id from teams where name = 'acme'`
  const owner = { teamId: team!.id, keyId }
  const queue = heldQueue<{ export_id: string }>()
  const redriven = heldQueue<unknown>()
  const owners = exportOwners(3)
  const sources = {
    exports: {
      sendBodies: (bodies: readonly string[]) => redriven.send(bodies.map((body) => JSON.parse(body))),
      depth: async () => ({ ready: 0, in_flight: 0, delayed: 0 }),
    },
  } as unknown as SourceQueues
  const row = async (id: string) => (await findExport(sql, owner.teamId, id))!
  const bytes = async (id: string) => buffer(await storage.read((await row(id)).file_key!))

  return {
    sql,
    storage,
    owner,
    /** What a worker's environment holds. */
    env: {
      ...database.env,
      UPLOAD_BUCKET: 'uploads',
      ...bucket.env,
    },
    queue,
    redriven,
    create: async (request: ExportRequest, matches = 0, idempotencyKey?: string) => {
      const created = await createExport(sql, owner, request, matches, idempotencyKey)
      return { ...created, id: created.row.id }
    },
    write: (id: string, context: Partial<WriteContext> = {}) =>
      writeExport({ sql, storage, remainingMs: () => 60_000, ...context }, id),
    report: async (id: string): Promise<ExportReport> => exportReport(await row(id), new Date()),
    bytes,
    /** What S3 says of the file without being asked for anything. */
    async head(id: string) {
      return client.send(new HeadObjectCommand({ Bucket: 'uploads', Key: (await row(id)).file_key! }))
    },
    file: async (id: string) => (await bytes(id)).toString(),
    /** The keys of the objects that are there. */
    async objects(): Promise<string[]> {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'uploads' }))
      return Contents.map(({ Key = '' }) => Key)
    },
    /** Uploads in parts that were begun and neither completed nor given up. */
    async openUploads(): Promise<number> {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'uploads' }))
      return Uploads.length
    },
    sweep: () => sweepExports(sql, queue, { lease: 60, grace: 25, untried: 90, stalled: 900 }),
    /** Lets time pass. */
    age: (id: string, seconds: number) => sql`
      update exports set touched_at = touched_at - make_interval(secs => ${seconds}) where id = ${id}`,
    /** The export's message dies. */
    async die(id: string, sentAt = new Date()) {
      const body = JSON.stringify({ export_id: id })
      const message = { id: randomUUID(), body, attributes: {}, receiveCount: 4, sentAt }
      return (await recordDeadLetter(sql, 'exports', owners.exports, message)).verdict
    },
    redrive: () =>
      redrive(
        { sql, queues: sources, owners: owners as Parameters<typeof redrive>[0]['owners'] },
        'exports',
        'every',
        {
          all: true,
        },
      ),
    async clear(): Promise<void> {
      await sql`truncate exports, export_idempotency_keys, dead_letters`
      queue.messages.length = 0
      redriven.messages.length = 0
    },
    async close(): Promise<void> {
      await Promise.all([bucket.close(), database.close()])
    },
  }
}
