import { glob, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { importsOf, layoutProblems } from './layout.ts'

const root = resolve(import.meta.dirname, '..')
const files = new Map<string, string>()

beforeAll(async () => {
  const patterns = ['*.ts', '{functions,infra,lib,clients,test}/**/*.ts']
  for await (const file of glob(patterns, { cwd: root })) {
    files.set(file.replaceAll('\\', '/'), await readFile(resolve(root, file), 'utf8'))
  }
})

const problemsOf = (file: string, source: string) => layoutProblems(new Map([[file, source]]))

describe('the layout', () => {
  it('is kept by every file: imports only go down, no default exports, no SQL in functions', () => {
    expect(files.size).toBeGreaterThan(150)
    expect(layoutProblems(files)).toEqual([])
  })

  it('is read from every file and all forms of import that the code has', () => {
    // This file and its checker hold imports as texts.
    const others = [...files].filter(([file]) => !file.startsWith('test/layout.'))
    const imports = others.flatMap(([file, source]) => importsOf(file, source))
    expect(imports.filter(({ path }) => path.endsWith('.ts') && !files.has(path))).toEqual([])
    const text = others.map(([, source]) => source).join('\n')
    const statements = text.match(/^(?:import|export)\b[^'"`;=]*from '\.[^']+'/gm)
    expect(imports.length).toBeGreaterThanOrEqual(statements!.length)
  })

  it.each([
    ['functions/a.ts', "import { b } from './b.ts'", 'functions/b.ts'],
    ['functions/a.ts', "import { startCloud } from '../infra/local/cloud.ts'", 'infra/local/cloud.ts'],
    ['lib/imports/a.ts', "import { b } from '../exports/b.ts'", 'lib/exports/b.ts'],
    ['lib/imports/a.ts', "import '../../functions/split.ts'", 'functions/split.ts'],
    ['lib/profiles/a.ts', "export { b } from '../imports/b.ts'", 'lib/imports/b.ts'],
    ['lib/profiles/a.ts', "export * from '../interviews/b.ts'", 'lib/interviews/b.ts'],
    ['lib/interviews/a.ts', "import type { B } from '../profiles/b.ts'", 'lib/profiles/b.ts'],
    ['lib/platform/http/a.ts', "import {\n  b,\n} from '../../profiles/b.ts'", 'lib/profiles/b.ts'],
    ['lib/db/a.ts', "const b = await import('../profiles/b.ts')", 'lib/profiles/b.ts'],
    ['lib/platform/a.ts', "import { b } from '../../test/support/postgres.ts'", 'test/support/postgres.ts'],
    ['infra/local/a.ts', "import { connect } from '../../lib/platform/db.ts'", 'lib/platform/db.ts'],
    ['infra/a.ts', "import type { Profile } from '../lib/profiles/profile.ts'", 'lib/profiles/profile.ts'],
    ['clients/cli/a.ts', "import { reportOf } from '../../lib/imports/report.ts'", 'lib/imports/report.ts'],
    [
      'clients/cli/a.ts',
      "import { type Report, reportOf } from '../../lib/imports/report.ts'",
      'lib/imports/report.ts',
    ],
    ['clients/cli/a.ts', "import type { Cloud } from '../../infra/local/cloud.ts'", 'infra/local/cloud.ts'],
  ])('is broken by %s with %s', (file, source, imported) => {
    expect(problemsOf(file, `import * as z from 'zod'\n${source}\n`)).toEqual([`${file} imports ${imported}`])
  })

  it('lets clients share types with the server, and infra its names', () => {
    expect(
      problemsOf('clients/cli/a.ts', "import type { Report } from '../../lib/imports/report.ts'"),
    ).toEqual([])
    expect(
      problemsOf('clients/web/a.ts', "import { type Report } from '../../lib/imports/report.ts'"),
    ).toEqual([])
    expect(problemsOf('infra/local/a.ts', "import { env } from '../../lib/platform/names.ts'")).toEqual([])
  })

  it('is broken by a default export outside configuration, and by SQL in a function', () => {
    expect(problemsOf('lib/db/a.ts', 'export default {}')).toEqual(['lib/db/a.ts has a default export'])
    expect(problemsOf('lib/db/a.ts', 'export { a as default }')).toHaveLength(1)
    expect(problemsOf('other.config.ts', 'export default {}')).toEqual([])
    const source = 'const rows = await connect()`\n  select id from profiles`'
    expect(problemsOf('functions/a.ts', source)).toEqual(['functions/a.ts holds SQL'])
    expect(problemsOf('functions/a.ts', 'await sql`delete from imports`')).toHaveLength(1)
    expect(problemsOf('functions/a.ts', 'logger.info(`Profile selected`)')).toEqual([])
    expect(problemsOf('lib/profiles/store.ts', source)).toEqual([])
  })
})
