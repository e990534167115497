import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Acknowledgment } from 'aws-cdk-lib'
import { Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { buildApp } from '../../infra/insighta.ts'
import { needed, temporaryFolder, writeStubs } from '../infra/synthesis.ts'

type Report = {
  pluginReports: { violations: { ruleName: string; violatingConstructs: { constructPath: string }[] }[] }[]
}

/** What the AwsSolutions rules find in a stage, as `rule at path`. */
async function findings(context: Record<string, string>): Promise<{ rules: Set<string>; places: string[] }> {
  await using folder = await temporaryFolder()
  const outdir = join(folder.path, 'out')
  const assets = await writeStubs(join(folder.path, 'assets'))
  const app = await buildApp({ context: { ...needed, ...context }, outdir, assets })
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
  let failed = false
  try {
    app.synth()
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'ValidationFailed') throw error
    failed = true
  }
  const report: Report = JSON.parse(await readFile(join(outdir, 'validation-report.json'), 'utf8'))
  const violations = report.pluginReports.flatMap((plugin) => plugin.violations)
  expect(violations.length > 0).toBe(failed)
  return {
    rules: new Set(violations.map(({ ruleName }) => ruleName)),
    places: violations.flatMap(({ ruleName, violatingConstructs }) =>
      violatingConstructs.map(({ constructPath }) => `${ruleName} at ${constructPath}`),
    ),
  }
}

/** What prod may have besides. */
const more = {
  cache: 'valkey',
  webDomain: 'api.insighta.example',
  webCertificateArn: 'arn:aws:acm:us-east-1:111122223333:certificate/a-b-c',
}

describe.each([{ stage: 'dev' }, { stage: 'prod' }, { stage: 'prod', ...more }])(
  'cdk-nag (AwsSolutions) on %o',
  (context) => {
    // The CDK's own check of templates, which is off in other tests.
    beforeEach(() => {
      vi.stubEnv('CDK_VALIDATION', 'true')
    })
    afterEach(() => {
      vi.restoreAllMocks()
      vi.unstubAllEnvs()
    })

    it('finds nothing that is not acknowledged', async () => {
      expect((await findings(context)).places).toEqual([])
    })

    it('finds everything that is acknowledged, and each has a reason', async () => {
      vi.spyOn(console, 'error').mockImplementation(() => {})
      const acknowledged: Acknowledgment[] = []
      vi.spyOn(Validations.prototype, 'acknowledge').mockImplementation((...rules) => {
        // CDK acknowledges rules of its own.
        acknowledged.push(...rules.filter(({ id }) => id.startsWith('AwsSolutions-')))
      })
      const { rules } = await findings(context)
      expect(new Set(acknowledged.map(({ id }) => id))).toEqual(rules)
      for (const { id, reason } of acknowledged) expect(reason.length, id).toBeGreaterThan(30)
    })
  },
)
