import type { StackProps } from 'aws-cdk-lib'
import { Stack, Validations } from 'aws-cdk-lib'
import type { IVpc } from 'aws-cdk-lib/aws-ec2'
import {
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  Port,
  SecurityGroup,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2'
import type { Construct } from 'constructs'

/** A network without a way out: the database, the functions, and private endpoints of the services they call. */
export class NetworkStack extends Stack {
  readonly vpc: IVpc
  /**
   * Worn by every function. It lives here, below the stacks of the functions and of the database, because a
   * rule between two stacks that need each other is a cycle.
   */
  readonly functionSecurityGroup: SecurityGroup

  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props)
    // CDK's own types disagree about an optional property under exactOptionalPropertyTypes.
    this.vpc = new Vpc(this, 'Vpc', {
      maxAzs: 2,
      natGateways: 0,
      subnetConfiguration: [{ name: 'isolated', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 20 }],
      // Nothing wears the default group; emptying it would need a function of its own.
      restrictDefaultSecurityGroup: false,
      gatewayEndpoints: { S3: { service: GatewayVpcEndpointAwsService.S3 } },
    }) as IVpc
    Validations.of(this.vpc).acknowledge({
      id: 'AwsSolutions-VPC7',
      reason: 'No route leaves this network, and two security groups name every connection in it.',
    })
    this.functionSecurityGroup = new SecurityGroup(this, 'FunctionSecurityGroup', {
      vpc: this.vpc,
      description: 'Functions of Insighta',
    })
    const endpoints = new SecurityGroup(this, 'EndpointSecurityGroup', {
      vpc: this.vpc,
      description: 'Private endpoints of AWS services',
      allowAllOutbound: false,
    })
    endpoints.addIngressRule(this.functionSecurityGroup, Port.HTTPS, 'Functions')
    const services = {
      Sqs: InterfaceVpcEndpointAwsService.SQS,
      // Only the migration reads the master's secret.
      SecretsManager: InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
      // The way to functions outside, which call third parties.
      Lambda: InterfaceVpcEndpointAwsService.LAMBDA,
    }
    for (const [name, service] of Object.entries(services)) {
      this.vpc.addInterfaceEndpoint(name, { service, securityGroups: [endpoints], open: false })
    }
  }
}
