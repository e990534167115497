import { ArnFormat, CfnOutput, CfnParameter, Duration, Stack, Validations } from 'aws-cdk-lib'
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager'
import {
  AllowedMethods,
  type BehaviorOptions,
  CachePolicy,
  Distribution,
  HeadersFrameOption,
  HeadersReferrerPolicy,
  HttpVersion,
  OriginProtocolPolicy,
  OriginRequestPolicy,
  OriginSslPolicy,
  PriceClass,
  ResponseHeadersPolicy,
  SecurityPolicyProtocol,
  ViewerProtocolPolicy,
} from 'aws-cdk-lib/aws-cloudfront'
import { HttpOrigin } from 'aws-cdk-lib/aws-cloudfront-origins'
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import {
  CfnDelivery,
  CfnDeliveryDestination,
  CfnDeliverySource,
  LogGroup,
  ResourcePolicy,
  RetentionDays,
} from 'aws-cdk-lib/aws-logs'
import { CfnLoggingConfiguration, type CfnWebACL } from 'aws-cdk-lib/aws-wafv2'
import type { Construct } from 'constructs'
import { addEdgeAlarms } from '../edge-alarms.ts'
import { makeFirewall, secretHeaders } from '../firewall.ts'
import { policyOfNamed, type Stage } from '../stage.ts'

/** Firewalls, certificates, logs and metrics of CloudFront are in this region and in no other. */
const region = 'us-east-1'

const priceClasses = { '100': PriceClass.PRICE_CLASS_100, '200': PriceClass.PRICE_CLASS_200 }

/** Not the query, where a search may hold a person's name, nor cookies and the page that linked here. */
const accessLogFields = [
  'date',
  'time',
  'x-edge-location',
  'x-edge-request-id',
  'c-ip',
  'cs-method',
  'cs-uri-stem',
  'cs-protocol-version',
  'sc-status',
  'sc-bytes',
  'time-taken',
  'x-edge-result-type',
  'x-edge-detailed-result-type',
  'ssl-protocol',
]

/** CloudFront with a firewall before the HTTP API, its logs and its alarms. */
export class WebStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage) {
    super(scope, id, { env: { region } })
    const apiDomain = new CfnParameter(this, 'ApiDomain', {
      description: 'The host of the output ApiUrl of the api stack, without https://',
      allowedPattern: '^[a-z0-9-]+(\\.[a-z0-9-]+)+$',
      constraintDescription: 'must be a host name, as abc123.execute-api.eu-west-1.amazonaws.com',
    })
    const firewall = makeFirewall(this, stage)
    const distribution = makeDistribution(this, stage, apiDomain.valueAsString, firewall)
    this.addLogs(stage, distribution, firewall)
    addEdgeAlarms(this, stage, distribution)

    new CfnOutput(this, 'DistributionDomain', { value: distribution.domainName })
    new CfnOutput(this, 'WebUrl', { value: `https://${stage.ownDomain?.name ?? distribution.domainName}` })
  }

  private addLogs(stage: Stage, distribution: Distribution, firewall: CfnWebACL): void {
    // AWS asks for both beginnings.
    const blocked = this.makeLogGroup('FirewallLogs', `aws-waf-logs-insighta-${stage.name}`, stage)
    const access = this.makeLogGroup('AccessLogs', `/aws/vendedlogs/insighta-${stage.name}-web`, stage)
    const policy = new ResourcePolicy(this, 'LogDelivery', {
      policyStatements: [
        new PolicyStatement({
          principals: [new ServicePrincipal('delivery.logs.amazonaws.com')],
          actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
          resources: [blocked, access].map((arn) => `${arn}:log-stream:*`),
          conditions: {
            StringEquals: { 'aws:SourceAccount': this.account },
            ArnLike: { 'aws:SourceArn': this.formatArn({ service: 'logs', resource: '*' }) },
          },
        }),
      ],
    })
    // CDK takes these properties as they are, with the capitals of CloudFormation.
    const firewallLog = new CfnLoggingConfiguration(this, 'FirewallLog', {
      resourceArn: firewall.attrArn,
      logDestinationConfigs: [blocked],
      loggingFilter: {
        DefaultBehavior: 'DROP',
        Filters: [
          {
            Behavior: 'KEEP',
            Requirement: 'MEETS_ANY',
            // The last is a rule of a managed group that counts because it was told to.
            Conditions: ['BLOCK', 'COUNT', 'EXCLUDED_AS_COUNT'].map((Action) => ({
              ActionCondition: { Action },
            })),
          },
        ],
      },
      redactedFields: [...secretHeaders.map((Name) => ({ singleHeader: { Name } })), { queryString: {} }],
    })
    const name = `insighta-${stage.name}-web`
    const source = new CfnDeliverySource(this, 'AccessLogSource', {
      name,
      logType: 'ACCESS_LOGS',
      resourceArn: distribution.distributionArn,
    })
    const destination = new CfnDeliveryDestination(this, 'AccessLogDestination', {
      name,
      destinationResourceArn: access,
      outputFormat: 'json',
    })
    const delivery = new CfnDelivery(this, 'AccessLog', {
      deliverySourceName: source.ref,
      deliveryDestinationArn: destination.attrArn,
      recordFields: accessLogFields,
    })
    for (const writer of [firewallLog, delivery]) writer.node.addDependency(policy)
  }

  /** Answers its ARN without the `:*` that CDK puts at the end, with which AWS takes it for no destination. */
  private makeLogGroup(id: string, logGroupName: string, stage: Stage): string {
    const group = new LogGroup(this, id, {
      logGroupName,
      retention: RetentionDays.ONE_MONTH,
      removalPolicy: policyOfNamed(stage),
    })
    return this.formatArn({
      service: 'logs',
      resource: 'log-group',
      resourceName: group.logGroupName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    })
  }
}

