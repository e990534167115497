import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { fontFiles, functionNames } from '../lib/platform/names.ts'
import { describeApi } from './description.ts'

const root = resolve(import.meta.dirname, '..')

/** Lets bundled CommonJS dependencies call require inside an ES module. */
const requireBanner =
  "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);"

export type BundleOptions = {
  /** Each function gets a folder of its own in it. Default: `dist` of the project. */
  outDir?: string
  /** Source file of each function by name. Default: `functions/<name>.ts` of all of them. */
  entries?: Record<string, string>
}

/** Programs that a function starts, each `<name>.mjs` beside it. */
const programs: Record<string, Record<string, string>> = {
  'read-resume': { reader: 'lib/interviews/document-reader.ts' },
}

/**
 * Bundles every function into `<outDir>/<name>/index.mjs`, the reader of documents beside read-resume, the migrations
 * beside migrate, the API's description beside system and the fonts of PDFs beside interviews, and returns the absolute `outDir`. Equal sources give
 * equal bytes, and files that are already right are left alone: two builds at once do not disturb each other, nor
 * somebody who is reading. Throws where a source is missing or does not compile.
 */
export async function bundleFunctions(options: BundleOptions = {}): Promise<string> {
  const outDir = resolve(root, options.outDir ?? 'dist')
  const entries = options.entries ?? functionSources()
  const description = 'system' in entries ? describeApi() : new Map<string, string>()
  const building = build(buildOptions(outDir, entries))
  const [result, described] = await Promise.all([building, description])
  const files = new Map<string, Uint8Array>()
  for (const file of result.outputFiles) files.set(file.path, file.contents)
  if ('migrate' in entries) {
    const migrations = join(root, 'lib/db/migrations')
    for (const name of await readdir(migrations)) {
      files.set(join(outDir, 'migrate/migrations', name), await readFile(join(migrations, name)))
    }
  }
  if ('interviews' in entries) {
    for (const [name, source] of Object.entries(fontFiles)) {
      files.set(join(outDir, 'interviews/fonts', name), await readFile(join(root, 'node_modules', source)))
    }
  }
  for (const [name, text] of described) files.set(join(outDir, 'system', name), Buffer.from(text))
  for (const [path, contents] of files) await writeIfChanged(outDir, path, contents)
  for (const name of Object.keys(entries)) await removeOthers(join(outDir, name), files)
  return outDir
}

/** The source of each function by name, from the root of the project. */
export function functionSources(): Record<string, string> {
  return Object.fromEntries(functionNames.map((name) => [name, `functions/${name}.ts`]))
}

/** What esbuild makes of the sources: `<outDir>/<name>/index.mjs` of each and its programs, in memory. */
export function buildOptions(outDir: string, entries: Record<string, string>) {
  return {
    absWorkingDir: root,
    entryPoints: Object.entries(entries).flatMap(([name, source]) => [
      { in: source, out: `${name}/index` },
      ...Object.entries(programs[name] ?? {}).map(([program, path]) => ({
        in: path,
        out: `${name}/${program}`,
      })),
    ]),
    outdir: outDir,
    outExtension: { '.js': '.mjs' },
    write: false,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    alias: { '@aws-sdk/client-lambda': join(root, 'infra/bundled/client-lambda.js') },
    minify: true,
    // Error classes and middleware show up by name in logs and stack traces.
    keepNames: true,
    legalComments: 'none',
    banner: { js: requireBanner },
    // The error that it throws says the same.
    logLevel: 'silent',
  } satisfies BuildOptions
}

async function writeIfChanged(outDir: string, path: string, contents: Uint8Array): Promise<void> {
  const existing = existsSync(path) ? await readFile(path) : undefined
  if (existing?.equals(contents)) return
  await mkdir(dirname(path), { recursive: true })
  // Outside the function's folder, so that no asset can be staged with a half-written file in it.
  const temporary = join(outDir, `.${process.pid}-${relative(outDir, path).replaceAll(/[\\/]/g, '-')}`)
  await writeFile(temporary, contents)
  await rename(temporary, path)
}

/** A file left by an earlier build would change the asset's hash. */
async function removeOthers(folder: string, files: Map<string, Uint8Array>): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && !files.has(path)) await rm(path, { force: true })
  }
}

if (import.meta.main) await bundleFunctions()
