import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { synthesise } from '../../infra/local/synthesis.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Folder of the synthesised app, or why there is none: it must not keep the other tests from running. */
    assembly: { outDir: string; error?: string }
  }
}

/** Synthesises once for all clouds of the run, which takes 4 s. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-e2e-assembly-'))
  const outDir = join(folder, 'cdk.out')
  const error = await synthesise({ outDir, context: {} }).then(
    () => undefined,
    (failure: unknown) => String(failure),
  )
  project.provide('assembly', { outDir, ...(error !== undefined && { error }) })
  return () => rm(folder, { recursive: true, force: true })
}
