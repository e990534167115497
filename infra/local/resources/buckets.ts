import * as z from 'zod'
import type { CorsRule, NotificationRule } from '../s3/index.ts'
import { adapter, boolean, number } from './adapter.ts'

const corsRule = z.strictObject({
  Id: z.string().optional(),
  AllowedOrigins: z.array(z.string()),
  AllowedMethods: z.array(z.string()),
  AllowedHeaders: z.array(z.string()).optional(),
  ExposedHeaders: z.array(z.string()).optional(),
  MaxAge: number.optional(),
})

export const bucket = adapter({
  honoured: z.object({
    BucketName: z.string().optional(),
    CorsConfiguration: z.strictObject({ CorsRules: z.array(corsRule) }).optional(),
  }),
  withoutEffect: ['BucketEncryption', 'OwnershipControls', 'PublicAccessBlockConfiguration'],
  differs: {
    LifecycleConfiguration: 'nothing expires here: files stay until the data folder is deleted',
    VersioningConfiguration: 'no versions are kept here: a deleted file is gone',
  },
  async create({ BucketName, CorsConfiguration }, context, services) {
    const name = (BucketName ?? context.physicalName).toLowerCase()
    services.buckets.set(name, { cors: (CorsConfiguration?.CorsRules ?? []).map(toCorsRule) })
    const host = `${name}.s3.amazonaws.com`
    return {
      ref: name,
      attributes: {
        Arn: `arn:aws:s3:::${name}`,
        DomainName: host,
        RegionalDomainName: `${name}.s3.${services.region}.amazonaws.com`,
      },
    }
  },
})

function toCorsRule(rule: z.output<typeof corsRule>): CorsRule {
  return {
    ...(rule.Id !== undefined && { id: rule.Id }),
    allowedOrigins: rule.AllowedOrigins,
    allowedMethods: rule.AllowedMethods,
    ...(rule.AllowedHeaders && { allowedHeaders: rule.AllowedHeaders }),
    ...(rule.ExposedHeaders && { exposedHeaders: rule.ExposedHeaders }),
    ...(rule.MaxAge !== undefined && { maxAgeSeconds: rule.MaxAge }),
  }
}

const queueConfiguration = z.strictObject({
  Id: z.string().optional(),
  Events: z.array(z.string()),
  QueueArn: z.string(),
  Filter: z
    .strictObject({
      Key: z.strictObject({
        FilterRules: z.array(z.strictObject({ Name: z.string().toLowerCase(), Value: z.string() })),
      }),
    })
    .optional(),
})

/** CDK's own resource; a function of CDK's would call PutBucketNotificationConfiguration for it. */
export const bucketNotifications = adapter({
  honoured: z.object({
    BucketName: z.string(),
    Managed: boolean.optional(),
    NotificationConfiguration: z.strictObject({
      QueueConfigurations: z.array(queueConfiguration).default([]),
    }),
  }),
  withoutEffect: ['ServiceToken', 'SkipDestinationValidation'],
  async create({ BucketName, NotificationConfiguration }, context, services) {
    const settings = services.buckets.get(BucketName)
    if (!settings) throw new Error(`${context.stack}/${context.logicalId}: there is no bucket ${BucketName}`)
    const added = NotificationConfiguration.QueueConfigurations.map((rule, index): NotificationRule => {
      const filters = rule.Filter?.Key.FilterRules ?? []
      const prefix = filters.find(({ Name }) => Name === 'prefix')?.Value
      const suffix = filters.find(({ Name }) => Name === 'suffix')?.Value
      return {
        id: rule.Id ?? `${context.logicalId}-${index}`,
        events: rule.Events,
        queueArn: rule.QueueArn,
        ...(prefix !== undefined && { prefix }),
        ...(suffix !== undefined && { suffix }),
      }
    })
    settings.notifications = [...(settings.notifications ?? []), ...added]
    return { ref: context.physicalName }
  },
})
