import postgres from 'postgres'

export type Login = { user: string; password: string }

/** The superuser of the local server. As on RDS it is nobody's but the platform's. */
export const superuserName = 'rdsadmin'

/** Runs statements as the platform's superuser over one connection. */
export async function asSuperuser<T>(
  port: number,
  password: string,
  database: string,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = postgres({
    host: '127.0.0.1',
    port,
    database,
    user: superuserName,
    password,
    max: 1,
    connect_timeout: 5,
    onnotice: () => {},
  })
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 2 })
  }
}

/** Runs a statement whose %I and %L are replaced by quoted values: DDL takes no parameters. */
async function statement(sql: postgres.Sql, format: string, ...values: string[]): Promise<void> {
  const [row] = await sql<{ text: string }[]>`
    select format(${format}, variadic ${sql.array(values)}::text[]) as text`
  await sql.unsafe(row!.text)
}

/**
 * Makes the database, its master user and the roles that RDS has, or brings them up to date. The master is no
 * superuser, so that a migration that needs one fails here as it would there.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.rds_superuser.html
 */
export async function prepareDatabase(
  port: number,
  superuserPassword: string,
  master: Login,
  databaseName: string,
): Promise<void> {
  await asSuperuser(port, superuserPassword, 'postgres', async (sql) => {
    const roles = new Set((await sql`select rolname from pg_roles`).map((row) => String(row.rolname)))
    for (const role of ['rds_superuser', 'rds_iam']) {
      if (!roles.has(role)) await statement(sql, 'create role %I nologin', role)
    }
    for (const role of ['rds_iam', 'pg_monitor', 'pg_signal_backend', 'pg_checkpoint', 'pg_maintain']) {
      await statement(sql, 'grant %I to rds_superuser with admin option', role)
    }
    if (!roles.has(master.user)) await statement(sql, 'create role %I', master.user)
    await statement(sql, 'alter role %I login createrole createdb password %L', master.user, master.password)
    await statement(sql, 'grant rds_superuser to %I', master.user)
    const [database] = await sql`select from pg_database where datname = ${databaseName}`
    if (!database) await statement(sql, 'create database %I owner %I', databaseName, master.user)
  })
}

/**
 * Gives one password to every role that on RDS would log in with an IAM token: the direct members of rds_iam.
 * Answers their names.
 */
export async function setApplicationPasswords(
  port: number,
  superuserPassword: string,
  password: string,
): Promise<string[]> {
  return asSuperuser(port, superuserPassword, 'postgres', async (sql) => {
    const roles = await sql<{ rolname: string }[]>`
      select rolname from pg_auth_members
      join pg_roles on pg_roles.oid = member
      where roleid = 'rds_iam'::regrole and rolcanlogin`
    for (const { rolname } of roles) await statement(sql, 'alter role %I password %L', rolname, password)
    return roles.map(({ rolname }) => rolname)
  })
}
