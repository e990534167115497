import type postgres from 'postgres'
import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { shownAddress } from '../platform/email-address.ts'
import { isInsightaError, NotFoundError, UpstreamRefusedError } from '../platform/errors.ts'
import type { SuppressionList } from './model.ts'

export const suppressionReasons = ['bounced', 'complained', 'provider'] as const
export type SuppressionReason = (typeof suppressionReasons)[number]

export const suppressionSchema = z
  .strictObject({
    id: z.uuid(),
    address: z.string(),
    reason: z.enum(suppressionReasons).meta({
      description:
        'A mailbox refused for good, a reader called an e-mail spam, or Resend sends nothing there',
    }),
    message: z.string().nullable().meta({ description: 'What was said of it, without the address' }),
    interview_id: z.uuid().nullable().meta({ description: 'That the e-mail was about' }),
    since: z.iso.datetime(),
  })
  .meta({ id: 'Suppression', description: "The team's e-mails to this address are not sent" })

export type Suppression = {
  id: string
  address: string
  reason: SuppressionReason
  message: string | null
  interview_id: string | null
  since: Date
}

type Queries = Sql | Transaction

const found = (sql: Queries): postgres.Fragment => sql`
  select s.id, s.address, s.reason, s.message, e.interview_id, s.created_at as since
  from suppressed_addresses s left join emails e on e.id = s.email_id`

/** A suppression as the API shows it. */
export function suppressionView({ address, since, ...own }: Suppression): z.output<typeof suppressionSchema> {
  return { ...own, address: shownAddress(address), since: since.toISOString() }
}

/** Why the team sends nothing to an address; undefined if it does. */
export async function suppressionOf(
  sql: Queries,
  teamId: string,
  address: string,
): Promise<Suppression | undefined> {
  const [row] = await sql<Suppression[]>`
    ${found(sql)} where s.team_id = ${teamId} and s.address = lower(${address})`
  return row
}

/** A page of the addresses to which the team sends nothing, the newest first, and how many there are. */
export async function listSuppressions(
  sql: Sql,
  teamId: string,
  page: { limit: number; offset: number },
): Promise<{ rows: Suppression[]; total: number }> {
  const [counted] = await sql<{ total: number }[]>`
    select count(*)::int as total from suppressed_addresses where team_id = ${teamId}`
  const rows = await sql<Suppression[]>`
    ${found(sql)} where s.team_id = ${teamId} order by s.id desc limit ${page.limit} offset ${page.offset}`
  return { rows, total: counted!.total }
}

/** The first reason stays, unless it was Resend's word alone. */
export async function suppressAddress(
  tx: Transaction,
  email: { id: string; team_id: string; recipient: string },
  { reason, message, at }: { reason: SuppressionReason; message: string | null; at: Date },
): Promise<void> {
  await tx`
    insert into suppressed_addresses as s (team_id, address, reason, message, email_id, created_at)
    values (${email.team_id}, lower(${email.recipient}), ${reason}, ${message}, ${email.id}, ${at})
    on conflict (team_id, address) do update
    set reason = excluded.reason, message = excluded.message, email_id = excluded.email_id
    where s.reason = 'provider' and excluded.reason <> 'provider'`
}

/** Resend sends to an address again: what stood here on its word alone goes, for every team. */
export async function forgetProviderSuppressions(tx: Transaction, address: string): Promise<number> {
  const { count } = await tx`
    delete from suppressed_addresses where address = lower(${address}) and reason = 'provider'`
  return count
}

/**
 * Lets the team write to an address again, and takes it off Resend's list, which all teams share: unless an e-mail of
 * another team was refused there too. Writes down who did it. Returns whether Resend's list is clear of it now; false
 * also if our key may not change that. Throws NotFoundError, and UpstreamUnavailableError, and nothing has changed
 * here, if Resend does not answer.
 */
export async function liftSuppression(
  { sql, list }: { sql: Sql; list: SuppressionList },
  owner: { teamId: string; keyId: string },
  id: string,
): Promise<{ clear: boolean }> {
  const [row] = await sql<{ address: string; elsewhere: boolean }[]>`
    select address, exists (
      select from suppressed_addresses o
      where o.address = s.address and o.team_id <> s.team_id and o.reason <> 'provider') as elsewhere
    from suppressed_addresses s where team_id = ${owner.teamId} and id = ${id}`
  if (!row) throw notFound()
  const clear = !row.elsewhere && (await takeOff(list, row.address))
  await sql.begin(async (tx) => {
    const { count } = await tx`
      delete from suppressed_addresses where team_id = ${owner.teamId} and id = ${id}`
    if (count === 0) throw notFound()
    await tx`
      insert into deletions (team_id, subject, subject_id, counts, triggered_by, requested_by)
      values (${owner.teamId}, 'suppression', ${id}, '{}', 'request', ${owner.keyId})`
  })
  return { clear }
}

async function takeOff(list: SuppressionList, address: string): Promise<boolean> {
  try {
    await list.remove(address)
    return true
  } catch (error) {
    // A key that may only send: most are.
    if (isInsightaError(error) && error instanceof UpstreamRefusedError) return false
    throw error
  }
}

function notFound(): NotFoundError {
  return new NotFoundError('No such address is suppressed')
}
