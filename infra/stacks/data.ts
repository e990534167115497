import type { StackProps } from 'aws-cdk-lib'
import { CfnOutput, Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib'
import { SubnetType } from 'aws-cdk-lib/aws-ec2'
import { Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import {
  AuroraPostgresEngineVersion,
  ClusterInstance,
  Credentials,
  DatabaseCluster,
  DatabaseClusterEngine,
  DatabaseSecret,
  ParameterGroup,
} from 'aws-cdk-lib/aws-rds'
import { BlockPublicAccess, Bucket, BucketEncryption, EventType, HttpMethods } from 'aws-cdk-lib/aws-s3'
import { SqsDestination } from 'aws-cdk-lib/aws-s3-notifications'
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager'
import { Trigger } from 'aws-cdk-lib/triggers'
import type { Construct } from 'constructs'
import {
  database,
  env,
  exportRetentionDays,
  exportsPrefix,
  personDataDays,
  personDataPrefix,
  queues,
  rejectsPrefix,
  resumePrefix,
  transcriptFileDays,
  transcriptPrefix,
  uploadPrefix,
  webhookPrefix,
  webhookRetentionDays,
} from '../../lib/platform/names.ts'
import type { LambdaFunction, Surroundings } from '../functions.ts'
import { databaseEnvironment, makeFunction } from '../functions.ts'
import type { WorkQueue } from '../queues.ts'
import { makeWorkQueue } from '../queues.ts'
import type { Stage } from '../stage.ts'

/** What outlives a deployment: the database with its schema, and the bucket with the queues it notifies. */
export class DataStack extends Stack {
  readonly cluster: DatabaseCluster
  readonly bucket: Bucket
  readonly importObjects: WorkQueue
  readonly resumes: WorkQueue
  readonly migrate: LambdaFunction

  constructor(scope: Construct, id: string, surroundings: Surroundings, props?: StackProps) {
    super(scope, id, props)
    const { stage } = surroundings
    this.cluster = makeCluster(this, surroundings)
    this.migrate = makeMigration(this, surroundings, this.cluster)
    this.bucket = makeBucket(this, stage)
    // In one stack with the bucket: the bucket needs the queue's policy, the policy the bucket.
    this.importObjects = makeWorkQueue(this, stage, queues.importObjects, 'split')
    this.bucket.addEventNotification(
      // Not ObjectCreatedPut: large files arrive as multipart uploads.
      EventType.OBJECT_CREATED,
      new SqsDestination(this.importObjects.queue),
      { prefix: uploadPrefix },
    )
    this.resumes = makeWorkQueue(this, stage, queues.resumes, 'read-resume')
    this.bucket.addEventNotification(EventType.OBJECT_CREATED, new SqsDestination(this.resumes.queue), {
      prefix: resumePrefix,
    })
    refuseOtherAccounts(this, this.importObjects, this.resumes)
    acknowledgeNotifications(this)
    // Whether other stacks read them or not, which depends on the context: an export goes before its readers do.
    this.exportValue(this.cluster.clusterResourceIdentifier)
    this.exportValue(this.cluster.clusterReadEndpoint.hostname)
    new CfnOutput(this, 'UploadBucketName', { value: this.bucket.bucketName })
  }
}

function makeCluster(scope: Stack, { stage, vpc, securityGroup }: Surroundings): DatabaseCluster {
  const engine = DatabaseClusterEngine.auroraPostgres({ version: AuroraPostgresEngineVersion.VER_18_6 })
  const cluster = new DatabaseCluster(scope, 'Database', {
    engine,
    parameterGroup: new ParameterGroup(scope, 'DatabaseParameters', {
      engine,
      description: 'Insighta: TLS only',
      parameters: { 'rds.force_ssl': '1' },
    }),
    writer: ClusterInstance.serverlessV2('Writer'),
    readers: Array.from({ length: stage.aurora.readers }, (_, index) =>
      ClusterInstance.serverlessV2(`Reader${index + 1}`, { scaleWithWriter: true }),
    ),
    serverlessV2MinCapacity: stage.aurora.minCapacity,
    serverlessV2MaxCapacity: stage.aurora.maxCapacity,
    vpc,
    vpcSubnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
    credentials: Credentials.fromGeneratedSecret('insighta_admin'),
    defaultDatabaseName: database.name,
    iamAuthentication: true,
    storageEncrypted: true,
    backup: { retention: Duration.days(stage.deletionProtection ? 14 : 1) },
    deletionProtection: stage.deletionProtection,
    // A database is worth a last copy even where the rest of the stage is thrown away.
    removalPolicy:
      stage.removalPolicy === RemovalPolicy.RETAIN ? RemovalPolicy.RETAIN : RemovalPolicy.SNAPSHOT,
  })
  const master = cluster.node.findChild('Secret')
  // Who keeps a database after its stack is gone needs its password too.
  if (stage.removalPolicy === RemovalPolicy.RETAIN && master instanceof DatabaseSecret)
    master.applyRemovalPolicy(RemovalPolicy.RETAIN)
  cluster.connections.allowDefaultPortFrom(securityGroup, 'Functions')
  Validations.of(cluster).acknowledge({
    id: 'AwsSolutions-SMG4',
    reason:
      'Read by the migration alone, at deploy time; the functions sign in with IAM tokens of 15 minutes.',
  })
  if (!stage.deletionProtection) {
    Validations.of(cluster).acknowledge({
      id: 'AwsSolutions-RDS10',
      reason: `The ${stage.name} stage is made to be taken down; a final snapshot stays.`,
    })
  }
  return cluster
}

/** Brings the schema up to date inside the deployment, before any stack with code that needs it. */
function makeMigration(scope: Stack, surroundings: Surroundings, cluster: DatabaseCluster): LambdaFunction {
  const secret: ISecret | undefined = cluster.secret
  if (!secret) throw new Error('The cluster has no generated secret')
  const migrate = makeFunction(scope, 'migrate', surroundings, {
    ...databaseEnvironment(cluster),
    [env.databaseSecretArn]: secret.secretArn,
  })
  secret.grantRead(migrate)
  // Waits for the writer too: the endpoint exists before anybody listens on it. When the function throws,
  // CloudFormation rolls the deployment back.
  new Trigger(scope, 'Migration', {
    handler: migrate,
    timeout: Duration.seconds(surroundings.stage.timeouts.migrate + 30),
    executeAfter: [cluster],
  })
  return migrate
}

/** Days in which a person can bring back a file that was deleted, replaced or expired. */
const noncurrentDays = 7

/** A résumé that was deleted, or a file about a person, is to be gone: S3 takes no shorter time than a day. */
const noncurrentResumeDays = 1

function makeBucket(scope: Stack, stage: Stage): Bucket {
  const bucket = new Bucket(scope, 'Uploads', {
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    encryption: BucketEncryption.S3_MANAGED,
    enforceSSL: true,
    versioned: true,
    removalPolicy: stage.removalPolicy,
    ...(stage.consoleOrigins.length > 0 && {
      cors: [
        {
          allowedOrigins: stage.consoleOrigins,
          // Both by a presigned address: PUT of an upload, GET of an export or a report of skipped rows.
          allowedMethods: [HttpMethods.PUT, HttpMethods.GET],
          allowedHeaders: ['content-type', 'if-none-match'],
          exposedHeaders: ['content-disposition', 'etag'],
          maxAge: 3600,
        },
      ],
    }),
    lifecycleRules: [
      {
        abortIncompleteMultipartUploadAfter: Duration.days(1),
        noncurrentVersionExpiration: Duration.days(noncurrentDays),
        expiredObjectDeleteMarker: true,
      },
      // Of two rules the shorter one holds.
      { prefix: resumePrefix, noncurrentVersionExpiration: Duration.days(noncurrentResumeDays) },
      {
        prefix: personDataPrefix,
        expiration: Duration.days(personDataDays),
        noncurrentVersionExpiration: Duration.days(noncurrentResumeDays),
      },
      ...[uploadPrefix, rejectsPrefix].map((prefix) => ({
        prefix,
        expiration: Duration.days(stage.uploadRetentionDays),
      })),
      { prefix: exportsPrefix, expiration: Duration.days(exportRetentionDays) },
      {
        prefix: transcriptPrefix,
        expiration: Duration.days(transcriptFileDays),
        noncurrentVersionExpiration: Duration.days(noncurrentResumeDays),
      },
      { prefix: webhookPrefix, expiration: Duration.days(webhookRetentionDays) },
    ],
  })
  Validations.of(bucket).acknowledge({
    id: 'AwsSolutions-S1',
    reason:
      'Only functions reach it, and browsers by a presigned address that the API logs when it hands it out.',
  })
  return bucket
}

/** The ARN of a bucket, by which S3 may send, names no account, and a bucket's name is free once it is deleted. */
function refuseOtherAccounts(scope: Stack, ...notified: readonly WorkQueue[]): void {
  for (const { queue } of notified) {
    queue.addToResourcePolicy(
      new PolicyStatement({
        effect: Effect.DENY,
        principals: [new ServicePrincipal('s3.amazonaws.com')],
        actions: ['sqs:SendMessage'],
        resources: [queue.queueArn],
        conditions: { StringNotEquals: { 'aws:SourceAccount': scope.account } },
      }),
    )
  }
}

/** CDK's own function that sets the bucket's notification while a deployment runs. */
function acknowledgeNotifications(scope: Stack): void {
  Validations.of(
    scope.node.findChild('BucketNotificationsHandler050a0587b7544547bf325f094a3db834'),
  ).acknowledge({
    id: 'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]',
    reason: 'Written by CDK and run only during a deployment.',
  })
}
