import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildApp } from '../../infra/insighta.ts'
import { readAssembly } from '../../infra/local/assembly.ts'
import { registry } from '../../infra/local/resources/registry.ts'
import { WebStack } from '../../infra/stacks/web.ts'
import { needed, stageWith, temporaryFolder, writeStubs } from './synthesis.ts'

type Behaviour = {
  PathPattern?: string
  TargetOriginId: string
  CachePolicyId: string
  OriginRequestPolicyId: string
  ViewerProtocolPolicy: string
  AllowedMethods: string[]
}
type Override = { Name: string; ActionToUse: { Count?: object; Block?: { CustomResponse: object } } }
type Managed = { Name: string; RuleActionOverrides: Override[]; ScopeDownStatement?: object }
type Rule = {
  Name: string
  Statement: {
    ManagedRuleGroupStatement?: Managed
    RateBasedStatement?: { Limit: number; AggregateKeyType: string; ScopeDownStatement: object }
  }
  Action?: { Block: { CustomResponse: { ResponseCode: number; ResponseHeaders: object[] } } }
}

/** The template of the web stack alone, which needs nothing of the others. */
async function webTemplate(context: Record<string, string> = {}): Promise<Template> {
  await using folder = await temporaryFolder()
  const app = new App({ outdir: folder.path, analyticsReporting: false })
  return Template.fromStack(new WebStack(app, 'Insighta-prod-web', stageWith({ stage: 'prod', ...context })))
}

const ownDomain = {
  webDomain: 'api.insighta.example',
  webCertificateArn: 'arn:aws:acm:us-east-1:111122223333:certificate/a-b-c',
}

let template: Template

beforeAll(async () => {
  template = await webTemplate()
})

const only = (type: string, from = template) => {
  const [found, ...others] = Object.values(from.findResources(type))
  if (!found || others.length > 0) throw new Error(`Not exactly one ${type}`)
  return found.Properties
}
const rules = (): Rule[] => only('AWS::WAFv2::WebACL').Rules
const answer = (key: string) =>
  JSON.parse(only('AWS::WAFv2::WebACL').CustomResponseBodies[key].Content as string)
const groups = () => rules().flatMap(({ Statement }) => Statement.ManagedRuleGroupStatement ?? [])
const actions = (group: Managed, action: 'Block' | 'Count') =>
  group.RuleActionOverrides.filter(({ ActionToUse }) => action in ActionToUse).map(({ Name }) => Name)

const onWebhooks = {
  ByteMatchStatement: expect.objectContaining({
    FieldToMatch: { UriPath: {} },
    PositionalConstraint: 'STARTS_WITH',
    SearchString: '/webhooks/',
  }),
}
const elsewhere = { NotStatement: { Statement: onWebhooks } }

