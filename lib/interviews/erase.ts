import type { Transaction } from '../platform/db.ts'
import { forgetLetters, forgetLettersNaming } from '../platform/dead-letter-store.ts'
import type { Storage } from '../platform/storage.ts'
import { removeCandidate } from './candidates.ts'
import { deleteInterview } from './interviews.ts'

type Owner = { teamId: string; keyId: string }

/** How many rows of each kind were deleted, or had the person taken out of them. */
export type ErasedCounts = Record<
  | 'candidates'
  | 'resumes'
  | 'interviews'
  | 'turns'
  | 'chat_messages'
  | 'assessments'
  | 'emails'
  | 'webhook_events'
  | 'dead_letters'
  | 'recruiter_addresses',
  number
>

/**
 * Deletes what the team has about whoever has this e-mail, in whatever case: the candidate with all résumés, files
 * included, and all interviews; e-mails to the address; the address itself where assessments are announced to it; and
 * what webhooks and dead letters say of it. That the address takes no e-mail stays. Throws UnavailableError where
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
  const cleared = await tx`
    update interviews set recruiter_email = null
    where team_id = ${owner.teamId} and lower(recruiter_email) = lower(${email})`
  counts.recruiter_addresses = cleared.count
  const blanked = await tx`
    update webhook_events set body = null where body is not null and strpos(lower(body), lower(${email})) > 0`
  counts.webhook_events += blanked.count
  counts.dead_letters = await forgetLettersNaming(tx, email)
  return counts
}

export const noneErased: Readonly<ErasedCounts> = {
  candidates: 0,
  resumes: 0,
  interviews: 0,
  turns: 0,
  chat_messages: 0,
  assessments: 0,
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

/** Writes down that a person was erased: who had it done and how much, never who it was. Answers the id of that. */
export async function noteErasure(
  tx: Transaction,
  owner: Owner,
  counts: Record<string, number>,
): Promise<string> {
  const [row] = await tx<{ id: string }[]>`
    insert into deletions (id, team_id, subject, subject_id, counts, triggered_by, requested_by)
    select id, ${owner.teamId}, 'person', id, ${tx.json(counts)}, 'request', ${owner.keyId}
    from (select uuidv7() as id) made
    returning id`
  return row!.id
}
