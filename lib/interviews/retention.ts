import type postgres from 'postgres'
import type { Sql, Transaction } from '../platform/db.ts'
import { deleteClosedLetters, forgetLetters } from '../platform/dead-letter-store.ts'
import type { Storage } from '../platform/storage.ts'
import { removeFiles } from './candidates.ts'

export type RetentionContext = {
  sql: Sql
  storage: Pick<Storage, 'remove'>
  /** For which what was said, résumés and e-mails are kept. */
  days: number
}

/** Days for which letters are kept after they were closed. */
const closedLetterDays = 90
/** Interviews and candidates that one run takes up: each has many rows, or files. */
const bound = 50
/** E-mails and letters: a row each. */
const rowBound = 500

export type Expired = Record<'transcripts' | 'resumes' | 'emails' | 'dead_letters', number>

/**
 * Deletes what has been kept for its time: what was said in interviews that ended `days` ago, résumés of candidates
 * about whom nothing has happened since, to whom e-mails went and what they said, and closed dead letters. The
 * assessment stays. Rejects with UnavailableError where S3 does not take the deletion of a résumé, which is then kept.
 */
export async function expireContents(context: RetentionContext): Promise<Expired> {
  return {
    transcripts: await expireTranscripts(context),
    emails: await blankEmails(context),
    dead_letters: await deleteClosedLetters(context.sql, closedLetterDays, rowBound),
    // Last: of all these only it needs S3.
    resumes: await expireResumes(context),
  }
}

const cutoff = (sql: Sql | Transaction, days: number): postgres.Fragment =>
  sql`now() - make_interval(days => ${days})`

async function expireTranscripts({ sql, days }: RetentionContext): Promise<number> {
  return sql.begin(async (tx) => {
    const over = await tx<{ id: string; team_id: string }[]>`
      update interviews set transcript_expired_at = now()
      where id in (
        select id from interviews
        where state in ('completed', 'cancelled', 'needs_attention') and transcript_expired_at is null
          and coalesce(completed_at, updated_at) < ${cutoff(tx, days)}
        order by coalesce(completed_at, updated_at) limit ${bound} for no key update skip locked)
      returning id, team_id`
    for (const { id, team_id } of over) await expireTranscript(tx, team_id, id)
    return over.length
  })
}

async function expireTranscript(tx: Transaction, teamId: string, id: string): Promise<void> {
  const { count: turns } = await tx`delete from turns where interview_id = ${id}`
  await tx`delete from turn_texts where interview_id = ${id}`
  const { count: chat_messages } = await tx`delete from chat_messages where interview_id = ${id}`
  const { count: accounts } = await tx`
    update sessions set transcript_json = null, report_json = null
    where interview_id = ${id} and (transcript_json is not null or report_json is not null)`
  const { count: webhook_events } = await tx`
    update webhook_events set body = null where interview_id = ${id} and body is not null`
  await forgetLetters(tx, 'interview', id)
  const counts = { turns, chat_messages, accounts, webhook_events }
  await noteExpiry(tx, { teamId, subject: 'transcript', id, counts })
}

async function noteExpiry(
  tx: Transaction,
  expired: { teamId: string; subject: 'transcript' | 'resumes'; id: string; counts: Record<string, number> },
): Promise<void> {
  const { teamId, subject, id, counts } = expired
  await tx`
    insert into deletions (team_id, subject, subject_id, counts, triggered_by)
    values (${teamId}, ${subject}, ${id}, ${tx.json(counts)}, 'retention')`
}

async function blankEmails({ sql, days }: RetentionContext): Promise<number> {
  const { count } = await sql`
    update emails set recipient = '', data = '{}'
    where id in (
      select id from emails
      where recipient <> '' and state not in ('queued', 'sending')
        and updated_at < ${cutoff(sql, days)} and touched_at < ${cutoff(sql, days)}
      order by updated_at limit ${rowBound} for update skip locked)`
  return count
}

/** One candidate a transaction, so that what S3 does not delete holds up no other. */
async function expireResumes({ sql, storage, days }: RetentionContext): Promise<number> {
  const idle = await sql<{ id: string; team_id: string }[]>`
    select id, team_id from candidates c
    where updated_at < ${cutoff(sql, days)}
      and exists (select from resumes where candidate_id = c.id)
      and not exists (select from resumes where candidate_id = c.id and created_at >= ${cutoff(sql, days)})
      and not exists (
        select from interviews
        where candidate_id = c.id and greatest(updated_at, completed_at, scheduled_at) >= ${cutoff(sql, days)})
    order by id limit ${bound}`
  let deleted = 0
  for (const { id, team_id } of idle) {
    deleted += await sql.begin((tx) => expireResumesOf(tx, { storage, days }, { id, team_id }))
  }
  return deleted
}

async function expireResumesOf(
  tx: Transaction,
  { storage, days }: Pick<RetentionContext, 'storage' | 'days'>,
  candidate: { id: string; team_id: string },
): Promise<number> {
  const { id, team_id: teamId } = candidate
  // One may have been added since the candidate was looked at.
  const files = await tx<{ object_key: string }[]>`
    delete from resumes where candidate_id = ${id} and created_at < ${cutoff(tx, days)} returning object_key`
  if (files.length === 0) return 0
  await noteExpiry(tx, { teamId, subject: 'resumes', id, counts: { resumes: files.length } })
  // Before the commit, as where a candidate is deleted.
  await removeFiles(storage, files)
  return files.length
}
