import { execFile, spawnSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { buildApp } from '../../infra/insighta.ts'
import { needed, temporaryFolder, writeStubs } from '../infra/synthesis.ts'

/** What cfn-lint finds and is left as it is. */
const accepted = [
  // CDK names dependencies that references imply, which changes nothing.
  /^W3005 /,
  // Its list of Aurora versions ends before the one that CDK offers.
  /^E3690 .*: '18\.\d+' is not one of /,
]

// A shim of a version manager may stand in the PATH without the program behind it.
const present = spawnSync('cfn-lint', ['--version']).status === 0
const run = promisify(execFile)

type Finding = {
  Rule: { Id: string }
  Message: string
  Location: { Path: (string | number)[] | null }
}

/** cfn-lint's findings as `rule at path: message`, but those that are accepted. */
async function lint(files: string[]): Promise<string[]> {
  const findings = await run('cfn-lint', ['--format', 'json', ...files], {
    maxBuffer: 64 * 1024 * 1024,
  }).then(
    ({ stdout }) => stdout,
    // Findings are a failure to it, and stand in its output all the same.
    (error: { stdout?: string; stderr?: string }) => error.stdout || Promise.reject(error),
  )
  const parsed: Finding[] = JSON.parse(findings || '[]')
  return parsed
    .map(({ Rule, Message, Location }) => `${Rule.Id} at ${Location.Path?.join('/')}: ${Message}`)
    .filter((finding) => !accepted.some((known) => known.test(finding)))
}

describe.skipIf(!present)('cfn-lint, where it is installed', () => {
  it.each([{ stage: 'dev' }, { stage: 'prod' }, { stage: 'prod', cache: 'valkey' }])(
    'finds nothing in stage $stage with the cache $cache',
    { timeout: 120_000 },
    async (context) => {
      await using folder = await temporaryFolder()
      const outdir = join(folder.path, 'out')
      const assets = await writeStubs(join(folder.path, 'assets'))
      const app = await buildApp({ context: { ...needed, ...context }, outdir, assets })
      app.synth()
      const templates = (await readdir(outdir)).filter((name) => name.endsWith('.template.json'))
      expect(templates.length).toBeGreaterThan(7)
      expect(await lint(templates.map((name) => join(outdir, name)))).toEqual([])
    },
  )

  it('finds a property that does not exist', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'wrong.template.json')
    const queue = { Type: 'AWS::SQS::Queue', Properties: { Colour: 'red' } }
    await writeFile(file, JSON.stringify({ Resources: { Queue: queue } }))
    expect(await lint([file])).toEqual([expect.stringMatching(/^E3002 at .*Colour/)])
  })
})
