import { mayNameAddress, namesAddress } from '../platform/address.ts'
import { inBatches } from '../platform/batches.ts'
import type { Transaction } from '../platform/db.ts'
import { forgetLetters, forgetLettersNaming, teamsOfLettersNaming } from '../platform/dead-letter-store.ts'
import type { Storage } from '../platform/storage.ts'
import { removeCandidate } from './candidates.ts'
import { deleteInterview } from './interviews.ts'
import { forgetInvitationsTo } from './meetings-store.ts'

type Owner = { teamId: string; keyId: string }

/** How many rows of each kind were deleted, or had the person taken out of them. */
export type ErasedCounts = Record<
  | 'candidates'
  | 'resumes'
  | 'interviews'
  | 'turns'
  | 'chat_messages'
  | 'assessments'
  | 'verdicts'
  | 'emails'
  | 'webhook_events'
  | 'dead_letters'
  | 'recruiter_addresses',
  number
>

/**
 * Deletes what the team has about whoever has this e-mail, in whatever case: the candidate with all résumés, files
 * included, and all interviews; e-mails to the address; the address itself where assessments are announced to it; and
 * what the team's webhooks and dead letters say of it. That the address takes no e-mail stays. Throws UnavailableError where
 * S3 does not take the deletion of a file: the transaction must then be undone, and all can be asked for again.
 */
export async function eraseAddress(
  tx: Transaction,
  storage: Pick<Storage, 'remove'>,
  owner: Owner,
  email: string,
): Promise<ErasedCounts> {
  const counts = { ...noneErased }
  // Before the rows that tell whose they are.
  await eraseCandidate(tx, storage, owner, email, counts)
  counts.emails += await deleteEmailsTo(tx, owner.teamId, email)
  await forgetInvitationsTo(tx, owner.teamId, email)
  const cleared = await tx`
    update interviews set recruiter_email = null
    where team_id = ${owner.teamId} and lower(recruiter_email) = lower(${email})`
  counts.recruiter_addresses = cleared.count
  counts.webhook_events += await forgetEventsNaming(tx, owner.teamId, email)
  counts.dead_letters = await forgetLettersNaming(tx, owner.teamId, email)
  return counts
}

/** The same for what belongs to no team: webhooks about nothing that is here, and their letters. */
export async function eraseUnowned(
  tx: Transaction,
  email: string,
): Promise<Pick<ErasedCounts, 'webhook_events' | 'dead_letters'>> {
  return {
    webhook_events: await forgetEventsNaming(tx, null, email),
    dead_letters: await forgetLettersNaming(tx, null, email),
  }
}

/** Bodies that are read at once: each may have megabytes. */
const readAtOnce = 10

/** Empties what webhooks about a team's interviews, or with null about none, said of an address. */
async function forgetEventsNaming(tx: Transaction, teamId: string | null, email: string): Promise<number> {
  const found: { source: string; event_id: string }[] = []
  const events = tx<{ source: string; event_id: string; body: string }[]>`
    select source, event_id, body from webhook_events
    where body is not null and ${mayNameAddress(tx, 'body', email)} and ${
      teamId === null
        ? tx`interview_id is null`
        : tx`interview_id in (select id from interviews where team_id = ${teamId})`
    }`
  for await (const rows of inBatches(tx, readAtOnce, events)) {
    for (const { body, ...event } of rows) if (namesAddress(body, email)) found.push(event)
  }
  if (found.length === 0) return 0
  const { count } = await tx`
    update webhook_events e set body = null
    from json_to_recordset(${JSON.stringify(found)}::text::json) as f(source text, event_id text)
    where e.source = f.source and e.event_id = f.event_id`
  return count
}

/** Teams that may have something of eraseAddress to erase. */
export async function teamsNaming(tx: Transaction, email: string): Promise<string[]> {
  const rows = await tx<{ team_id: string }[]>`
    select team_id from candidates where lower(email) = lower(${email})
    union select team_id from emails where lower(recipient) = lower(${email})
    union select team_id from interviews where lower(recruiter_email) = lower(${email})
    union select team_id from interviews where id in (
      select interview_id from webhook_events where body is not null and ${mayNameAddress(tx, 'body', email)})`
  return [...rows.map(({ team_id }) => team_id), ...(await teamsOfLettersNaming(tx, email))]
}

export const noneErased: Readonly<ErasedCounts> = {
  candidates: 0,
  resumes: 0,
  interviews: 0,
  turns: 0,
  chat_messages: 0,
  assessments: 0,
  verdicts: 0,
  emails: 0,
  webhook_events: 0,
  dead_letters: 0,
  recruiter_addresses: 0,
}

async function eraseCandidate(
  tx: Transaction,
  storage: Pick<Storage, 'remove'>,
  owner: Owner,
  email: string,
  counts: ErasedCounts,
): Promise<void> {
  // Locked: no interview of it is made meanwhile.
  const [candidate] = await tx<{ id: string }[]>`
    select id from candidates where team_id = ${owner.teamId} and lower(email) = lower(${email}) for update`
  if (!candidate) return
  const interviews = await tx<{ id: string }[]>`
    select id from interviews where candidate_id = ${candidate.id} order by id`
  for (const { id } of interviews) {
    const deleted = await deleteInterview(tx, owner, id)
    for (const kind of Object.keys(deleted) as (keyof typeof deleted)[]) counts[kind] += deleted[kind]
  }
  counts.interviews = interviews.length
  counts.resumes = await removeCandidate(tx, storage, owner, candidate.id)
  counts.candidates = 1
}

async function deleteEmailsTo(tx: Transaction, teamId: string, email: string): Promise<number> {
  const rows = await tx<{ id: string }[]>`
    delete from emails where team_id = ${teamId} and lower(recipient) = lower(${email}) returning id`
  for (const { id } of rows) await forgetLetters(tx, 'email', id)
  return rows.length
}
