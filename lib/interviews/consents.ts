import * as z from 'zod'
import type { Sql, Transaction } from '../platform/db.ts'
import { UnprocessableError } from '../platform/errors.ts'
import { candidateNotFound } from './candidates.ts'
import { lineOfText } from './text.ts'

const given = {
  kind: z
    .enum(['notice', 'consent', 'withdrawal'])
    .meta({ description: 'They were told, they agreed, or they took that back' }),
  version: lineOfText(200).meta({ description: 'Of the text, as the team calls it' }),
  how: z.enum(['in_writing', 'by_email', 'on_a_page', 'by_word']),
}

/** No one alive agreed to anything before; and PostgreSQL has no year 0. */
const earliest = Date.UTC(1900, 0)

export const newConsentSchema = z.strictObject({
  ...given,
  at: z.iso
    .datetime({ offset: true })
    .refine((at) => Date.parse(at) >= earliest, { error: 'must not be before the year 1900' }),
})
export type NewConsent = z.output<typeof newConsentSchema>

export const consentSchema = z
  .strictObject({
    id: z.uuid(),
    ...given,
    at: z.iso.datetime(),
    recorded_by: z.strictObject({ key_id: z.uuid(), label: z.string() }),
    recorded_at: z.iso.datetime(),
  })
  .meta({ id: 'Consent', description: 'What a candidate was told or agreed to. It is never changed.' })
export type Consent = z.output<typeof consentSchema>

/** What is recorded of a candidate, what happened last first. */
export async function consentsOf(sql: Sql | Transaction, candidateId: string): Promise<Consent[]> {
  const rows = await sql<(Omit<Consent, 'at' | 'recorded_at'> & { at: Date; recorded_at: Date })[]>`
    select c.id, c.kind, c.version, c.how, c.happened_at as at, c.recorded_at,
      jsonb_build_object('key_id', k.id, 'label', k.label) as recorded_by
    from consents c join api_keys k on k.id = c.recorded_by
    where c.candidate_id = ${candidateId} order by c.happened_at desc, c.id desc`
  return rows.map((row) => ({
    ...row,
    at: row.at.toISOString(),
    recorded_at: row.recorded_at.toISOString(),
  }))
}

/** Seconds by which a caller's clock may be ahead. */
const clockDifference = 60

/**
 * Records a notice, a consent or its withdrawal; the same one again is the one that is there. Throws NotFoundError
 * if the team has no such candidate, UnprocessableError for a time that has not come.
 */
export async function recordConsent(
  tx: Transaction,
  owner: { teamId: string; keyId: string },
  candidateId: string,
  { kind, version, how, at }: NewConsent,
): Promise<{ consent: Consent; created: boolean }> {
  const [candidate] = await tx`
    select from candidates where id = ${candidateId} and team_id = ${owner.teamId} for key share`
  if (!candidate) throw candidateNotFound()
  if (Date.parse(at) > Date.now() + clockDifference * 1000) {
    throw new UnprocessableError('It has not happened yet', [
      { field: 'at', message: 'must not be in the future' },
    ])
  }
  const [made] = await tx<{ id: string }[]>`
    insert into consents (candidate_id, kind, version, how, happened_at, recorded_by)
    values (${candidateId}, ${kind}, ${version}, ${how}, ${at}, ${owner.keyId})
    on conflict do nothing
    returning id`
  const recorded = await consentsOf(tx, candidateId)
  const isThis = (consent: Consent) =>
    consent.kind === kind &&
    consent.version === version &&
    consent.how === how &&
    Date.parse(consent.at) === Date.parse(at)
  const consent = recorded.find(({ id }) => id === made?.id) ?? recorded.find(isThis)!
  return { consent, created: made !== undefined }
}
