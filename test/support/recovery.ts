import { randomUUID } from 'node:crypto'
import { exportOwners } from '../../lib/exports/dead-letter.ts'
import { attemptSlice } from '../../lib/imports/attempt.ts'
import { cancelImport } from '../../lib/imports/cancel.ts'
import { commitImport } from '../../lib/imports/commit.ts'
import { importOwners } from '../../lib/imports/dead-letter.ts'
import { insertSlice } from '../../lib/imports/insert.ts'
import { uploadKey } from '../../lib/imports/messages.ts'
import { retryImport } from '../../lib/imports/retry.ts'
import { splitImport } from '../../lib/imports/split.ts'
import { sweepImports } from '../../lib/imports/sweep.ts'
import { interviewOwners } from '../../lib/interviews/dead-letter.ts'
import { type DeadLetter, listDeadLetters } from '../../lib/platform/dead-letter-store.ts'
import {
  recordDeadLetter,
  redrive,
  redriveAfterOutage,
  type SourceQueues,
  sendUnsent,
} from '../../lib/platform/dead-letters.ts'
import { type QueueName, queues } from '../../lib/platform/names.ts'
import type { SourceQueue } from '../../lib/platform/queue.ts'
import type { Storage } from '../../lib/platform/storage.ts'
import { heldQueue, startImportBench } from './imports.ts'

export type Slice = { import_id: string; slice_no: number }

/** Deliveries before a message of this bench is a dead letter. */
const deliveries = 3

export type RecoveryBench = Awaited<ReturnType<typeof startRecoveryBench>>

/** The import bench with its ways back: dead letters, redrive, retry, cancel and the sweep. */
export async function startRecoveryBench() {
  const bench = await startImportBench()
  const { sql, storage, teamId } = bench
  const owners = { ...importOwners(deliveries), ...exportOwners(deliveries), ...interviewOwners(deliveries) }
  const sent = {
    objects: heldQueue(),
    slices: heldQueue<Slice>(),
    finish: heldQueue(),
    removals: heldQueue(),
  }
  const redriven = { bodies: [] as unknown[], down: false }
  const source: SourceQueue = {
    async sendBodies(bodies) {
      if (redriven.down) throw new Error('the queue is down')
      redriven.bodies.push(...bodies.map((body) => JSON.parse(body)))
    },
    depth: async () => ({ ready: 0, in_flight: 0, delayed: 0 }),
  }
  const sources = Object.fromEntries(Object.values(queues).map((name) => [name, source])) as SourceQueues

  /** A dead letter as the queue would deliver it after `deliveries` attempts. */
  async function die(queue: QueueName, body: unknown, message: { id?: string; sentAt?: Date } = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const { id = randomUUID(), sentAt = new Date() } = message
    const attributes = { ApproximateReceiveCount: '4', SentTimestamp: String(sentAt.getTime()) }
    const letter = { id, body: text, attributes, receiveCount: 4, sentAt }
    return (await recordDeadLetter(sql, queue, owners[queue], letter)).verdict
  }

  /** One delivery of a slice's message; answers the error where it failed. */
  async function attempt(slice: Slice, from: Storage = storage): Promise<unknown> {
    const { import_id, slice_no } = slice
    try {
      await attemptSlice(sql, import_id, slice_no, () =>
        insertSlice({ sql, storage: from, finish: sent.finish }, import_id, slice_no),
      )
      return undefined
    } catch (error) {
      return error
    }
  }

  return {
    ...bench,
    sent,
    redriven,
    die,
    attempt,
    /** All deliveries of a slice fail, each in this way, and its message dies. */
    async exhaust(slice: Slice, from?: Storage) {
      for (let delivery = 0; delivery < deliveries; delivery++) await attempt(slice, from)
      return die('import-slices', slice)
    },
    /** The bucket while an object cannot be read. */
    failing: (error: Error): Storage => ({ ...storage, read: () => Promise.reject(error) }),
    retry: (id: string, team = teamId, from: Pick<Storage, 'head'> = storage) =>
      retryImport({ sql, storage: from, objects: sent.objects, slices: sent.slices }, team, id),
    commit: (id: string, team = teamId, from: Storage = storage) =>
      commitImport({ sql, storage: from, objects: sent.objects }, team, id),
    cancel: (id: string, team = teamId) => cancelImport({ sql, finish: sent.finish }, team, id),
    sweep: () => {
      const waits = { stalledAfter: 900, uploadCheck: 300, uploadGrace: 7200 }
      return sweepImports({ sql, storage, ...sent, waits })
    },
    redrive: (queue: QueueName, chosen: { ids: string[] } | { all: true } = { all: true }) =>
      redrive({ sql, queues: sources, owners }, queue, 'every', chosen),
    redriveAfterOutage: (seconds = 0) =>
      redriveAfterOutage({ sql, queues: sources, owners }, { seconds, redrives: 5 }),
    sendUnsent: () => sendUnsent({ sql, queues: sources }, 0),
    letters: (queue: QueueName, state: DeadLetter['state'] = 'open') =>
      listDeadLetters(sql, queue, 'every', { state, cursor: undefined, limit: 100 }),
    /** Splits with another view of the bucket. */
    splitFrom: (from: Storage, id: string, etag: string) =>
      splitImport(
        {
          sql,
          storage: from,
          self: sent.objects,
          slices: sent.slices,
          finish: sent.finish,
          remainingMs: () => 60_000,
        },
        id,
        etag,
      ),
    /** Lets time pass for the sweep. */
    async age(id: string, seconds: number): Promise<void> {
      await sql`update imports set touched_at = touched_at - make_interval(secs => ${seconds}) where id = ${id}`
      await sql`
        update import_slices set touched_at = touched_at - make_interval(secs => ${seconds})
        where import_id = ${id}`
    },
    key: uploadKey,
    async clear(): Promise<void> {
      await bench.clear()
      for (const queue of Object.values(sent)) queue.messages.length = 0
      redriven.bodies.length = 0
      redriven.down = false
    },
  }
}
