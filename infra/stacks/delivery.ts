import { CfnOutput, Duration, Stack, Validations } from 'aws-cdk-lib'
import {
  OidcProviderNative,
  PolicyStatement,
  Role,
  type RoleProps,
  WebIdentityPrincipal,
} from 'aws-cdk-lib/aws-iam'
import type { Construct } from 'constructs'
import { pascal } from '../functions.ts'

export type Delivery = {
  /** As the subject of GitHub's tokens begins: owner/name, with the ids of both in newer repositories. */
  repository: string
  stages: readonly ('dev' | 'prod')[]
  /** The ARN of GitHub's provider in the account, which can have one only; made where it is absent. */
  provider?: string
}

/** Where the web stack is, whatever region the others are in. */
const webRegion = 'us-east-1'

const issuer = 'token.actions.githubusercontent.com'

/** What GitHub's workflows may do in this account, without a key that could be lost. */
export class DeliveryStack extends Stack {
  private readonly provider: string

  constructor(scope: Construct, id: string, { repository, stages, provider }: Delivery) {
    super(scope, id)
    const made = () =>
      new OidcProviderNative(this, 'GitHub', { url: `https://${issuer}`, clientIds: ['sts.amazonaws.com'] })
    this.provider = provider ?? made().oidcProviderArn
    for (const stage of stages) this.addDeployRole(stage, repository)
    if (stages.includes('dev')) this.addDiffRole(repository)
  }

  /**
   * For the jobs of the environment of that name, whose rules at GitHub say from which branches and tags it is
   * deployed. All that it may is to hand a deployment to the roles of the CDK's bootstrap.
   */
  private addDeployRole(stage: string, repository: string): void {
    const role = this.makeRole(`${pascal(stage)}Role`, `repo:${repository}:environment:${stage}`, {
      description: `Deploys the stage ${stage} of Insighta from GitHub`,
      // A first deployment creates a database and a network, which takes half an hour.
      maxSessionDuration: Duration.hours(2),
    })
    const bootstrap = [this.region, webRegion].flatMap((region) =>
      ['deploy-role', 'file-publishing-role'].map((name) =>
        this.formatArn({
          service: 'iam',
          region: '',
          resource: 'role',
          resourceName: `cdk-hnb659fds-${name}-${this.account}-${region}`,
        }),
      ),
    )
    role.addToPolicy(new PolicyStatement({ actions: ['sts:AssumeRole'], resources: bootstrap }))
    role.addToPolicy(
      new PolicyStatement({
        actions: ['lambda:GetAccountSettings', 'rds:DescribeDBEngineVersions'],
        resources: ['*'],
      }),
    )
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'The quota belongs to the account, the list of engines to RDS: neither action names a resource.',
    })
    this.allowNamed(
      role,
      ['secretsmanager:DescribeSecret'],
      ['secretsmanager', `secret:insighta-${stage}-*`],
      'The secrets of one stage by the beginning of their names; the action shows no value of them.',
    )
    const states = ['cloudformation:DescribeStacks', 'cloudformation:ListStackResources']
    const stacks = 'The stacks of one stage by the beginning of their names, whose ids AWS draws; read only.'
    this.allowNamed(role, states, ['cloudformation', `stack/Insighta-${stage}-*/*`], stacks)
    this.allowNamed(role, states, ['cloudformation', `stack/Insighta-${stage}-web/*`], stacks, webRegion)
    const topics = 'The topics of one stage by the beginning of their names; shows who listens to the alarms.'
    for (const region of [undefined, webRegion]) {
      const named = ['sns', `Insighta-${stage}-*`] as const
      this.allowNamed(role, ['sns:ListSubscriptionsByTopic'], named, topics, region)
    }
  }

  /**
   * For every pull request, so it reads no more than templates, which hold no secret. The lookup role of the
   * bootstrap would read every object and log.
   */
  private addDiffRole(repository: string): void {
    const role = this.makeRole('DiffRole', `repo:${repository}:pull_request`, {
      description: 'Compares pull requests with what is deployed of Insighta',
    })
    this.allowNamed(
      role,
      ['cloudformation:DescribeStacks', 'cloudformation:GetTemplate'],
      ['cloudformation', 'stack/Insighta-dev-*/*'],
      'The stacks of one stage by the beginning of their names, whose ids AWS draws; read only.',
    )
    this.allowNamed(
      role,
      ['cloudformation:DescribeStacks', 'cloudformation:GetTemplate'],
      ['cloudformation', 'stack/Insighta-dev-web/*'],
      'One stack of one stage, whose id AWS draws; read only.',
      webRegion,
    )
  }

  private makeRole(id: string, subject: string, props: Omit<RoleProps, 'assumedBy'>): Role {
    const assumedBy = new WebIdentityPrincipal(this.provider, {
      StringEquals: { [`${issuer}:aud`]: 'sts.amazonaws.com', [`${issuer}:sub`]: subject },
    })
    const role = new Role(this, id, { ...props, assumedBy })
    new CfnOutput(this, `${id}Arn`, { value: role.roleArn })
    return role
  }

  /** Allows what has one beginning of a name, which cdk-nag wants a reason for. */
  private allowNamed(
    role: Role,
    actions: string[],
    [service, path]: readonly [string, string],
    reason: string,
    otherRegion?: string,
  ): void {
    const arn = (partition: string, region: string, account: string) =>
      `arn:${partition}:${service}:${otherRegion ?? region}:${account}:${path}`
    const resources = [arn(this.partition, this.region, this.account)]
    role.addToPolicy(new PolicyStatement({ actions, resources }))
    const finding = arn('<AWS::Partition>', '<AWS::Region>', '<AWS::AccountId>')
    Validations.of(role).acknowledge({ id: `AwsSolutions-IAM5[Resource::${finding}]`, reason })
  }
}
