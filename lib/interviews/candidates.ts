import type postgres from 'postgres'
import * as z from 'zod'
import { arrayLiteral, type Sql, type Transaction } from '../platform/db.ts'
import { emailAddress, shownAddress, storedPart } from '../platform/email-address.ts'
import { ConflictError, InsightaError, NotFoundError, UnavailableError } from '../platform/errors.ts'
import type { Storage } from '../platform/storage.ts'
import { facts, type StoredSaid, saidByPerson, saidBySchema, saidByView } from './candidate-facts.ts'
import { yearsOfExperience } from './tasks.ts'
import { lineOfText, nameOrTitle } from './text.ts'

const given = {
  full_name: nameOrTitle(120),
  email: emailAddress,
  phone: lineOfText(30),
  portfolio_url: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).max(2000),
  current_title: lineOfText(200),
  years_of_experience: yearsOfExperience,
  skills: z.array(lineOfText(80)).max(100),
  location: lineOfText(200),
}

export const newCandidateSchema = z.strictObject({
  full_name: given.full_name,
  email: given.email,
  phone: given.phone.nullish(),
  portfolio_url: given.portfolio_url.nullish(),
  current_title: given.current_title.nullish(),
  years_of_experience: given.years_of_experience.nullish(),
  skills: given.skills.default([]),
  location: given.location.nullish(),
})
export type NewCandidate = z.output<typeof newCandidateSchema>

/** A JSON merge patch: what is not in it stays, and null takes a fact away. */
export const candidateChangesSchema = z
  .strictObject({
    full_name: given.full_name,
    email: given.email,
    phone: given.phone.nullable(),
    portfolio_url: given.portfolio_url.nullable(),
    current_title: given.current_title.nullable(),
    years_of_experience: given.years_of_experience.nullable(),
    skills: given.skills.nullable(),
    location: given.location.nullable(),
  })
  .partial()
export type CandidateChanges = z.output<typeof candidateChangesSchema>