describe('the distribution', () => {
  it('hands every path to the API, with all that was sent but the host, and keeps nothing', () => {
    const { Origins, DefaultCacheBehavior, CacheBehaviors } = only(
      'AWS::CloudFront::Distribution',
    ).DistributionConfig
    expect(Origins).toEqual([expect.objectContaining({ DomainName: { Ref: 'ApiDomain' } })])
    const behaviours: Behaviour[] = [DefaultCacheBehavior, ...CacheBehaviors]
    expect(behaviours.map(({ PathPattern }) => PathPattern)).toEqual([undefined, '/api/*', '/webhooks/*'])
    for (const behaviour of behaviours) {
      expect(behaviour, behaviour.PathPattern).toMatchObject({
        TargetOriginId: Origins[0].Id,
        // Managed-CachingDisabled and Managed-AllViewerExceptHostHeader.
        CachePolicyId: '4135ea2d-6df8-44a3-9df3-4b5a84be39ad',
        OriginRequestPolicyId: 'b689b0a8-53d0-40ab-baf2-68738e2966ac',
      })
      expect(behaviour.AllowedMethods, behaviour.PathPattern).toHaveLength(7)
    }
  })

  it('takes keys and signatures over TLS alone, on both sides, and waits longer than the gateway', () => {
    const { Origins, CacheBehaviors } = only('AWS::CloudFront::Distribution').DistributionConfig
    const policies = CacheBehaviors.map((behaviour: Behaviour) => behaviour.ViewerProtocolPolicy)
    expect(policies).toEqual(['https-only', 'https-only'])
    const { OriginProtocolPolicy, OriginSSLProtocols, OriginReadTimeout } = Origins[0].CustomOriginConfig
    expect([OriginProtocolPolicy, OriginSSLProtocols]).toEqual(['https-only', ['TLSv1.2']])
    expect(OriginReadTimeout).toBeGreaterThan(30)
  })

  it('adds security headers where the API says nothing itself', () => {
    const { SecurityHeadersConfig } = only(
      'AWS::CloudFront::ResponseHeadersPolicy',
    ).ResponseHeadersPolicyConfig
    expect(Object.keys(SecurityHeadersConfig)).toHaveLength(4)
    for (const header of Object.values(SecurityHeadersConfig))
      expect(header).toMatchObject({ Override: false })
  })

  it('is told where the API is when it is deployed, which has no default', () => {
    const { Default, AllowedPattern, Description } = template.findParameters('ApiDomain').ApiDomain!
    expect(Default).toBeUndefined()
    expect(Description).toContain('ApiUrl')
    const allowed = new RegExp(AllowedPattern)
    expect(allowed.test('abc123.execute-api.eu-west-1.amazonaws.com')).toBe(true)
    expect(allowed.test('https://abc123.execute-api.eu-west-1.amazonaws.com')).toBe(false)
  })

  it('has a name of its own with its certificate, by TLS 1.2 at the least, and both or none', async () => {
    const own = await webTemplate(ownDomain)
    expect(only('AWS::CloudFront::Distribution', own).DistributionConfig).toMatchObject({
      Aliases: ['api.insighta.example'],
      ViewerCertificate: {
        AcmCertificateArn: ownDomain.webCertificateArn,
        MinimumProtocolVersion: 'TLSv1.2_2021',
      },
    })
    expect(own.findOutputs('WebUrl').WebUrl!.Value).toBe('https://api.insighta.example')
    const { webDomain, webCertificateArn } = ownDomain
    expect(() => stageWith({ webDomain })).toThrow('"webCertificateArn" is missing: give it by -c')
    expect(() => stageWith({ webCertificateArn })).toThrow('"webDomain" is missing: give it by -c')
    const elsewhere = webCertificateArn.replace('us-east-1', 'eu-west-1')
    expect(() => stageWith({ webDomain, webCertificateArn: elsewhere })).toThrow('in us-east-1')
  })

  it('is in prod unless the context says none, in dev where it asks for it, and always in us-east-1', async () => {
    await using folder = await temporaryFolder()
    const assets = await writeStubs(join(folder.path, 'assets'))
    const regionOf = async (stage: string, context: Record<string, string> = {}) => {
      const options = { context: { ...needed, stage, ...context }, outdir: join(folder.path, 'out'), assets }
      const web = (await buildApp(options)).node.tryFindChild(`Insighta-${stage}-web`)
      return web instanceof WebStack ? web.region : undefined
    }
    expect(await regionOf('local')).toBeUndefined()
    expect(await regionOf('dev')).toBeUndefined()
    expect(await regionOf('dev', { web: 'cloudfront' })).toBe('us-east-1')
    expect(await regionOf('prod')).toBe('us-east-1')
    expect(await regionOf('prod', { web: 'none' })).toBeUndefined()
  })

  it('is passed over by the local cloud, which reads its template and knows every type in it', async () => {
    await using folder = await temporaryFolder()
    const app = new App({ outdir: folder.path, analyticsReporting: false })
    new WebStack(app, 'Insighta-prod-web', stageWith({ stage: 'prod' }))
    app.synth()
    const [stack] = await readAssembly(folder.path)
    const types = [...stack!.resources.values()].map(({ Type }) => Type)
    expect(types).toContain('AWS::CloudFront::Distribution')
    expect(types.filter((type) => !registry.withoutEffect(type) && !registry.adapters.has(type))).toEqual([])
  })
})

