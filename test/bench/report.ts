import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Sql } from '../../lib/platform/db.ts'

const run = promisify(execFile)

/** What the figures were measured on, in one line. */
export async function surroundings(sql: Sql): Promise<string> {
  const [server] = await sql<{ server_version: string; shared_buffers: string }[]>`
    select current_setting('server_version') as server_version,
      current_setting('shared_buffers') as shared_buffers`
  const processors = cpus()
  const facts = [
    new Date().toISOString().slice(0, 10),
    `revision ${await revision()}`,
    `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown processor'}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `${type()} ${release()}`,
    `Node.js ${process.versions.node}`,
    `PostgreSQL ${server!.server_version} with ${server!.shared_buffers} of shared buffers`,
  ]
  return `Measured ${facts.join(', ')}.`
}

async function revision(): Promise<string> {
  const git = async (...args: string[]) => (await run('git', args)).stdout.trim()
  try {
    const commit = await git('rev-parse', '--short', 'HEAD')
    return (await git('status', '--porcelain')) === '' ? commit : `${commit} with uncommitted changes`
  } catch {
    return 'unknown'
  }
}

/** A Markdown table; all columns but the first and those of text are numbers and stand to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

/** A number in English digits, with `digits` behind the point; a dash where there is none. */
export function figure(value: number, digits = 0): string {
  if (Number.isNaN(value)) return '-'
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/**
 * Puts the text between the markers `<!-- name:begin -->` and `<!-- name:end -->` of `<folder>/benchmarks.md`;
 * all else in the page stays. Markers that are not there are added at its end.
 */
export async function writeSection(folder: string, name: string, text: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const file = join(folder, 'benchmarks.md')
  const page = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '# Benchmarks\n'
    throw error
  })
  await writeFile(file, replaceSection(page, name, text))
}

/** The page with the section's text replaced. */
export function replaceSection(page: string, name: string, text: string): string {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const from = page.indexOf(begin)
  const to = page.indexOf(end, from)
  const section = `${begin}\n${text.trim()}\n${end}`
  if (from < 0 || to < 0) return `${page.trimEnd()}\n\n${section}\n`
  return page.slice(0, from) + section + page.slice(to + end.length)
}
