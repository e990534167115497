import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestCloud, type TestCloud } from './cloud.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const program = join(root, 'clients/cli/smoke.ts')

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud?.close())

test('the smoke test passes on the local cloud, with its key and by its address alone', async () => {
  const env = { PATH: process.env.PATH, INSIGHTA_DATA_DIR: cloud.dataDir }
  const own = await run(process.execPath, [program], { env })
  expect(own.stdout.match(/^ok .*$/gm)).toHaveLength(5)
  const open = await run(process.execPath, [program, cloud.url], { env })
  expect(open.stdout.match(/^ok .*$/gm)).toHaveLength(3)
})

test('a key that is not one fails it', async () => {
  const env = { PATH: process.env.PATH, INSIGHTA_API_KEY: 'ins_none' }
  await expect(run(process.execPath, [program, cloud.url], { env })).rejects.toThrow('2 of 5 checks failed')
})

test('the commands of the first import do what they say', async () => {
  const page = await readFile(join(root, 'docs/importing.md'), 'utf8')
  const block = /^## Step by step\n+```sh\n(.*?)^```/ms.exec(page)![1]!
  const folder = await mkdtemp(join(tmpdir(), 'insighta-first-import-'))
  const commands = block.slice(block.indexOf('npm run demo')).replaceAll('/tmp/', `${folder}/`)
  const env = { ...process.env, URL: cloud.url, KEY: cloud.credentials.api_key }
  await run('bash', ['-euo', 'pipefail', '-c', commands], { cwd: root, env })
  const report = JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))
  expect(report).toMatchObject({ state: 'completed', total_rows: 1000 })
  await rm(folder, { recursive: true })
})
