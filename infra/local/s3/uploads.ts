import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Blobs } from './blobs.ts'
import type { Checksum, ChecksumAlgorithm, ChecksumType } from './checksum.ts'
import { S3Error } from './errors.ts'
import { readJsonFolder, removeFile, writeJson } from './files.ts'
import { createKeyedLock } from './lock.ts'
import type { Segment, Tag } from './types.ts'

export type Part = {
  number: number
  etag: string
  size: number
  modified: string
  segments: Segment[]
  checksum?: Checksum
}

export type Upload = {
  id: string
  key: string
  initiated: string
  headers: Record<string, string>
  metadata: Record<string, string>
  tags?: Tag[]
  checksum?: { algorithm: ChecksumAlgorithm; type: ChecksumType }
  parts: Map<number, Part>
}

type StoredUpload = Omit<Upload, 'parts'>

/** The multipart uploads in progress of one bucket. */
export type Uploads = {
  create(upload: Omit<StoredUpload, 'id' | 'initiated'>): Promise<Upload>
  /** Throws NoSuchUpload, also when the upload is for another key. */
  get(id: string, key: string): Upload
  all(): Upload[]
  parts(): Part[]
  putPart(upload: Upload, part: Part): Promise<void>
  /** Runs work that no part and no other end of the upload can interrupt. Throws NoSuchUpload. */
  exclusively<T>(id: string, key: string, work: (upload: Upload) => Promise<T>): Promise<T>
  /** Forgets the upload; the blobs of `kept` parts are somebody else's now. Only within `exclusively`. */
  finish(upload: Upload, kept: ReadonlySet<Part>): Promise<void>
}

/** Loads a folder of uploads. Those in `completed` were turned into an object just before a crash. */
export async function openUploads(
  folder: string,
  blobs: Blobs,
  completed: ReadonlySet<string | undefined>,
): Promise<Uploads> {
  await mkdir(folder, { recursive: true })
  const uploads = new Map<string, Upload>()
  const locked = createKeyedLock()
  const folderOf = (id: string) => join(folder, id)
  const headerOf = (id: string) => join(folder, `${id}.json`)
  const partFile = (id: string, number: number) => join(folderOf(id), `${number}.json`)

  for (const stored of await readJsonFolder<StoredUpload>(folder)) {
    if (completed.has(stored.id)) {
      await removeFile(headerOf(stored.id))
      continue
    }
    const parts = await readJsonFolder<Part>(folderOf(stored.id))
    uploads.set(stored.id, { ...stored, parts: new Map(parts.map((part) => [part.number, part])) })
  }
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory() && !uploads.has(entry.name)) await rm(folderOf(entry.name), { recursive: true })
  }

  function get(id: string, key: string): Upload {
    const upload = uploads.get(id)
    if (upload === undefined || upload.key !== key)
      throw new S3Error('NoSuchUpload', undefined, { UploadId: id })
    return upload
  }

  return {
    get,
    all: () => [...uploads.values()],
    parts: () => [...uploads.values()].flatMap(({ parts }) => [...parts.values()]),

    async create(draft) {
      const stored = { ...draft, id: randomBytes(24).toString('hex'), initiated: new Date().toISOString() }
      await mkdir(folderOf(stored.id))
      await writeJson(headerOf(stored.id), stored)
      const upload = { ...stored, parts: new Map<number, Part>() }
      uploads.set(upload.id, upload)
      return upload
    },

    async putPart({ id, key }, part) {
      await locked(id, async () => {
        const upload = get(id, key)
        const previous = upload.parts.get(part.number)
        await writeJson(partFile(id, part.number), part)
        upload.parts.set(part.number, part)
        if (previous !== undefined) await blobs.release(previous.segments)
      })
    },

    exclusively: (id, key, work) => locked(id, () => work(get(id, key))),

    async finish(upload, kept) {
      // The header goes first: without it the rest is swept at the next start.
      await removeFile(headerOf(upload.id))
      uploads.delete(upload.id)
      await rm(folderOf(upload.id), { recursive: true, force: true })
      for (const part of upload.parts.values()) {
        if (!kept.has(part)) await blobs.release(part.segments)
      }
    },
  }
}
