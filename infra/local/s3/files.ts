import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

const unfinished = '.tmp'

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Replaces the file as one step that also survives a power cut: its old or its new content, never a half. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  const draft = `${path}${unfinished}`
  try {
    const file = await open(draft, 'w')
    try {
      await file.writeFile(JSON.stringify(value))
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Removes the file durably; one that is not there is no error. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true })
  await syncFolder(dirname(path))
}

/** Every `*.json` of a folder after removing the drafts that a crash left there. Unreadable JSON throws. */
export async function readJsonFolder<T>(path: string): Promise<T[]> {
  const names = await readdir(path)
  await Promise.all(names.filter((name) => name.endsWith(unfinished)).map((name) => rm(join(path, name))))
  const wanted = names.filter((name) => name.endsWith('.json'))
  const values: T[] = []
  // 64 at a time: a folder of 100,000 sidecars must not open them all at once.
  for (let start = 0; start < wanted.length; start += 64) {
    const batch = wanted.slice(start, start + 64).map((name) => readJson<T>(join(path, name)))
    values.push(...(await Promise.all(batch)))
  }
  return values
}

async function readJson<T>(path: string): Promise<T> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T
  } catch (cause) {
    throw new Error(`${path} cannot be read as JSON`, { cause })
  }
}
