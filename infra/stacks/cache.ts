import type { StackProps } from 'aws-cdk-lib'
import { Stack } from 'aws-cdk-lib'
import type { ISecurityGroup, IVpc } from 'aws-cdk-lib/aws-ec2'
import { Port, SecurityGroup, SubnetType } from 'aws-cdk-lib/aws-ec2'
import { CfnServerlessCache } from 'aws-cdk-lib/aws-elasticache'
import type { Construct } from 'constructs'
import type { Stage } from '../stage.ts'

export type CacheSurroundings = {
  stage: Stage
  vpc: IVpc
  /** Worn by the functions, which alone reach the cache. */
  securityGroup: ISecurityGroup
}

/** The cache that all execution environments share. Nothing in it is missed when it is gone. */
export class CacheStack extends Stack {
  /** For CACHE_URL; ElastiCache Serverless speaks TLS only. */
  readonly url: string

  constructor(
    scope: Construct,
    id: string,
    { stage, vpc, securityGroup }: CacheSurroundings,
    props?: StackProps,
  ) {
    super(scope, id, props)
    const group = new SecurityGroup(this, 'CacheSecurityGroup', {
      vpc,
      description: 'Shared cache of Insighta',
      allowAllOutbound: false,
    })
    group.addIngressRule(securityGroup, Port.tcp(6379), 'Functions')
    const cache = new CfnServerlessCache(this, 'Cache', {
      serverlessCacheName: `insighta-${stage.name}`,
      description: 'Answers and rate limits of Insighta',
      engine: 'valkey',
      majorEngineVersion: '8',
      subnetIds: vpc.selectSubnets({ subnetType: SubnetType.PRIVATE_ISOLATED }).subnetIds,
      securityGroupIds: [group.securityGroupId],
      // What bounds the bill. A page is some 10 KB, which is as many units.
      cacheUsageLimits: { dataStorage: { maximum: 1, unit: 'GB' }, ecpuPerSecond: { maximum: 10_000 } },
      snapshotRetentionLimit: 0,
    })
    this.url = `rediss://${cache.attrEndpointAddress}:${cache.attrEndpointPort}`
  }
}
