import * as z from 'zod'
import { adapter } from './adapter.ts'

/** Where there is no server to start, whatever speaks to the cache is told that there is none. */
export const serverlessCache = adapter({
  honoured: z.object({ Engine: z.enum(['valkey', 'redis']) }),
  withoutEffect: [
    'CacheUsageLimits',
    'Description',
    'MajorEngineVersion',
    'SecurityGroupIds',
    'ServerlessCacheName',
    'SnapshotRetentionLimit',
    'SubnetIds',
  ],
  async create(_properties, context, services) {
    const started = await services.startCache()
    if (!started) {
      context.differs('no valkey-server or redis-server is on the PATH, so that environments share no cache')
    }
    const { host, port } = started ?? { host: 'none.invalid', port: 0 }
    const id = context.physicalName.toLowerCase()
    return {
      ref: id,
      attributes: {
        ARN: `arn:aws:elasticache:${services.region}:${services.accountId}:serverlesscache:${id}`,
        'Endpoint.Address': host,
        'Endpoint.Port': String(port),
      },
    }
  },
})
