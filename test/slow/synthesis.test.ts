import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { readTemplates, temporaryFolder, writeStubs } from '../infra/synthesis.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')

/** Without anything of an AWS account: synthesis must not need one. */
const bare = { PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}`, HOME: '/nonexistent' }

describe('synthesis', () => {
  it('gives the same templates under the CDK CLI and under node alone, with no AWS account', {
    timeout: 120_000,
  }, async () => {
    await using folder = await temporaryFolder()
    const assets = await writeStubs(join(folder.path, 'assets'))
    const [cli, alone] = [join(folder.path, 'cli'), join(folder.path, 'alone')]
    await Promise.all([
      run('cdk', ['synth', '--quiet', '--output', cli, '-c', `assets=${assets}`, '-c', 'stage=dev'], {
        cwd: root,
        env: { ...bare, HOME: folder.path, CI: 'true' },
      }),
      run('node', [join(root, 'infra/app.ts')], {
        cwd: folder.path,
        env: { ...bare, CDK_OUTDIR: alone, CDK_CONTEXT_JSON: JSON.stringify({ assets, stage: 'dev' }) },
      }),
    ])
    const templates = await readTemplates(alone)
    expect(Object.keys(templates)).toEqual(
      ['api', 'data', 'exports', 'imports', 'interviews', 'network', 'observability', 'recovery'].map(
        (part) => `Insighta-dev-${part}.template.json`,
      ),
    )
    expect(await readTemplates(cli)).toEqual(templates)
  })

  it('stops at an unknown stage and says which exist', { timeout: 120_000 }, async () => {
    await using folder = await temporaryFolder()
    const env = { ...bare, CDK_OUTDIR: folder.path, CDK_CONTEXT_JSON: JSON.stringify({ stage: 'staging' }) }
    await expect(run('node', ['infra/app.ts'], { cwd: root, env })).rejects.toThrow('local, dev, prod')
  })
})