function makeDistribution(scope: Stack, stage: Stage, apiDomain: string, firewall: CfnWebACL): Distribution {
  const api: Omit<BehaviorOptions, 'viewerProtocolPolicy'> = {
    origin: new HttpOrigin(apiDomain, {
      protocolPolicy: OriginProtocolPolicy.HTTPS_ONLY,
      originSslProtocols: [OriginSslPolicy.TLS_V1_2],
      // The gateway gives up after 30 seconds: its answer, not one of CloudFront, is to tell so.
      readTimeout: Duration.seconds(35),
    }),
    allowedMethods: AllowedMethods.ALLOW_ALL,
    cachePolicy: CachePolicy.CACHING_DISABLED,
    // The gateway knows its API by the host.
    originRequestPolicy: OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
    responseHeadersPolicy: securityHeaders(scope),
  }
  // Refused, not redirected: a key that was sent without TLS has been seen, and a program would never notice.
  const programs = { ...api, viewerProtocolPolicy: ViewerProtocolPolicy.HTTPS_ONLY }
  const { ownDomain } = stage
  const distribution = new Distribution(scope, 'Distribution', {
    comment: `Insighta ${stage.name}`,
    webAclId: firewall.attrArn,
    httpVersion: HttpVersion.HTTP2_AND_3,
    priceClass: priceClasses[stage.edge.priceClass],
    defaultBehavior: { ...api, viewerProtocolPolicy: ViewerProtocolPolicy.REDIRECT_TO_HTTPS },
    additionalBehaviors: { '/api/*': programs, '/webhooks/*': programs },
    ...(ownDomain && {
      domainNames: [ownDomain.name],
      certificate: Certificate.fromCertificateArn(scope, 'Certificate', ownDomain.certificateArn),
      minimumProtocolVersion: SecurityPolicyProtocol.TLS_V1_2_2021,
    }),
  })
  const rules = Validations.of(distribution)
  rules.acknowledge(
    { id: 'AwsSolutions-CFR1', reason: 'Candidates and recruiters may be in any country.' },
    {
      id: 'AwsSolutions-CFR3',
      reason: 'Access logs are delivered by standard logging v2, whose settings are resources of their own.',
    },
  )
  if (!ownDomain) {
    rules.acknowledge({
      id: 'AwsSolutions-CFR4',
      reason: 'CloudFront chooses the TLS of its own domain name; with webDomain it is 1.2 at the least.',
    })
  }
  return distribution
}

/** What the API says itself stays. */
function securityHeaders(scope: Stack): ResponseHeadersPolicy {
  return new ResponseHeadersPolicy(scope, 'SecurityHeaders', {
    securityHeadersBehavior: {
      strictTransportSecurity: {
        accessControlMaxAge: Duration.days(365),
        includeSubdomains: false,
        override: false,
      },
      contentTypeOptions: { override: false },
      frameOptions: { frameOption: HeadersFrameOption.DENY, override: false },
      referrerPolicy: { referrerPolicy: HeadersReferrerPolicy.NO_REFERRER, override: false },
    },
  })
}
