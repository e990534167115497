import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager'
import type { Context } from 'aws-lambda'
import * as z from 'zod'
import { grantApplication, migrate, readMigrations } from '../lib/db/migrator.ts'
import { moveConflicts } from '../lib/imports/name-store.ts'
import { refoldTurns } from '../lib/interviews/search.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { createPool } from '../lib/platform/db.ts'
import { logger } from '../lib/platform/log.ts'
import { database, env } from '../lib/platform/names.ts'
import { askForPasses, type RekeyResult, rekeyNames } from '../lib/profiles/rekey.ts'

const secretSchema = z.object({
  username: z.string(),
  password: z.string(),
  host: z.string(),
  port: z.coerce.number(),
  dbname: z.string(),
})

/** Milliseconds before the deadline at which names and turns are left to the sweep: a part of them takes seconds. */
const reserve = 60_000

/** Run by each deployment before the code that needs the new schema. An error fails the deployment. */
export async function handler(
  _event?: unknown,
  context?: Pick<Context, 'getRemainingTimeInMillis'>,
): Promise<{ applied: string[]; names: RekeyResult; turns: number }> {
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
    await askForPasses(sql)
    const remainingMs = () => (context?.getRemainingTimeInMillis() ?? Number.POSITIVE_INFINITY) - reserve
    const names = await rekeyNames({ sql, remainingMs, moved: moveConflicts })
    logger.info('Names keyed', names)
    const turns = await refoldTurns(sql, remainingMs)
    logger.info('Turns made findable', { turns })
    return { applied, names, turns }
  } finally {
    await sql.end({ timeout: 2 })
  }
}
