import type { Registry } from '../deployment.ts'
import type { Adapter } from './adapter.ts'
import { bucket, bucketNotifications } from './buckets.ts'
import { serverlessCache } from './caches.ts'
import { databaseCluster, databaseInstance, secret, secretTargetAttachment } from './databases.ts'
import { eventSourceMapping, functionVersion, lambdaFunction, trigger } from './functions.ts'
import { api, integration, route, stage } from './http-apis.ts'
import { queue } from './queues.ts'
import { eventRule, schedule } from './schedules.ts'

/** Kept as they are, for whoever draws them. */
const alarm: Adapter = {
  async create(properties, context, services) {
    const name = String(properties.AlarmName ?? context.physicalName)
    const arn = `arn:aws:cloudwatch:${services.region}:${services.accountId}:alarm:${name}`
    services.alarms.push({ name, properties })
    return { ref: name, attributes: { Arn: arn } }
  },
}

const dashboard: Adapter = {
  async create({ DashboardName, DashboardBody }, context, services) {
    const name = String(DashboardName ?? context.physicalName)
    services.dashboards.push({ name, body: JSON.parse(String(DashboardBody)) as unknown })
    return { ref: name }
  },
}

const adapters = new Map<string, Adapter>([
  ['AWS::ApiGatewayV2::Api', api],
  ['AWS::ApiGatewayV2::Integration', integration],
  ['AWS::ApiGatewayV2::Route', route],
  ['AWS::ApiGatewayV2::Stage', stage],
  ['AWS::CloudWatch::Alarm', alarm],
  ['AWS::CloudWatch::Dashboard', dashboard],
  ['AWS::ElastiCache::ServerlessCache', serverlessCache],
  ['AWS::Events::Rule', eventRule],
  ['AWS::Lambda::EventSourceMapping', eventSourceMapping],
  ['AWS::Lambda::Function', lambdaFunction],
  ['AWS::Lambda::Version', functionVersion],
  ['AWS::RDS::DBCluster', databaseCluster],
  ['AWS::RDS::DBInstance', databaseInstance],
  ['AWS::S3::Bucket', bucket],
  ['AWS::SQS::Queue', queue],
  ['AWS::Scheduler::Schedule', schedule],
  ['AWS::SecretsManager::Secret', secret],
  ['AWS::SecretsManager::SecretTargetAttachment', secretTargetAttachment],
  ['Custom::S3BucketNotifications', bucketNotifications],
  ['Custom::Trigger', trigger],
])

/**
 * Permissions, networks, keys, log settings and the edge: one user, one machine and plain files here. TLS of
 * the database, a setting of its parameter group, is off for the same reason.
 */
const withoutEffect = new Set([
  'AWS::CDK::Metadata',
  'AWS::CloudFront::Distribution',
  'AWS::CloudFront::ResponseHeadersPolicy',
  'AWS::KMS::Alias',
  'AWS::KMS::Key',
  'AWS::Lambda::EventInvokeConfig',
  'AWS::Lambda::Permission',
  'AWS::Logs::Delivery',
  'AWS::Logs::DeliveryDestination',
  'AWS::Logs::DeliverySource',
  'AWS::Logs::LogGroup',
  'AWS::Logs::ResourcePolicy',
  'AWS::RDS::DBClusterParameterGroup',
  'AWS::RDS::DBSubnetGroup',
  'AWS::S3::BucketPolicy',
  'AWS::SNS::Topic',
  'AWS::SNS::TopicPolicy',
  'AWS::SQS::QueuePolicy',
  'AWS::WAFv2::LoggingConfiguration',
  'AWS::WAFv2::WebACL',
])

/** Every resource type that the local cloud knows. */
export const registry: Registry = {
  adapters,
  withoutEffect: (type) => withoutEffect.has(type) || /^AWS::(IAM|EC2)::/.test(type),
}
