import { readFile, rename, rm, writeFile } from 'node:fs/promises'

/** Parsed JSON, or undefined where there is no such file. Throws, naming the file, where it is not JSON. */
export async function readJsonFile(file: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${file} is damaged: ${String(error)}`, { cause: error })
  }
}

/** Replaces a file in one step, readable by its owner alone from its first byte. */
export async function writePrivateJson(file: string, value: unknown): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`
  await rm(temporary, { force: true })
  await writeFile(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
  await rename(temporary, file)
}