describe('the firewall', () => {
  it('only counts what it finds in bodies, and who does not name the program', () => {
    const counting = groups().flatMap((group) => actions(group, 'Count'))
    expect(counting.filter((name) => !name.endsWith('_BODY'))).toEqual(['NoUserAgent_HEADER'])
    expect(counting).toEqual(
      expect.arrayContaining(['SizeRestrictions_BODY', 'CrossSiteScripting_BODY', 'Log4JRCE_BODY']),
    )
    const blocking = groups().flatMap((group) => actions(group, 'Block'))
    expect(blocking.filter((name) => name.endsWith('_BODY'))).toEqual([])
    expect(blocking).toEqual(
      expect.arrayContaining(['AWSManagedIPReputationList', 'Log4JRCE_HEADER', 'GenericLFI_URIPATH']),
    )
  })

  it('asks of webhooks no more than who sends them, as their signatures are verified', () => {
    const core = groups().find(({ Name }) => Name === 'AWSManagedRulesCommonRuleSet')
    expect(core?.ScopeDownStatement).toEqual(elsewhere)
  })

  it('limits each address, that of an agent with many interviews more widely', () => {
    const rates = rules().filter(({ Statement }) => Statement.RateBasedStatement)
    expect(rates.map(({ Statement }) => Statement.RateBasedStatement)).toEqual([
      { Limit: 10_000, AggregateKeyType: 'IP', ScopeDownStatement: elsewhere },
      { Limit: 60_000, AggregateKeyType: 'IP', ScopeDownStatement: onWebhooks },
    ])
    for (const { Action } of rates) {
      expect(Action?.Block.CustomResponse).toMatchObject({
        ResponseCode: 429,
        ResponseHeaders: [{ Name: 'Retry-After', Value: '300' }],
      })
    }
  })

  it('answers in the envelope of the API', () => {
    expect(answer('limited')).toMatchObject({ status: 'error', code: 'rate_limited' })
    expect(answer('blocked')).toEqual({ status: 'error', code: 'blocked', message: expect.any(String) })
    const responses = groups()
      .flatMap((group) => group.RuleActionOverrides)
      .flatMap(({ ActionToUse }) => (ActionToUse.Block ? [ActionToUse.Block.CustomResponse] : []))
    expect(new Set(responses.map((response) => JSON.stringify(response)))).toEqual(
      new Set([JSON.stringify({ CustomResponseBodyKey: 'blocked', ResponseCode: 403 })]),
    )
  })
})

describe('the logs of the edge', () => {
  it('hold no query, where a name may stand, no cookie, no key and no body', () => {
    const { RecordFields }: { RecordFields: string[] } = only('AWS::Logs::Delivery') as never
    expect(RecordFields).toEqual(expect.arrayContaining(['date', 'time', 'cs-uri-stem', 'sc-status']))
    expect(RecordFields.filter((field) => /query|cookie|referer|headers/i.test(field))).toEqual([])
    expect(only('AWS::WAFv2::LoggingConfiguration').RedactedFields).toEqual([
      { SingleHeader: { Name: 'authorization' } },
      { SingleHeader: { Name: 'x-api-key' } },
      { QueryString: {} },
    ])
    const { DataProtections } = only('AWS::WAFv2::WebACL').DataProtectionConfig
    const fields = DataProtections.map(({ Field }: { Field: { FieldType: string } }) => Field.FieldType)
    expect(fields).toEqual(['SINGLE_HEADER', 'QUERY_STRING', 'BODY'])
  })

  it('are written by the delivery of AWS and nobody else, and kept for a month', () => {
    const groups = Object.values(template.findResources('AWS::Logs::LogGroup'))
    expect(groups.map(({ Properties }) => Properties)).toEqual([
      { LogGroupName: 'aws-waf-logs-insighta-prod', RetentionInDays: 30 },
      { LogGroupName: '/aws/vendedlogs/insighta-prod-web', RetentionInDays: 30 },
    ])
    const policy = JSON.stringify(only('AWS::Logs::ResourcePolicy').PolicyDocument)
    expect(policy).toContain('delivery.logs.amazonaws.com')
    expect(policy).toContain('aws:SourceAccount')
    expect(policy.match(/:log-stream:\*/g)).toHaveLength(2)
    expect(only('AWS::WAFv2::LoggingConfiguration').LoggingFilter.DefaultBehavior).toBe('DROP')
  })
})

describe('the alarms of the edge', () => {
  it('name the metrics by all their dimensions, and reach a topic that lets them in', () => {
    const alarms = Object.values(template.findResources('AWS::CloudWatch::Alarm'))
    const watched = alarms.map(({ Properties }) => ({
      metric: Properties.MetricName,
      dimensions: Properties.Dimensions.map(({ Name, Value }: { Name: string; Value: unknown }) =>
        typeof Value === 'string' ? `${Name}=${Value}` : Name,
      ),
    }))
    expect(watched).toEqual([
      { metric: '5xxErrorRate', dimensions: ['DistributionId', 'Region=Global'] },
      { metric: 'BlockedRequests', dimensions: ['Rule=ApiRate', 'WebACL=insighta-prod'] },
      { metric: 'BlockedRequests', dimensions: ['Rule=WebhookRate', 'WebACL=insighta-prod'] },
    ])
    const { VisibilityConfig } = only('AWS::WAFv2::WebACL')
    expect(VisibilityConfig.MetricName).toBe('insighta-prod')
    const { Statement } = only('AWS::SNS::TopicPolicy').PolicyDocument
    expect(Statement).toEqual([
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
      expect.objectContaining({
        Effect: 'Allow',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
        Action: 'sns:Publish',
      }),
    ])
  })
})
