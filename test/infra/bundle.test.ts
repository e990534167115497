import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { bundleFunctions } from '../../infra/bundle.ts'
import { temporaryFolder } from './synthesis.ts'

async function sources(folder: string): Promise<Record<string, string>> {
  const greeting = join(folder, 'greeting.ts')
  const migrate = join(folder, 'migrate.ts')
  await writeFile(
    greeting,
    `import { words } from './words.ts'
     export class GreetingError extends Error {}
     export const handler = async (name: string): Promise<string> => words + name`,
  )
  await writeFile(join(folder, 'words.ts'), `export const words: string = 'Good morning, '`)
  await writeFile(migrate, 'export const handler = async () => import.meta.url')
  return { greeting, migrate }
}

describe('bundling', () => {
  it('writes one self-contained module for each function, with the names of its classes', async () => {
    await using folder = await temporaryFolder()
    const outDir = join(folder.path, 'dist')
    await bundleFunctions({ outDir, entries: await sources(folder.path) })
    expect(await readdir(join(outDir, 'greeting'))).toEqual(['index.mjs'])
    const bundle = await import(pathToFileURL(join(outDir, 'greeting/index.mjs')).href)
    expect(await bundle.handler('Ada')).toBe('Good morning, Ada')
    expect(bundle.GreetingError.name).toBe('GreetingError')
  })

  it('puts every migration beside the function that applies them', async () => {
    await using folder = await temporaryFolder()
    const outDir = join(folder.path, 'dist')
    await bundleFunctions({ outDir, entries: await sources(folder.path) })
    const migrations = await readdir(join(import.meta.dirname, '../../lib/db/migrations'))
    expect((await readdir(join(outDir, 'migrate/migrations'))).sort()).toEqual(migrations.sort())
  })

  it('gives equal bytes for equal sources, wherever they go', async () => {
    await using folder = await temporaryFolder()
    const entries = await sources(folder.path)
    const [first, second] = [join(folder.path, 'a'), join(folder.path, 'deeper/b')]
    await bundleFunctions({ outDir: first, entries })
    await bundleFunctions({ outDir: second, entries })
    const read = (outDir: string) => readFile(join(outDir, 'greeting/index.mjs'), 'utf8')
    expect(await read(first)).toBe(await read(second))
    expect(await read(first)).not.toContain(folder.path)
  })

  it('leaves a bundle alone that is right, and takes away what no longer belongs', async () => {
    await using folder = await temporaryFolder()
    const outDir = join(folder.path, 'dist')
    const entries = await sources(folder.path)
    await bundleFunctions({ outDir, entries })
    const before = await stat(join(outDir, 'greeting/index.mjs'))
    await mkdir(join(outDir, 'greeting/old'))
    await writeFile(join(outDir, 'greeting/old/chunk.mjs'), '')
    await writeFile(join(outDir, 'migrate/migrations/0000_withdrawn.sql'), '')
    await bundleFunctions({ outDir, entries })
    expect((await stat(join(outDir, 'greeting/index.mjs'))).ino).toBe(before.ino)
    await expect(stat(join(outDir, 'greeting/old/chunk.mjs'))).rejects.toThrow('ENOENT')
    expect(await readdir(join(outDir, 'migrate/migrations'))).not.toContain('0000_withdrawn.sql')
  })

  it('names the source that is missing', async () => {
    await using folder = await temporaryFolder()
    const entries = { absent: join(folder.path, 'absent.ts') }
    await expect(bundleFunctions({ outDir: folder.path, entries })).rejects.toThrow('absent.ts')
  })
})
