import * as z from 'zod'
import { adapter, boolean, number } from './adapter.ts'

export const secret = adapter({
  honoured: z.object({
    Name: z.string().optional(),
    SecretString: z.string().optional(),
    GenerateSecretString: z
      .strictObject({
        SecretStringTemplate: z.string().optional(),
        GenerateStringKey: z.string().optional(),
        PasswordLength: number.optional(),
        ExcludeCharacters: z.string().optional(),
        ExcludeNumbers: boolean.optional(),
        ExcludePunctuation: boolean.optional(),
        ExcludeUppercase: boolean.optional(),
        ExcludeLowercase: boolean.optional(),
        IncludeSpace: boolean.optional(),
        RequireEachIncludedType: boolean.optional(),
      })
      .optional(),
  }),
  withoutEffect: ['Description', 'KmsKeyId'],
  async create({ Name, SecretString, GenerateSecretString }, context, services) {
    const name = Name ?? context.physicalName
    const { arn } = await services.secrets.create(name, GenerateSecretString, SecretString)
    return { ref: arn, attributes: { Id: arn } }
  },
})

/** Puts host, port and the rest into the secret; its Ref is the secret's. */
export const secretTargetAttachment = adapter({
  honoured: z.object({
    SecretId: z.string(),
    TargetId: z.string(),
    TargetType: z.literal('AWS::RDS::DBCluster'),
  }),
  async create({ SecretId, TargetId }, _context, services) {
    const cluster = services.clusters.get(TargetId)
    if (!cluster) throw new Error(`There is no database cluster ${TargetId}`)
    await services.secrets.attach(SecretId, { engine: 'postgres', ...cluster })
    return { ref: SecretId, attributes: { Id: SecretId } }
  },
})

export const databaseCluster = adapter({
  honoured: z.object({
    Engine: z.string().regex(/postgresql$/, 'only PostgreSQL runs in the local cloud'),
    DatabaseName: z.string(),
    MasterUsername: z.string(),
    MasterUserPassword: z.string(),
  }),
  withoutEffect: [
    'BackupRetentionPeriod',
    'CopyTagsToSnapshot',
    'DBClusterIdentifier',
    'DBClusterParameterGroupName',
    'DBSubnetGroupName',
    'DeletionProtection',
    'EnableCloudwatchLogsExports',
    'EnableIAMDatabaseAuthentication',
    'EngineVersion',
    'KmsKeyId',
    'MonitoringInterval',
    'MonitoringRoleArn',
    'PerformanceInsightsEnabled',
    'Port',
    'PreferredBackupWindow',
    'PreferredMaintenanceWindow',
    'ServerlessV2ScalingConfiguration',
    'StorageEncrypted',
    'VpcSecurityGroupIds',
  ],
  async create({ DatabaseName, MasterUsername, MasterUserPassword }, context, services) {
    const { host, port } = await services.startCluster({
      masterUser: MasterUsername,
      masterPassword: MasterUserPassword,
      databaseName: DatabaseName,
    })
    const id = context.physicalName.toLowerCase()
    services.clusters.set(id, { host, port, dbname: DatabaseName, dbClusterIdentifier: id })
    const arn = `arn:aws:rds:${services.region}:${services.accountId}:cluster:${id}`
    return {
      ref: id,
      attributes: {
        DBClusterArn: arn,
        DBClusterResourceId: `cluster-${id}`,
        'Endpoint.Address': host,
        'Endpoint.Port': String(port),
        'ReadEndpoint.Address': host,
      },
    }
  },
})

/** The writer is the cluster itself; beside it one reader runs, a standby that follows it. */
export const databaseInstance = adapter({
  honoured: z.object({ DBClusterIdentifier: z.string(), PromotionTier: number.default(1) }),
  withoutEffect: [
    'AutoMinorVersionUpgrade',
    'DBInstanceClass',
    'DBParameterGroupName',
    'DBSubnetGroupName',
    'Engine',
    'MonitoringInterval',
    'MonitoringRoleArn',
    'PubliclyAccessible',
  ],
  async create({ PromotionTier }, context, services) {
    // The CDK gives 0 to the writer alone.
    if (PromotionTier > 0) await services.startReader()
    return { ref: context.physicalName.toLowerCase() }
  },
})
