import { createHash, randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Blobs, openBlobs } from './blobs.ts'
import { existingObject } from './context.ts'
import { readJsonFolder, removeFile, writeJson } from './files.ts'
import { createSortedKeys } from './listing.ts'
import { createKeyedLock } from './lock.ts'
import { checkRules, type EventSource, eventRecord, matchingRules } from './notifications.ts'
import { openOutbox } from './outbox.ts'
import type { BucketSettings, S3EventName, StoredObject, Tag } from './types.ts'
import { openUploads, type Uploads } from './uploads.ts'

/** An object about to be stored: the bucket adds the version and the time. */
export type ObjectDraft = Omit<StoredObject, 'version' | 'modified'>

/** Throws an S3Error when the object that is there, or its absence, forbids the change. */
export type Precondition = (current: StoredObject | undefined) => void

export type CommitSource = { eventName: S3EventName; requestId: string; sourceIp: string }

export type Bucket = {
  name: string
  created: string
  settings: BucketSettings
  blobs: Blobs
  uploads: Uploads
  get(key: string): StoredObject | undefined
  /** All keys in S3's order. */
  keys(): readonly string[]
  /**
   * Makes the object visible in one durable step and publishes its events. The precondition is decided
   * in that step, against concurrent writers of the key. On an error the draft's blobs stay the caller's.
   */
  commit(draft: ObjectDraft, precondition: Precondition, source: CommitSource): Promise<StoredObject>
  remove(key: string, precondition: Precondition): Promise<void>
  /** Replaces the tags of the version that is there, which stays the same otherwise. Throws NoSuchKey. */
  setTags(key: string, tags: Tag[]): Promise<void>
  close(): void
}

export type BucketOptions = {
  folder: string
  name: string
  region: string
  settings: BucketSettings
  publish(queueArn: string, body: string): Promise<void>
  log(line: string): void
}

/** Loads the index of a bucket folder, which is made if needed, and sweeps what a crash left in it. */
export async function openBucket(options: BucketOptions): Promise<Bucket> {
  const { folder, name, region, log } = options
  checkRules(options.settings.notifications ?? [])
  const objectFolder = join(folder, 'objects')
  await mkdir(objectFolder, { recursive: true })
  const created = await readCreated(folder)
  const blobs = await openBlobs(join(folder, 'blobs'), log)
  const objects = new Map<string, StoredObject>()
  for (const object of await readJsonFolder<StoredObject>(objectFolder)) objects.set(object.key, object)
  const completed = new Set([...objects.values()].map(({ upload }) => upload))
  const uploads = await openUploads(join(folder, 'uploads'), blobs, completed)
  const used = [...objects.values(), ...uploads.parts()].flatMap(({ segments }) => segments)
  await blobs.sweep(new Set(used.map(({ blob }) => blob)))
  const sorted = createSortedKeys(objects.keys())
  const locked = createKeyedLock()
  const outbox = await openOutbox({
    folder: join(folder, 'outbox'),
    publish: options.publish,
    log,
    currentVersion: (key) => objects.get(key)?.version,
  })
  // Keys hold anything, so file names come from a digest; the key itself is inside.
  const sidecar = (key: string) =>
    join(objectFolder, `${createHash('sha256').update(key, 'utf8').digest('hex')}.json`)

  const bucket: Bucket = {
    name,
    created,
    settings: options.settings,
    blobs,
    uploads,
    get: (key) => objects.get(key),
    keys: () => sorted.keys,

    async commit(draft, precondition, source) {
      const { key } = draft
      const events: EventSource = { region, bucket: name, ...source }
      const { object, staged } = await locked(key, async () => {
        const current = objects.get(key)
        precondition(current)
        const object = { ...draft, version: randomUUID(), modified: new Date().toISOString() }
        const rules = matchingRules(bucket.settings.notifications ?? [], source.eventName, key)
        const records = rules.map(({ id, queueArn }) => ({
          queueArn,
          body: JSON.stringify({ Records: [eventRecord(events, object, id)] }),
        }))
        const staged = await outbox.stage(key, object.version, records)
        try {
          if (current !== undefined) await outbox.settle(key, current.version)
          await writeJson(sidecar(key), object)
        } catch (error) {
          await outbox.unstage(staged)
          throw error
        }
        objects.set(key, object)
        sorted.add(key)
        if (current !== undefined) await blobs.release(current.segments)
        return { object, staged }
      })
      await outbox.deliver(staged)
      return object
    },

    async remove(key, precondition) {
      await locked(key, async () => {
        const current = objects.get(key)
        precondition(current)
        if (current === undefined) return
        await outbox.settle(key, current.version)
        await removeFile(sidecar(key))
        objects.delete(key)
        sorted.remove(key)
        await blobs.release(current.segments)
      })
    },

    async setTags(key, tags) {
      await locked(key, async () => {
        const object = { ...existingObject(bucket, key), tags }
        await writeJson(sidecar(key), object)
        objects.set(key, object)
      })
    },

    close: () => outbox.close(),
  }
  return bucket
}

async function readCreated(folder: string): Promise<string> {
  const stored = (await readJsonFolder<{ created: string }>(folder))[0]
  if (stored !== undefined) return stored.created
  const created = new Date().toISOString()
  await writeJson(join(folder, 'bucket.json'), { created })
  return created
}
