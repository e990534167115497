import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { describe, expect, it } from 'vitest'
import { buildDelivery } from '../../infra/delivery.ts'
import { temporaryFolder } from './synthesis.ts'

type Trust = { Action: string; Condition: { StringEquals: Record<string, string> } }
type Statement = { Action: string | string[]; Resource: unknown }
type Rights = { trust: Trust; statements: Statement[] }
type Resource = {
  Type: string
  Properties: {
    AssumeRolePolicyDocument?: { Statement: [Trust] }
    PolicyDocument?: { Statement: Statement[] }
    Roles?: { Ref: string }[]
  }
}

const githubRepository = 'example/insighta'

/** The resources of the stack, and what the rules of AwsSolutions find in it. */
async function delivery(context: Record<string, string>) {
  await using folder = await temporaryFolder()
  const app = buildDelivery({ context: { githubRepository, ...context }, outdir: folder.path })
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
  app.synth()
  const text = await readFile(join(folder.path, 'Insighta-delivery.template.json'), 'utf8')
  const resources: Record<string, Resource> = JSON.parse(text).Resources
  return Object.entries(resources).map(([id, resource]) => ({ id, ...resource }))
}

/** By the subject whom a role trusts: what it may. */
async function rights(context: Record<string, string> = {}): Promise<Record<string, Rights>> {
  const resources = await delivery(context)
  const roles = resources.filter(({ Type }) => Type === 'AWS::IAM::Role')
  return Object.fromEntries(
    roles.map(({ id, Properties }) => {
      const [trust] = Properties.AssumeRolePolicyDocument!.Statement
      const policies = resources.filter((other) => other.Properties.Roles?.some(({ Ref }) => Ref === id))
      const statements = policies.flatMap((policy) => policy.Properties.PolicyDocument!.Statement)
      return [trust.Condition.StringEquals['token.actions.githubusercontent.com:sub'], { trust, statements }]
    }),
  )
}

describe('what GitHub may do', () => {
  it('depends on the environment: each deploys its own stage, by the roles of the bootstrap', async () => {
    const found = await rights()
    expect(Object.keys(found).sort()).toEqual([
      'repo:example/insighta:environment:dev',
      'repo:example/insighta:environment:prod',
      'repo:example/insighta:pull_request',
    ])
    for (const stage of ['dev', 'prod']) {
      const { trust, statements } = found[`repo:example/insighta:environment:${stage}`]!
      expect(trust.Action).toBe('sts:AssumeRoleWithWebIdentity')
      expect(trust.Condition.StringEquals['token.actions.githubusercontent.com:aud']).toBe(
        'sts.amazonaws.com',
      )
      expect(statements.map(({ Action }) => Action)).toEqual([
        'sts:AssumeRole',
        ['lambda:GetAccountSettings', 'rds:DescribeDBEngineVersions'],
        'secretsmanager:DescribeSecret',
        ['cloudformation:DescribeStacks', 'cloudformation:ListStackResources'],
        'sns:ListSubscriptionsByTopic',
      ])
      const resources = statements.map(({ Resource }) => JSON.stringify(Resource))
      expect(resources[0]).toMatch(
        /role\/cdk-hnb659fds-deploy-role-.*role\/cdk-hnb659fds-file-publishing-role-/,
      )
      expect(resources[0]).not.toContain('*')
      // The web stack is there, whatever region the others are in.
      expect(resources[0]!.match(/-us-east-1"/g)).toHaveLength(2)
      expect(resources[2]).toContain(`:secret:insighta-${stage}-*`)
      expect(resources[3]).toMatch(
        new RegExp(`:stack/Insighta-${stage}-\\*/\\*".*:us-east-1:.*:stack/Insighta-${stage}-web/\\*"`),
      )
      expect(resources[4]).toMatch(
        new RegExp(`:Insighta-${stage}-\\*".*:sns:us-east-1:.*:Insighta-${stage}-\\*"`),
      )
    }
  })

  it('is no more for a pull request than to read the templates of dev', async () => {
    const { statements } = (await rights())['repo:example/insighta:pull_request']!
    const actions = statements.flatMap(({ Action }) => Action)
    expect(new Set(actions)).toEqual(new Set(['cloudformation:DescribeStacks', 'cloudformation:GetTemplate']))
    const resources = JSON.stringify(statements.map(({ Resource }) => Resource))
    expect(resources.match(/:stack\/[^"]+/g)).toEqual([
      ':stack/Insighta-dev-*/*',
      ':stack/Insighta-dev-web/*',
    ])
    expect(resources).toContain(':cloudformation:us-east-1:')
  })

  it('leaves out dev, and its pull requests, in an account that holds prod alone', async () => {
    expect(Object.keys(await rights({ deliveryStages: 'prod' }))).toEqual([
      'repo:example/insighta:environment:prod',
    ])
  })

  it('is lent by the provider that the account has already, where its ARN is given', async () => {
    const githubProvider = 'arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com'
    const resources = await delivery({ githubProvider })
    expect(resources.filter(({ Type }) => Type === 'AWS::IAM::OIDCProvider')).toEqual([])
    const roles = resources.filter(({ Type }) => Type === 'AWS::IAM::Role')
    expect(roles).toHaveLength(3)
    for (const { Properties } of roles) {
      expect(JSON.stringify(Properties.AssumeRolePolicyDocument)).toContain(`"${githubProvider}"`)
    }
    await expect(delivery({ githubProvider: 'github' })).rejects.toThrow('must be the ARN')
  })

  it('needs a repository, and stages that exist', async () => {
    await expect(delivery({ githubRepository: '' })).rejects.toThrow('-c githubRepository=<owner>/<name>')
    await expect(delivery({ githubRepository: 'insighta' })).rejects.toThrow('githubRepository')
    await expect(delivery({ deliveryStages: 'dev,test' })).rejects.toThrow('"deliveryStages" is "dev,test"')
  })
})
