import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import * as z from 'zod'
import { grantApplication, migrate, readMigrations } from '../lib/db/migrator.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { createPool } from '../lib/platform/db.ts'
import { logger } from '../lib/platform/log.ts'
import { database, env } from '../lib/platform/names.ts'

const secretSchema = z.object({
  username: z.string(),
  password: z.string(),
  host: z.string(),
  port: z.coerce.number(),
  dbname: z.string(),
})

/** Run by each deployment before the code that needs the new schema. An error fails the deployment. */
export async function handler(): Promise<{ applied: string[] }> {
  const secrets = new SecretsManagerClient({})
  const answer = await secrets.send(
    new GetSecretValueCommand({ SecretId: requiredEnv(env.databaseSecretArn) }),
  )
  const master = secretSchema.parse(JSON.parse(answer.SecretString ?? '{}'))
  const sql = createPool({
    host: master.host,
    port: master.port,
    database: master.dbname,
    user: master.username,
    password: () => master.password,
    tls: process.env[env.databaseTls] !== 'disable',
    max: 1,
    primary: true,
    transactionTimeoutSeconds: numberEnv(env.functionTimeoutSeconds, 300),
    applicationName: 'migrate',
  })
  try {
    const applied = await migrate(sql, await readMigrations())
    await grantApplication(sql, database.appUser)
    logger.info('Migrations applied', { applied })
    return { applied }
  } finally {
    await sql.end({ timeout: 2 })
  }
}
