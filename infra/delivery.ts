import { App, type AppProps } from 'aws-cdk-lib'
import recommendedFlags from 'aws-cdk-lib/recommended-feature-flags.json' with { type: 'json' }
import { DeliveryStack } from './stacks/delivery.ts'

const stages = ['dev', 'prod'] as const

/**
 * The app of what lets GitHub deploy, apart from the product: an account has one such provider, whatever stages
 * it holds, and a person deploys it once. The context names `githubRepository` (owner/name) and `deliveryStages`
 * (comma-separated, of dev and prod; both when absent), and `githubProvider` (the ARN of GitHub's provider, where
 * the account has one). Throws where one is missing or wrong.
 */
export function buildDelivery(options: AppProps = {}): App {
  const app = new App({
    ...options,
    postCliContext: recommendedFlags,
    analyticsReporting: false,
    treeMetadata: false,
  })
  const repository: unknown = app.node.tryGetContext('githubRepository')
  if (typeof repository !== 'string' || !/^[\w.@-]+\/[\w.@-]+$/.test(repository)) {
    throw new Error(
      'The context "githubRepository" is missing: give it by -c githubRepository=<owner>/<name>',
    )
  }
  const given: unknown = app.node.tryGetContext('deliveryStages') ?? stages.join(',')
  const wanted = String(given).split(',')
  const chosen = stages.filter((stage) => wanted.includes(stage))
  if (chosen.length !== wanted.length) {
    throw new Error(
      `The context "deliveryStages" is "${given}"; it must be one or both of ${stages.join(',')}`,
    )
  }
  const provider: unknown = app.node.tryGetContext('githubProvider')
  if (provider !== undefined && !/^arn:.+:oidc-provider\/./.test(String(provider))) {
    throw new Error(`The context "githubProvider" is "${provider}"; it must be the ARN of an OIDC provider`)
  }
  new DeliveryStack(app, 'Insighta-delivery', {
    repository,
    stages: chosen,
    ...(provider !== undefined && { provider: String(provider) }),
  })
  return app
}

if (import.meta.main) buildDelivery().synth()
