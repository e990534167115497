import { bundleFunctions } from './bundle.ts'

// Begun before the CDK is loaded, which takes as long: a second less until `npm start` has its templates.
const { assets = bundleFunctions() } = JSON.parse(process.env.CDK_CONTEXT_JSON ?? '{}') as { assets?: string }
// It is awaited below, where it fails; until then a rejection must not end the process.
Promise.resolve(assets).catch(() => {})

const [{ Validations }, { buildApp }, { stageOf }] = await Promise.all([
  import('aws-cdk-lib'),
  import('./insighta.ts'),
  import('./stage.ts'),
])
const app = await buildApp({ assets: await assets })
// Whatever is deployed passes the rules first; on one machine nothing is.
if (stageOf(app.node).name !== 'local') {
  const { AwsSolutionsChecks } = await import('cdk-nag')
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
}
app.synth()
