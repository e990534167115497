import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('a run in which a test fails ends with a code that says so', async () => {
  const root = resolve(import.meta.dirname, '..')
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const config = join(root, 'test/support/failing/vitest.config.ts')
  const run = promisify(execFile)(process.execPath, [vitest, 'run', '--config', config], { cwd: root })
  await expect(run).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('1 failed') })
})
