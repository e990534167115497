import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { env } from '../lib/platform/names.ts'

const program = join(import.meta.dirname, 'describe.ts')

/**
 * The API's description as texts by file name: the OpenAPI document and the page made from it. Made from the
 * schemas of all functions in a process of its own, since a function reads its settings as it is loaded and is
 * never unloaded. Throws where a function cannot be loaded or a schema not be described.
 */
export async function describeApi(): Promise<Map<string, string>> {
  // Nothing is called: any text will do that is a number too.
  const settings = Object.fromEntries(Object.values(env).map((name) => [name, '1']))
  const { stdout } = await promisify(execFile)(process.execPath, [program], {
    env: { PATH: process.env.PATH, ...settings },
    maxBuffer: 64 * 1024 * 1024,
  })
  return new Map(Object.entries(JSON.parse(stdout) as Record<string, string>))
}
