import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createLambda,
  type FunctionDefinition,
  type LambdaOptions,
} from '../../../../infra/local/lambda/functions.ts'

/** A temporary folder with bundles in it, and a Lambda whose logs are there too. */
export async function startTestLambda(options: Partial<LambdaOptions> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'insighta-lambda-'))
  const logDir = join(dir, 'logs')
  const lambda = createLambda({
    region: 'eu-west-1',
    accountId: '000000000000',
    logDir,
    platformEnvironment: () => ({ AWS_ACCESS_KEY_ID: 'local' }),
    ...options,
  })
  let bundles = 0
  return {
    dir,
    logDir,
    lambda,
    /** Defines a function whose whole bundle is this module. */
    async define(name: string, source: string, rest: Partial<FunctionDefinition> = {}) {
      const assetDir = join(dir, `asset.${bundles++}`)
      await writeBundle(assetDir, source)
      lambda.define({
        name,
        assetDir,
        handler: 'index.handler',
        timeoutSeconds: 20,
        memoryMb: 256,
        environment: {},
        ...rest,
      })
    },
    async close() {
      await lambda.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

export async function writeBundle(assetDir: string, source: string): Promise<void> {
  await mkdir(assetDir, { recursive: true })
  await writeFile(join(assetDir, 'index.mjs'), source)
}

/** Resolves once the condition holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
