import { arrayLiteral, type Sql, type Transaction } from '../platform/db.ts'

/** In seconds. */
export type PassWaits = {
  /** Between the beginnings of two passes. */
  between: number
  /** A pass that changes nothing is the last one if it began so long after the deployment asked. */
  settledAfter: number
  /** How far behind the beginning of the pass before a pass begins. */
  overlap: number
}

/** Asks for passes: what workers of another release have written since the last one is to be looked at. */
export async function askForPasses(sql: Sql): Promise<void> {
  await sql`update name_rekeying set asked_at = now(), settled = false where id = 1`
}

/**
 * The id up to which the pass at work has looked, null at its beginning; undefined if none is at work. Begins one
 * that is due. Of a database that newer code has taken to another folding none is.
 */
export async function currentPass(
  sql: Sql,
  folding: number,
  { between, overlap }: PassWaits,
): Promise<string | null | undefined> {
  await sql`
    update name_rekeying set folding = ${folding}, began_at = now(), changed = 0,
      covered_at = case when folding = ${folding} then covered_at end,
      -- The least version 7 UUID of a time.
      scanned_up_to = case when folding = ${folding} then
        (lpad(to_hex((extract(epoch from covered_at - make_interval(secs => ${overlap})) * 1000)::bigint), 12, '0')
          || repeat('0', 20))::uuid end
    where id = 1 and (folding < ${folding} or folding = ${folding} and began_at is null and not settled and (
      covered_at is null or asked_at > covered_at or covered_at < now() - make_interval(secs => ${between})))`
  const [pass] = await sql<{ scanned_up_to: string | null }[]>`
    select scanned_up_to from name_rekeying where id = 1 and folding = ${folding} and began_at is not null`
  return pass?.scanned_up_to ?? (pass && null)
}

/** Counts keys that the pass at work has changed. */
export async function noteChanged(sql: Sql, changed: number): Promise<void> {
  await sql`update name_rekeying set changed = changed + ${changed} where id = 1 and began_at is not null`
}

/** Notes how far the pass has come, unless another worker has taken it further. */
export async function advancePass(
  sql: Sql,
  folding: number,
  from: string | null,
  upTo: string,
): Promise<void> {
  await sql`
    update name_rekeying set scanned_up_to = ${upTo}
    where id = 1 and folding = ${folding} and began_at is not null
      and scanned_up_to is not distinct from ${from}::uuid`
}

/** Ends the pass that has looked at all ids from `from` on. */
export async function endPass(
  sql: Sql,
  folding: number,
  from: string | null,
  { settledAfter }: PassWaits,
): Promise<void> {
  await sql`
    update name_rekeying set covered_at = began_at, began_at = null, scanned_up_to = null,
      settled = changed = 0 and began_at >= asked_at + make_interval(secs => ${settledAfter})
    where id = 1 and folding = ${folding} and began_at is not null
      and scanned_up_to is not distinct from ${from}::uuid`
}

/** Whether every profile was looked at under this folding, so that a name leads to its profile. */
export async function keysAreOf(tx: Sql | Transaction, folding: number): Promise<boolean> {
  const [row] = await tx<{ current: boolean }[]>`
    select folding = ${folding} and covered_at is not null as current from name_rekeying where id = 1`
  return row?.current ?? false
}

/** A profile with what its name should lead to: of a twin the key of the name, which another profile has. */
export type KeyedName = { id: string; name: string; key: string }

/**
 * Of the next `size` profiles behind an id those whose name a folding may change, in the order of their ids:
 * a plain one is its lower case in every folding. `upTo` is the last id looked at, undefined behind the last one.
 */
export async function namesOfPart(
  sql: Sql,
  from: string | null,
  size: number,
): Promise<{ names: KeyedName[]; upTo: string | undefined }> {
  const after = sql`p.id > ${from ?? '00000000-0000-0000-0000-000000000000'}`
  const [last] = await sql<{ id: string }[]>`
    select p.id from profiles p where ${after} order by p.id offset ${size - 1} limit 1`
  const names = await sql<KeyedName[]>`
    select p.id, p.name, coalesce(t.name_key, p.name_key) as key
    from profiles p left join name_twins t on t.profile_id = p.id
    where ${after} and ${last ? sql`p.id <= ${last.id}` : sql`true`} and p.name ~ '[^ -~]'
    order by p.id`
  return { names: [...names], upTo: last?.id }
}

/** The oldest twin of each name that no profile has any more, up to `limit`. */
export async function freedTwins(sql: Sql, limit: number): Promise<string[]> {
  const rows = await sql<{ profile_id: string }[]>`
    select distinct on (t.name_key) t.profile_id from name_twins t
    where not exists (select from profiles p where p.name_key = t.name_key)
    order by t.name_key, t.profile_id limit ${limit}`
  return rows.map(({ profile_id }) => profile_id)
}

export type HeldKey = {
  id: string
  name: string
  name_key: string
  /** Of a listed twin the key of its name. */
  twin_of: string | null
  import_id: string | null
}

/** Locks profiles by id or by key, in the order of their keys. */
export async function lockKeys(
  tx: Transaction,
  by: 'id' | 'name_key',
  values: readonly string[],
): Promise<HeldKey[]> {
  return tx<HeldKey[]>`
    select p.id, p.name, p.name_key, p.import_id, t.name_key as twin_of
    from profiles p left join name_twins t on t.profile_id = p.id
    where p.${tx(by)} = any(${arrayLiteral(values)}::text::uuid[])
    order by p.name_key for update of p`
}

export async function setKeys(
  tx: Transaction,
  keys: readonly { id: string; name_key: string }[],
): Promise<void> {
  if (keys.length === 0) return
  await tx`
    update profiles p set name_key = k.name_key
    from json_to_recordset(${JSON.stringify(keys)}::text::json) as k(id uuid, name_key uuid)
    where p.id = k.id`
}

/** Lists profiles as twins, each with the key of its name. */
export async function listTwins(
  tx: Transaction,
  twins: readonly { id: string; name_key: string }[],
): Promise<void> {
  if (twins.length === 0) return
  await tx`
    insert into name_twins (profile_id, name_key)
    select id, name_key from json_to_recordset(${JSON.stringify(twins)}::text::json) as t(id uuid, name_key uuid)
    on conflict (profile_id) do update set name_key = excluded.name_key`
}

export async function unlistTwins(tx: Transaction, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await tx`delete from name_twins where profile_id = any(${arrayLiteral(ids)}::text::uuid[])`
}
