import { CfnWebACL } from 'aws-cdk-lib/aws-wafv2'
import type { Construct } from 'constructs'
import type { Stage } from './stage.ts'

/** A request that the firewall refuses wears the error envelope of the API, but for an id that it does not know. */
const answers = {
  blocked: { status: 'error', code: 'blocked', message: 'The firewall refuses this request' },
  limited: {
    status: 'error',
    code: 'rate_limited',
    message: 'This address makes too many requests: come back in 300 s',
  },
}

const block: CfnWebACL.BlockActionProperty = {
  customResponse: { responseCode: 403, customResponseBodyKey: 'blocked' },
}
const limit: CfnWebACL.BlockActionProperty = {
  customResponse: {
    responseCode: 429,
    customResponseBodyKey: 'limited',
    // What was refused counts too: whoever is silent for the whole window is let in for certain.
    responseHeaders: [{ name: 'Retry-After', value: '300' }],
  },
}

type ManagedGroup = {
  name: string
  blocks: readonly string[]
  /** Rules that are logged and let pass. */
  counts: readonly string[]
  /** Where it looks; everywhere when absent. */
  scope?: CfnWebACL.StatementProperty
}

const webhooks: CfnWebACL.StatementProperty = {
  byteMatchStatement: {
    fieldToMatch: { uriPath: {} },
    positionalConstraint: 'STARTS_WITH',
    searchString: '/webhooks/',
    textTransformations: [{ priority: 0, type: 'NONE' }],
  },
}
const notWebhooks: CfnWebACL.StatementProperty = { notStatement: { statement: webhooks } }

/**
 * The rules by the names of
 * https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html, since a rule that
 * is not named answers with a page of its own. Those that read bodies count: transcripts, résumés and questions
 * about code look like attacks and are longer than 8 KB, and no body reaches a shell, a template or a class.
 * Webhooks are verified by their signatures.
 */
const groups: readonly ManagedGroup[] = [
  {
    name: 'AWSManagedRulesAmazonIpReputationList',
    blocks: ['AWSManagedIPReputationList', 'AWSManagedReconnaissanceList'],
    // The third rule, of addresses that attack by their number, counts unless told.
    counts: [],
  },
  {
    name: 'AWSManagedRulesKnownBadInputsRuleSet',
    blocks: [
      'ExploitablePaths_URIPATH',
      'Host_localhost_HEADER',
      'JavaDeserializationRCE_HEADER',
      'JavaDeserializationRCE_QUERYSTRING',
      'JavaDeserializationRCE_URIPATH',
      'Log4JRCE_HEADER',
      'Log4JRCE_QUERYSTRING',
      'Log4JRCE_URIPATH',
      'PROPFIND_METHOD',
    ],
    counts: ['JavaDeserializationRCE_BODY', 'Log4JRCE_BODY', 'ReactJSRCE_BODY'],
  },
  {
    name: 'AWSManagedRulesCommonRuleSet',
    blocks: [
      'CrossSiteScripting_COOKIE',
      'CrossSiteScripting_QUERYARGUMENTS',
      'CrossSiteScripting_URIPATH',
      'EC2MetaDataSSRF_COOKIE',
      'EC2MetaDataSSRF_QUERYARGUMENTS',
      'EC2MetaDataSSRF_URIPATH',
      'GenericLFI_QUERYARGUMENTS',
      'GenericLFI_URIPATH',
      'GenericRFI_QUERYARGUMENTS',
      'GenericRFI_URIPATH',
      'RestrictedExtensions_QUERYARGUMENTS',
      'RestrictedExtensions_URIPATH',
      'SizeRestrictions_Cookie_HEADER',
      'SizeRestrictions_QUERYSTRING',
      'SizeRestrictions_URIPATH',
      'UserAgent_BadBots_HEADER',
    ],
    counts: [
      'CrossSiteScripting_BODY',
      'EC2MetaDataSSRF_BODY',
      'GenericLFI_BODY',
      'GenericRFI_BODY',
      // Programs that call an API often name themselves not at all.
      'NoUserAgent_HEADER',
      'SizeRestrictions_BODY',
    ],
    scope: notWebhooks,
  },
]

/** Headers that hold a key. */
export const secretHeaders: readonly string[] = ['authorization', 'x-api-key']

/** The rules, and their metrics, that count the requests of an address. */
export const rateRules = { api: 'ApiRate', webhooks: 'WebhookRate' } as const

/** The name of the firewall, and of its metric. */
export function firewallName(stage: Stage): string {
  return `insighta-${stage.name}`
}

/** The rules that a request passes before CloudFront takes it; us-east-1 is the only region for them. */
export function makeFirewall(scope: Construct, stage: Stage): CfnWebACL {
  const { requests } = stage.edge
  const rules = [
    rateRule(rateRules.api, requests.api, notWebhooks),
    rateRule(rateRules.webhooks, requests.webhooks, webhooks),
    ...groups.map(managedRule),
  ]
  return new CfnWebACL(scope, 'Firewall', {
    name: firewallName(stage),
    scope: 'CLOUDFRONT',
    defaultAction: { allow: {} },
    rules: rules.map((rule, priority) => ({ ...rule, priority })),
    customResponseBodies: Object.fromEntries(
      Object.entries(answers).map(([key, answer]) => [
        key,
        { contentType: 'APPLICATION_JSON', content: JSON.stringify(answer) },
      ]),
    ),
    // Of samples and of what a rule found too, which the redaction of the log leaves as they are.
    dataProtectionConfig: {
      dataProtections: [
        { fieldType: 'SINGLE_HEADER', fieldKeys: [...secretHeaders] },
        { fieldType: 'QUERY_STRING' },
        { fieldType: 'BODY' },
      ].map((field) => ({ field, action: 'SUBSTITUTION' })),
    },
    visibilityConfig: visibility(firewallName(stage)),
  })
}

type Rule = Omit<CfnWebACL.RuleProperty, 'priority'>

/** In five minutes, the window that WAF takes unless told. */
function rateRule(name: string, requests: number, scope: CfnWebACL.StatementProperty): Rule {
  return {
    name,
    statement: {
      rateBasedStatement: { limit: requests, aggregateKeyType: 'IP', scopeDownStatement: scope },
    },
    action: { block: limit },
    visibilityConfig: visibility(name),
  }
}

function managedRule({ name, blocks, counts, scope }: ManagedGroup): Rule {
  return {
    name,
    statement: {
      managedRuleGroupStatement: {
        vendorName: 'AWS',
        name,
        ...(scope && { scopeDownStatement: scope }),
        ruleActionOverrides: [
          ...blocks.map((rule) => ({ name: rule, actionToUse: { block } })),
          ...counts.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
        ],
      },
    },
    overrideAction: { none: {} },
    visibilityConfig: visibility(name),
  }
}

function visibility(metricName: string): CfnWebACL.VisibilityConfigProperty {
  return { metricName, cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true }
}
