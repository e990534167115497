import { App } from 'aws-cdk-lib'
import recommendedFlags from 'aws-cdk-lib/recommended-feature-flags.json' with { type: 'json' }
import { bundleFunctions } from './bundle.ts'
import type { Surroundings } from './functions.ts'
import { ApiStack } from './stacks/api.ts'
import { CacheStack } from './stacks/cache.ts'
import { DataStack } from './stacks/data.ts'
import { ExportsStack } from './stacks/exports.ts'
import { ImportsStack } from './stacks/imports.ts'
import { InterviewsStack } from './stacks/interviews.ts'
import { NetworkStack } from './stacks/network.ts'
import { ObservabilityStack } from './stacks/observability.ts'
import { RecoveryStack } from './stacks/recovery.ts'
import { WebStack } from './stacks/web.ts'
import { stageOf } from './stage.ts'

/**
 * Here rather than in cdk.json, which is not read when node runs the app directly: both ways must give the
 * same templates. For that reason too the CLI's own metadata is off.
 */
const fixedContext = {
  ...recommendedFlags,
  // Weak references are an intrinsic of their own that CloudFormation checks less: "strong" refuses to take
  // away what another stack still uses.
  '@aws-cdk/core:defaultCrossStackReferences': 'strong',
  'aws:cdk:enable-path-metadata': false,
  'aws:cdk:enable-asset-metadata': false,
  'aws:cdk:version-reporting': false,
}

export type AppOptions = {
  /** Values as of `cdk -c`: stage, timeouts, web, consoleOrigins, assets. Those of the CLI win. */
  context?: Record<string, unknown>
  /** Folder of the cloud assembly. Default: CDK_OUTDIR, else a temporary one. */
  outdir?: string
  /** Folder of finished bundles. Default: the context `assets`, else the functions are bundled into dist. */
  assets?: string
}

/**
 * Bundles the functions and builds the stacks `Insighta-<stage>-*`; `synth()` of the answer writes them.
 * Needs no AWS account: nothing is looked up, and account and region stay those of the deployment.
 */
export async function buildApp(options: AppOptions = {}): Promise<App> {
  const app = new App({
    postCliContext: fixedContext,
    analyticsReporting: false,
    treeMetadata: false,
    ...(options.context && { context: options.context }),
    ...(options.outdir !== undefined && { outdir: options.outdir }),
  })
  const stage = stageOf(app.node)
  const given: unknown = options.assets ?? app.node.tryGetContext('assets')
  const assets = typeof given === 'string' ? given : await bundleFunctions()

  const name = (part: string) => `Insighta-${stage.name}-${part}`
  const network = new NetworkStack(app, name('network'))
  const surroundings: Surroundings = {
    stage,
    assets,
    vpc: network.vpc,
    securityGroup: network.functionSecurityGroup,
  }
  const data = new DataStack(app, name('data'), surroundings)
  const cache = stage.cache === 'valkey' ? new CacheStack(app, name('cache'), surroundings) : undefined
  const exports = new ExportsStack(app, name('exports'), surroundings, data)
  const imports = new ImportsStack(app, name('imports'), surroundings, data)
  const interviews = new InterviewsStack(app, name('interviews'), surroundings, data)
  const parts = { data, exports, imports, interviews }
  const recovery = new RecoveryStack(app, name('recovery'), surroundings, parts)
  const api = new ApiStack(app, name('api'), surroundings, parts, cache)
  // Named, though references imply it: the schema is migrated before code that needs it arrives.
  for (const stack of [exports, imports, interviews, recovery, api]) stack.addStackDependency(data)
  new ObservabilityStack(app, name('observability'), { stage, ...parts, recovery, api })
  // By the order alone: what it needs of the API is a parameter of its deployment, since it is in another region.
  if (stage.web === 'cloudfront') new WebStack(app, name('web'), stage).addStackDependency(api)
  return app
}
