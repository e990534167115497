import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { glob, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')

/** What the templates and bundles are made from. infra/local runs them and is in neither. */
const sources = ['functions/**', 'infra/**', 'lib/**', 'cdk.json', 'package-lock.json']
const outside = /^infra[\\/]local[\\/]/

export type SynthesisOptions = {
  outDir: string
  /** As of `cdk -c key=value`. */
  context: Readonly<Record<string, string>>
  signal?: AbortSignal
}

/**
 * Bundles the functions and writes the cloud assembly, in a process of its own: the CDK would hold 400 MB
 * here. Answers false where nothing had changed since the last time (about 4 s saved). Throws with what the
 * app wrote to stderr when it fails.
 */
export async function synthesise({ outDir, context, signal }: SynthesisOptions): Promise<boolean> {
  const stamp = join(outDir, '.inputs')
  const inputs = await digestOfInputs(context)
  if ((await readFile(stamp, 'utf8').catch(() => '')) === inputs) return false
  await rm(outDir, { recursive: true, force: true })
  await mkdir(outDir, { recursive: true, mode: 0o700 })
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('CDK_'))
  const app = spawn(process.execPath, ['infra/app.ts'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...Object.fromEntries(environment),
      CDK_OUTDIR: outDir,
      CDK_CONTEXT_JSON: JSON.stringify(context),
      // The CDK's check of its templates takes a second, and is one of what is deployed.
      CDK_VALIDATION: 'false',
    },
    // Not in the terminal's group: Ctrl-C reaches it through the signal alone.
    detached: true,
    ...(signal && { signal }),
  })
  let errors = ''
  app.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk).slice(-8192)
  })
  const [code] = (await once(app, 'close')) as [number | null]
  if (code !== 0) throw new Error(`The CDK app could not be synthesised:\n${errors.trim()}`)
  await writeFile(stamp, inputs)
  return true
}

async function digestOfInputs(context: Readonly<Record<string, string>>): Promise<string> {
  const digest = createHash('sha256').update(JSON.stringify([root, process.version, context]))
  const found = new Set<string>()
  for (const pattern of sources) {
    for await (const entry of glob(pattern, { cwd: root, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name).slice(root.length + 1)
      if (entry.isFile() && !outside.test(path)) found.add(path)
    }
  }
  for (const path of [...found].sort()) {
    const content = await readFile(join(root, path))
    digest.update(JSON.stringify([path, content.length])).update(content)
  }
  return digest.digest('hex')
}
