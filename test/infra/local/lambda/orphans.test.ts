import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'vitest'
import { isAlive, until, writeBundle } from './handlers.ts'

const functionsModule = new URL('../../../../infra/local/lambda/functions.ts', import.meta.url).href
let dir = ''
let cloud: ChildProcess | undefined
const environments: number[] = []

afterEach(async () => {
  cloud?.kill('SIGKILL')
  for (const pid of environments) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  await rm(dir, { recursive: true, force: true })
})

test('a cloud that is killed leaves no environment behind: idle, waiting or blocked', async () => {
  dir = await mkdtemp(join(tmpdir(), 'insighta-orphans-'))
  await writeBundle(
    join(dir, 'asset'),
    `export const handler = async ({ mode }) => {
      process.stdout.write('pid ' + process.pid + '\\n')
      if (mode === 'wait') await new Promise((resolve) => setTimeout(resolve, 600_000))
      if (mode === 'block') for (;;);
    }`,
  )
  await writeBundle(
    dir,
    `import { createLambda } from ${JSON.stringify(functionsModule)}
     const lambda = createLambda({ region: 'eu-west-1', accountId: '000000000000', logDir: ${JSON.stringify(dir)},
       platformEnvironment: () => ({}),
       onLog: ({ line }) => { if (line.startsWith('pid ')) process.stdout.write(line + '\\n') } })
     lambda.define({ name: 'f', assetDir: ${JSON.stringify(join(dir, 'asset'))}, handler: 'index.handler',
       timeoutSeconds: 600, memoryMb: 256, environment: {} })
     for (const mode of ['wait', 'block', 'idle']) lambda.invoke('f', JSON.stringify({ mode })).catch(console.error)`,
  )
  cloud = spawn(process.execPath, [join(dir, 'index.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] })
  cloud.stdout?.on('data', (chunk) => {
    for (const [, pid] of String(chunk).matchAll(/pid (\d+)/g)) environments.push(Number(pid))
  })
  await until(() => environments.length === 3)
  cloud.kill('SIGKILL')
  await once(cloud, 'exit')
  await until(() => !environments.some(isAlive))
})