export const candidateSchema = z
  .strictObject({
    id: z.uuid(),
    full_name: z.string(),
    email: z.string(),
    phone: z.string().nullable(),
    portfolio_url: z.string().nullable(),
    current_title: z.string().nullable(),
    years_of_experience: z.number().nullable(),
    skills: z.array(z.string()),
    location: z.string().nullable(),
    said_by: saidBySchema,
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Candidate', description: 'What was not given is taken from the résumé, once that is read.' })
type CandidateView = z.output<typeof candidateSchema>

export type Candidate = Omit<CandidateView, 'created_at' | 'updated_at' | 'said_by'> & {
  said_by: StoredSaid
  /** Of the keys in said_by, by their ids. */
  key_labels: Record<string, string>
  created_at: Date
  updated_at: Date
}

type Queries = Sql | Transaction
type Owner = { teamId: string; keyId: string }

// An array as JSON: postgres.js, which fetches no types here, cannot read one of PostgreSQL's.
const columns = (sql: Queries): postgres.Fragment => sql`
  id, full_name, email, phone, portfolio_url, current_title, years_of_experience, to_jsonb(skills) as skills, location,
  said_by, (
    select coalesce(jsonb_object_agg(k.id, k.label), '{}') from api_keys k
    where k.id in (select (said->>'key_id')::uuid from jsonb_each(said_by) as each(fact, said))) as key_labels,
  created_at, updated_at`

/** A candidate as the API shows it. */
export function candidateView({ key_labels, ...row }: Candidate): CandidateView {
  return {
    ...row,
    email: shownAddress(row.email),
    said_by: saidByView(row.said_by, key_labels),
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

export function candidateNotFound(): NotFoundError {
  return new NotFoundError('Candidate not found')
}

/**
 * Stores a candidate of the team. Throws InsightaError (409 `email_taken`), naming the candidate in its details,
 * if the team has one with this e-mail, in any case and form.
 */
export async function createCandidate(sql: Sql, owner: Owner, given: NewCandidate): Promise<Candidate> {
  const { skills, ...plain } = given
  const said = facts.filter((fact) =>
    fact === 'skills' ? skills.length > 0 : (plain[fact] ?? null) !== null,
  )
  const values = {
    ...plain,
    team_id: owner.teamId,
    skills: arrayLiteral(skills),
    said_by: sql.json(saidByPerson(said, owner.keyId)),
  }
  const [made] = await sql<Candidate[]>`
    insert into candidates ${sql(values)}
    on conflict (team_id, lower(email)) do nothing
    returning ${columns(sql)}`
  if (made) return made
  const known = await idOfEmail(sql, owner.teamId, given.email)
  // One that is gone again was deleted between the two statements.
  return known === undefined ? createCandidate(sql, owner, given) : refuseEmail(known)
}

/**
 * Changes what is known of a candidate of the team: what is in `changes` is a person's word from now on. Throws
 * NotFoundError, and InsightaError (409 `email_taken`) as createCandidate does.
 */
export async function changeCandidate(
  sql: Sql,
  owner: Owner,
  id: string,
  changes: CandidateChanges,
): Promise<Candidate> {
  try {
    return await sql.begin((tx) => change(tx, owner, id, changes))
  } catch (error) {
    if ((error as postgres.PostgresError).constraint_name !== 'candidates_email') throw error
    const known = await idOfEmail(sql, owner.teamId, changes.email!)
    // One that is gone again was deleted in between.
    return known === undefined ? changeCandidate(sql, owner, id, changes) : refuseEmail(known)
  }
}

async function change(
  tx: Transaction,
  owner: Owner,
  id: string,
  { skills, ...plain }: CandidateChanges,
): Promise<Candidate> {
  const [locked] = await tx`
    select from candidates where team_id = ${owner.teamId} and id = ${id} for no key update`
  if (!locked) throw candidateNotFound()
  const values = { ...plain, ...(skills !== undefined && { skills: arrayLiteral(skills ?? []) }) }
  const said = facts.filter((fact) => fact in values)
  if (said.length > 0) {
    await tx`
      update candidates
      set ${tx(values)}, said_by = said_by || ${tx.json(saidByPerson(said, owner.keyId))}, updated_at = now()
      where id = ${id}`
  }
  return getCandidate(tx, owner.teamId, id)
}

async function idOfEmail(sql: Queries, teamId: string, email: string): Promise<string | undefined> {
  const [known] = await sql<{ id: string }[]>`
    select id from candidates where team_id = ${teamId} and lower(email) = lower(${email})`
  return known?.id
}

function refuseEmail(id: string): never {
  throw new InsightaError('The team has a candidate with this e-mail', {
    code: 'email_taken',
    status: 409,
    details: [{ field: 'candidate_id', message: id }],
  })
}

/** A candidate of the team. Throws NotFoundError, also where it is another team's. */
export async function getCandidate(sql: Queries, teamId: string, id: string): Promise<Candidate> {
  const [row] = await sql<Candidate[]>`
    select ${columns(sql)} from candidates where team_id = ${teamId} and id = ${id}`
  if (!row) throw candidateNotFound()
  return row
}

/** A page of the team's candidates, newest first, whose name or e-mail holds `q`, and how many there are. */
export async function listCandidates(
  sql: Sql,
  teamId: string,
  { q }: { q?: string | undefined },
  page: { limit: number; offset: number },
): Promise<{ rows: Candidate[]; total: number }> {
  const holding =
    q === undefined
      ? sql``
      : sql`and (strpos(lower(full_name), lower(${q})) > 0 or strpos(lower(email), lower(${q})) > 0
          or strpos(lower(email), lower(${storedPart(q)})) > 0)`
  const matching = sql`team_id = ${teamId} ${holding}`
  const [counted] = await sql<{ total: number }[]>`
    select count(*)::int as total from candidates where ${matching}`
  const rows = await sql<Candidate[]>`
    select ${columns(sql)} from candidates where ${matching}
    order by id desc limit ${page.limit} offset ${page.offset}`
  return { rows, total: counted!.total }
}

/**
 * Deletes a candidate with all résumés, files included, and writes down that it was done. Throws NotFoundError;
 * ConflictError (`has_interviews`) while there are interviews; UnavailableError, and nothing is deleted from the
 * database, where S3 does not take the deletion of the files.
 */
export async function deleteCandidate(
  { sql, storage }: { sql: Sql; storage: Pick<Storage, 'remove'> },
  owner: { teamId: string; keyId: string },
  id: string,
): Promise<void> {
  await sql.begin(async (tx) => {
    const [locked] = await tx`
      select from candidates where team_id = ${owner.teamId} and id = ${id} for update`
    if (!locked) throw candidateNotFound()
    const [interview] = await tx`select from interviews where candidate_id = ${id} limit 1`
    if (interview)
      throw new ConflictError("The candidate's interviews must be deleted first", 'has_interviews')
    await removeCandidate(tx, storage, owner, id)
  })
}

/**
 * Deletes a candidate that is locked and has no interviews any more, with all résumés, and writes down that it was
 * done. Answers how many résumés there were. Throws UnavailableError, and the transaction must be undone, where S3
 * does not take the deletion of a file.
 */
export async function removeCandidate(
  tx: Transaction,
  storage: Pick<Storage, 'remove'>,
  owner: { teamId: string; keyId: string },
  id: string,
): Promise<number> {
  const resumes = await tx<{ object_key: string }[]>`
    select object_key from resumes where candidate_id = ${id}`
  await tx`delete from candidates where id = ${id}`
  await tx`
    insert into deletions (team_id, subject, subject_id, counts, triggered_by, requested_by)
    values (${owner.teamId}, 'candidate', ${id}, ${tx.json({ resumes: resumes.length })}, 'request', ${owner.keyId})`
  // Before the commit: rows whose files are gone can be deleted again, files without a row by nobody.
  await removeFiles(storage, resumes)
  return resumes.length
}

/** Removes the files of résumés. Throws UnavailableError where S3 does not take it. */
export async function removeFiles(
  storage: Pick<Storage, 'remove'>,
  files: readonly { object_key: string }[],
): Promise<void> {
  for (const { object_key } of files) await removeFile(storage, object_key)
}

async function removeFile(storage: Pick<Storage, 'remove'>, key: string): Promise<void> {
  try {
    await storage.remove(key)
  } catch (error) {
    throw new UnavailableError('The file of a résumé could not be deleted', error)
  }
}
