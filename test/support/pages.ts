import { globSync } from 'node:fs'
import { resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')

/** The pages of the documentation, from the root of the project. */
export function pageNames(): string[] {
  return ['README.md', ...globSync('docs/*.md', { cwd: root }).sort()]
}
