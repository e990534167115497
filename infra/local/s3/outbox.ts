import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readJsonFolder, removeFile, writeJson } from './files.ts'

const firstRetryMs = 250
const maxRetryMs = 30_000

/** An event that is still to be published. Until `committed`, it counts only if its object version is there. */
type Entry = {
  id: string
  key: string
  version: string
  committed: boolean
  queueArn: string
  body: string
}

export type Staged = { queueArn: string; body: string }

/**
 * The events of a bucket between commit and publish. An entry is on disk before its object becomes
 * visible, so an object without its event cannot exist; a crash before the commit leaves an entry whose
 * version never came, which is dropped. Delivery is at least once, as in AWS.
 */
export type Outbox = {
  stage(key: string, version: string, events: readonly Staged[]): Promise<string[]>
  unstage(ids: readonly string[]): Promise<void>
  /** Publishes once at once; after a failure again in the background, until it succeeds. Never rejects. */
  deliver(ids: readonly string[]): Promise<void>
  /** To be called before a version goes: its unpublished events no longer find it after a restart. */
  settle(key: string, version: string): Promise<void>
  close(): void
}

export type OutboxOptions = {
  folder: string
  publish(queueArn: string, body: string): Promise<void>
  log(line: string): void
  currentVersion(key: string): string | undefined
}

export async function openOutbox({ folder, publish, log, currentVersion }: OutboxOptions): Promise<Outbox> {
  await mkdir(folder, { recursive: true })
  const entries = new Map<string, Entry>()
  const closing = Promise.withResolvers<'closing'>()
  let retryTimer: NodeJS.Timeout | undefined
  let retryMs = firstRetryMs
  let closed = false
  const waiting = new Set<string>()
  const pathOf = (id: string) => join(folder, `${id}.json`)

  async function attempt(id: string): Promise<void> {
    const entry = entries.get(id)
    if (entry === undefined || closed) return
    try {
      const publishing = publish(entry.queueArn, entry.body)
      if ((await Promise.race([publishing, closing.promise])) === 'closing') return
      entries.delete(id)
      await removeFile(pathOf(id))
    } catch (error) {
      if (closed) return
      if (!entries.has(id)) {
        log(`event ${id} was published and may be so again at the next start: ${String(error)}`)
        return
      }
      waiting.add(id)
      log(`event ${id} to ${entry.queueArn} was not published, again in ${retryMs} ms: ${String(error)}`)
      schedule()
    }
  }

  function schedule(): void {
    if (closed || retryTimer !== undefined) return
    retryTimer = setTimeout(async () => {
      const due = [...waiting]
      waiting.clear()
      await Promise.all(due.map(attempt))
      retryTimer = undefined
      retryMs = waiting.size === 0 ? firstRetryMs : Math.min(retryMs * 2, maxRetryMs)
      if (waiting.size > 0) schedule()
    }, retryMs)
    retryTimer.unref()
  }

  for (const entry of await readJsonFolder<Entry>(folder)) {
    if (!entry.committed && currentVersion(entry.key) !== entry.version) {
      await removeFile(pathOf(entry.id))
      continue
    }
    entries.set(entry.id, entry)
    waiting.add(entry.id)
  }
  if (waiting.size > 0) schedule()

  return {
    async stage(key, version, events) {
      const ids: string[] = []
      for (const event of events) {
        const entry = { id: randomUUID(), key, version, committed: false, ...event }
        await writeJson(pathOf(entry.id), entry)
        entries.set(entry.id, entry)
        ids.push(entry.id)
      }
      return ids
    },

    async unstage(ids) {
      for (const id of ids) {
        entries.delete(id)
        await removeFile(pathOf(id))
      }
    },

    async deliver(ids) {
      await Promise.all(ids.map(attempt))
    },

    async settle(key, version) {
      for (const entry of entries.values()) {
        if (entry.key !== key || entry.version !== version || entry.committed) continue
        await writeJson(pathOf(entry.id), { ...entry, committed: true })
        entry.committed = true
        // Published meanwhile: the file just written must not bring the event back.
        if (!entries.has(entry.id)) await removeFile(pathOf(entry.id))
      }
    },

    close() {
      closed = true
      closing.resolve('closing')
      clearTimeout(retryTimer)
    },
  }
}
