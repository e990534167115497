import { posix } from 'node:path'

/** A part of the tree and what its files may import: folders end in a slash, the rest are files. */
type Part = { folder: string; mayImport: readonly string[]; typesFrom?: readonly string[] }

/** The four floors of functions and lib, arrows only down, and what stands beside them. */
const parts: readonly Part[] = [
  {
    folder: 'functions/',
    mayImport: [
      'lib/privacy/',
      'lib/imports/',
      'lib/exports/',
      'lib/profiles/',
      'lib/interviews/',
      'lib/db/',
      'lib/platform/',
    ],
  },
  {
    folder: 'lib/privacy/',
    mayImport: [
      'lib/privacy/',
      'lib/imports/',
      'lib/exports/',
      'lib/profiles/',
      'lib/interviews/',
      'lib/platform/',
    ],
  },
  { folder: 'lib/imports/', mayImport: ['lib/imports/', 'lib/profiles/', 'lib/platform/'] },
  { folder: 'lib/exports/', mayImport: ['lib/exports/', 'lib/profiles/', 'lib/platform/'] },
  { folder: 'lib/profiles/', mayImport: ['lib/profiles/', 'lib/platform/'] },
  { folder: 'lib/interviews/', mayImport: ['lib/interviews/', 'lib/platform/'] },
  { folder: 'lib/db/', mayImport: ['lib/db/', 'lib/platform/'] },
  { folder: 'lib/platform/', mayImport: ['lib/platform/'] },
  // The program that describes the API at build time loads what it describes.
  { folder: 'infra/describe.ts', mayImport: ['functions/', 'lib/platform/'] },
  {
    folder: 'infra/',
    mayImport: [
      'infra/',
      'lib/platform/names.ts',
      'lib/platform/routes.ts',
      'lib/platform/model-settings.ts',
    ],
  },
  // A client is another program: what it shares with the server is the shape of the answers.
  { folder: 'clients/', mayImport: ['clients/'], typesFrom: ['lib/'] },
]

type Import = { path: string; typesOnly: boolean }

const clause = String.raw`(?:\*(?:\s+as\s+\w+)?|\{[^}]*\}|\w+(?:\s*,\s*(?:\{[^}]*\}|\*\s+as\s+\w+))?)`
const statement = new RegExp(
  String.raw`^(?:import|export)\s+(type\s+)?(${clause})\s+from\s+['"]([^'"]+)['"]`,
  'gm',
)
const bare = /^import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm

/** The relative imports of a source file, as paths from the project's root. */
export function importsOf(file: string, source: string): Import[] {
  const found: Import[] = []
  for (const [, type, names = '', path = ''] of source.matchAll(statement)) {
    const specifiers = names.startsWith('{') ? names.slice(1, -1).split(',') : [names]
    const isType = (name: string) => name.trim() === '' || /^\s*type\s/.test(name)
    found.push({ path, typesOnly: type !== undefined || specifiers.every(isType) })
  }
  for (const [, first, second] of source.matchAll(bare)) {
    found.push({ path: first ?? second ?? '', typesOnly: false })
  }
  return found
    .filter(({ path }) => path.startsWith('.'))
    .map(({ path, typesOnly }) => ({ path: posix.join(posix.dirname(file), path), typesOnly }))
}

const sqlText = /`\s*(?:select|insert|update|delete|with|merge|create|alter|drop|truncate)\s[^`]*`/gi

/**
 * What in a tree of source files (path from the root to text) breaks the layout: imports that go up or
 * sideways, default exports outside configuration, SQL in a function. Empty where nothing does.
 */
export function layoutProblems(files: ReadonlyMap<string, string>): string[] {
  const problems: string[] = []
  for (const [file, source] of files) {
    if (/^export\s+default\b|^export\s*\{[^}]*\bas\s+default\b/m.test(source) && !file.endsWith('.config.ts'))
      problems.push(`${file} has a default export`)
    if (file.startsWith('functions/')) {
      for (const _ of source.matchAll(sqlText)) problems.push(`${file} holds SQL`)
    }
    const part = parts.find(({ folder }) => file.startsWith(folder))
    if (!part) continue
    for (const { path, typesOnly } of importsOf(file, source)) {
      const allowed = [...part.mayImport, ...(typesOnly ? (part.typesFrom ?? []) : [])]
      if (!allowed.some((place) => (place.endsWith('/') ? path.startsWith(place) : path === place))) {
        problems.push(`${file} imports ${path}`)
      }
    }
  }
  return problems
}
