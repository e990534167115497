import type postgres from 'postgres'
import type { Sql, Transaction } from './db.ts'
import { NotFoundError, QuotaExceededError } from './errors.ts'

/** What costs money, with what a team may spend of it a day (UTC) unless team_quotas has another limit for it. */
export const dailyLimits = {
  /** Questions that are planned or asked, assessments, résumés, and embeddings. */
  model_calls: 20_000,
  /** All that are written, whoever they go to. */
  emails: 10_000,
  /** Of files to be imported and of résumés, as they are announced. */
  upload_bytes: 1024 ** 4,
} as const
export type QuotaKind = keyof typeof dailyLimits
export const quotaKinds = Object.keys(dailyLimits) as QuotaKind[]

/**
 * Counts what a team is about to spend, in the transaction of what it is spent for if there is one: then it counts
 * only if that commits. Exact however many spend at once. Throws QuotaExceededError, and counts nothing, if it is
 * more than is left of the day.
 */
export async function spend(
  sql: Sql | Transaction,
  teamId: string,
  kind: QuotaKind,
  amount: number,
): Promise<void> {
  const [row] = await sql<{ spent: boolean; daily_limit: number; seconds: number }[]>`
    with allowed as (
      select coalesce(
        (select daily_limit from team_quotas where team_id = ${teamId} and kind = ${kind}),
        ${dailyLimits[kind]}::bigint) as daily_limit),
    spent as (
      insert into team_usage as u (team_id, kind, day, used)
      select ${teamId}, ${kind}, (now() at time zone 'utc')::date, ${amount}::bigint from allowed
      where ${amount}::bigint <= daily_limit
      on conflict (team_id, kind, day) do update set used = u.used + excluded.used
      where u.used + excluded.used <= (select daily_limit from allowed)
      returning 1)
    select exists (select from spent) as spent, daily_limit, ${secondsLeft(sql)} as seconds from allowed`
  const { spent, daily_limit, seconds } = row!
  if (!spent) throw new QuotaExceededError(kind.replace('_', ' '), daily_limit, seconds)
}

/** The same, but returns whether it was spent, for work that no person waits for. */
export async function trySpend(
  sql: Sql | Transaction,
  teamId: string,
  kind: QuotaKind,
  amount: number,
): Promise<boolean> {
  try {
    await spend(sql, teamId, kind, amount)
    return true
  } catch (error) {
    if (error instanceof QuotaExceededError) return false
    throw error
  }
}

/** The condition that a team may spend more of a kind today. */
export function hasRoom(
  sql: Sql | Transaction,
  teamId: postgres.Fragment,
  kind: QuotaKind,
): postgres.Fragment {
  return sql`
    coalesce((select daily_limit from team_quotas where team_id = ${teamId} and kind = ${kind}),
      ${dailyLimits[kind]}::bigint)
    > coalesce((select used from team_usage where team_id = ${teamId} and kind = ${kind}
        and day = (now() at time zone 'utc')::date), 0)`
}

/** Counts what belongs to work that the quota has let in already, and is not held up by it. */
export async function countUsage(
  sql: Sql | Transaction,
  teamId: string,
  kind: QuotaKind,
  amount: number,
): Promise<void> {
  await sql`
    insert into team_usage as u (team_id, kind, day, used)
    values (${teamId}, ${kind}, (now() at time zone 'utc')::date, ${amount})
    on conflict (team_id, kind, day) do update set used = u.used + excluded.used`
}

/** Days for which a team's usage is kept. */
const usageDays = 90

/** Deletes what was used longer ago than that. Returns how many rows. */
export async function pruneUsage(sql: Sql): Promise<number> {
  const { count } = await sql`
    delete from team_usage where day < (now() at time zone 'utc')::date - ${usageDays}::integer`
  return count
}

/** Limits a day by kind; null is the default one, and what is left out stays. */
export type QuotaChanges = { [Kind in QuotaKind]?: number | null | undefined }

/** Sets limits of a team, which hold at once. Throws NotFoundError. */
export async function setQuotas(tx: Transaction, teamId: string, changes: QuotaChanges): Promise<void> {
  await mustBeTeam(tx, teamId)
  for (const kind of quotaKinds) {
    const limit = changes[kind]
    if (limit === null) await tx`delete from team_quotas where team_id = ${teamId} and kind = ${kind}`
    if (limit === null || limit === undefined) continue
    await tx`
      insert into team_quotas (team_id, kind, daily_limit) values (${teamId}, ${kind}, ${limit})
      on conflict (team_id, kind) do update set daily_limit = excluded.daily_limit`
  }
}

/** Throws NotFoundError if there is no such team. */
export async function mustBeTeam(sql: Sql | Transaction, id: string): Promise<void> {
  const [team] = await sql`select from teams where id = ${id}`
  if (!team) throw new NotFoundError('Team not found')
}

export type Usage = { kind: QuotaKind; used: number; daily_limit: number; resets_at: Date }

/** What a team has spent today, and how much it may, of each kind. */
export async function usageOf(sql: Sql | Transaction, teamId: string): Promise<Usage[]> {
  const rows = await sql<(Omit<Usage, 'daily_limit'> & { daily_limit: number | null })[]>`
    select k.kind, coalesce(used, 0) as used, daily_limit,
      (((now() at time zone 'utc')::date + 1)::timestamp at time zone 'utc') as resets_at
    from jsonb_array_elements_text(${sql.json(quotaKinds)}) as k(kind)
    left join team_quotas q on q.kind = k.kind and q.team_id = ${teamId}
    left join team_usage u on u.kind = k.kind and u.team_id = ${teamId} and u.day = (now() at time zone 'utc')::date`
  return rows.map((row) => ({ ...row, daily_limit: row.daily_limit ?? dailyLimits[row.kind] }))
}

/** Until the day ends, at least 1. */
export const secondsLeft = (sql: Sql | Transaction) => sql`
  greatest(ceil(extract(epoch from ((now() at time zone 'utc')::date + 1) - (now() at time zone 'utc'))), 1)::integer`
