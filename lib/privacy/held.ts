import type postgres from 'postgres'
import { arrayLiteral, type Sql } from '../platform/db.ts'

/** Whose rows are read. */
export type Subject = { teamId: string; candidateId: string; email: string }

type Held = {
  table: string
  where(sql: Sql, subject: Subject): postgres.Fragment
  order: string
}

/** The candidate's interviews, for a condition. */
const interviewsOf = (sql: Sql, { candidateId }: Subject) =>
  sql`(select id from interviews where candidate_id = ${candidateId})`

/** What is held about a candidate beside the interviews, by the name that it has in the data. */
export const heldOfCandidate = {
  candidate: {
    table: 'candidates',
    where: (sql, { candidateId }) => sql`t.id = ${candidateId}`,
    order: 'id',
  },
  consents: {
    table: 'consents',
    where: (sql, { candidateId }) => sql`candidate_id = ${candidateId}`,
    order: 'id',
  },
  resumes: {
    table: 'resumes',
    where: (sql, { candidateId }) => sql`candidate_id = ${candidateId}`,
    order: 'id',
  },
  suppressions: {
    table: 'suppressed_addresses',
    where: (sql, { teamId, email }) => sql`team_id = ${teamId} and address = lower(${email})`,
    order: 'id',
  },
  /** Those about an interview of the candidate are there. */
  other_emails: {
    table: 'emails',
    where: (sql, subject) => sql`
      team_id = ${subject.teamId} and lower(recipient) = lower(${subject.email})
        and (interview_id is null or interview_id not in ${interviewsOf(sql, subject)})`,
    order: 'id',
  },
  dead_letters: {
    table: 'dead_letters',
    where: (sql, subject) => sql`
      owner_id in (
        select id from resumes where candidate_id = ${subject.candidateId}
        union select id from interviews where candidate_id = ${subject.candidateId}
        union select id from emails where interview_id in ${interviewsOf(sql, subject)})`,
    order: 'id',
  },
  deletions: {
    table: 'deletions',
    where: (sql, subject) => sql`
      team_id = ${subject.teamId}
        and (subject_id = ${subject.candidateId} or subject_id in ${interviewsOf(sql, subject)})`,
    order: 'id',
  },
  disclosures: {
    table: 'disclosures',
    where: (sql, { candidateId }) => sql`candidate_id = ${candidateId}`,
    order: 'id',
  },
} as const satisfies Record<string, Held>

/** What is held about an interview, by its name there and by the column of the order; all but the first name it. */
export const heldOfInterview = {
  interview: { table: 'interviews', key: 'id', order: 'id' },
  session: { table: 'sessions', key: 'interview_id', order: 'id' },
  turns: { table: 'turns', key: 'interview_id', order: 'sequence_no' },
  assessment: { table: 'assessments', key: 'interview_id', order: 'generation' },
  assessment_generations: { table: 'assessment_generations', key: 'interview_id', order: 'generation' },
  verdicts: { table: 'verdicts', key: 'interview_id', order: 'generation' },
  chat_messages: { table: 'chat_messages', key: 'interview_id', order: 'sequence_no' },
  emails: { table: 'emails', key: 'interview_id', order: 'id' },
  webhook_events: { table: 'webhook_events', key: 'interview_id', order: 'received_at' },
} as const satisfies Record<string, { table: string; key: string; order: string }>

/** Tables that are not in the data, each with the reason. */
export const notInData: Readonly<Record<string, string>> = {
  resume_chunks: 'The passages of the text of a résumé, which is in the data, with vectors made of them.',
  turn_texts: 'A copy of the turns, by which they are searched.',
  outbox: 'Ids of work that waits to be sent.',
  rooms_to_close: 'Ids of rooms that are to be closed.',
  invitations_sent: 'Counts of a day under hashes of addresses.',
  unmatched_events: 'Ids that belong to no one who is here.',
  email_suppressions: 'The release before has it; nothing is in it.',
  profiles: 'Shared by all teams, found by a name that may be someone else’s; no candidate has one.',
  profile_edits: 'Of profiles.',
  name_twins: 'Of profiles.',
  name_rekeying: 'Of profiles.',
  facets: 'Counts.',
  dataset: 'A version.',
  imports: 'What imports hold of their files is about profiles.',
  import_slices: 'Of imports.',
  import_conflicts: 'Of imports.',
  import_trial_names: 'Of imports.',
  exports: 'Of profiles.',
  export_idempotency_keys: 'Of exports.',
  teams: 'Names of teams.',
  team_usage: 'Counts of a team.',
  team_quotas: 'Limits of a team.',
  api_keys: 'Of those who work here.',
  schema_migrations: 'Versions.',
}

/** Columns that say how we worked on something, or where it lies here, and nothing about the person. */
const ofWork = [
  'lease',
  'lease_until',
  'attempts',
  'last_error',
  'last_error_cause',
  'touched_at',
  'resent_at',
  'object_key',
  'upload_expires_at',
  'embedding_due_at',
  'embedding_attempts',
  'embedding_failure',
  'dedupe_key',
  'counted',
  'due_at',
  'waiting_since',
  'renewals',
] as const

export type HeldRow = Record<string, unknown>

/** Rows of a table as JSON: every column that it has, but for those of work. */
export async function rowsOf(
  sql: Sql,
  table: string,
  where: postgres.Fragment,
  order: string,
): Promise<HeldRow[]> {
  const rows = await sql<{ row: HeldRow }[]>`
    select to_jsonb(t) - ${arrayLiteral(ofWork)}::text[] as row from ${sql(table)} t
    where ${where} order by ${sql(order)}`
  return rows.map(({ row }) => row)
}
