import * as z from 'zod'
import { arrayLiteral, type Transaction } from '../platform/db.ts'
import type { ResumeFacts } from './tasks.ts'

/** What is known of a candidate, fact by fact. */
export const facts = [
  'full_name',
  'email',
  'phone',
  'portfolio_url',
  'current_title',
  'years_of_experience',
  'skills',
  'location',
] as const
export type Fact = (typeof facts)[number]

/** Those that a résumé may tell. */
const ofResumes = ['current_title', 'years_of_experience', 'skills', 'location'] as const satisfies Fact[]

const byPerson = z
  .strictObject({
    by: z.literal('person'),
    key: z
      .strictObject({ id: z.uuid(), label: z.string() })
      .nullable()
      .meta({ description: 'With which they did; null if that was not written down' }),
    at: z.iso.datetime(),
  })
  .meta({ description: 'A person wrote it, or took it away' })
const byResume = z
  .strictObject({ by: z.literal('resume'), resume_id: z.uuid(), at: z.iso.datetime() })
  .meta({ description: 'A newer résumé, or a person, may replace it' })

const saidSchema = z.union([byPerson, byResume]).nullable()

/** Who said each fact; null of one about which nothing was said. */
export const saidBySchema = z
  .strictObject(
    Object.fromEntries(facts.map((fact) => [fact, saidSchema])) as Record<Fact, typeof saidSchema>,
  )
  .meta({ id: 'SaidBy' })
export type SaidBy = z.output<typeof saidBySchema>

/** As the column has it. */
type Said =
  | { by: 'person'; key_id: string | null; at: string }
  | { by: 'resume'; resume_id: string; at: string }

/** The column's part for what a person says now. */
export function saidByPerson(said: readonly Fact[], keyId: string): Partial<Record<Fact, Said>> {
  const at = new Date().toISOString()
  return Object.fromEntries(said.map((fact) => [fact, { by: 'person', key_id: keyId, at }]))
}

/** Who said what, as the API shows it; `labels` are those of the keys by their ids. */
export function saidByView(said: Partial<Record<Fact, Said>>, labels: Record<string, string>): SaidBy {
  return Object.fromEntries(facts.map((fact) => [fact, view(said[fact], labels)])) as SaidBy
}

function view(said: Said | undefined, labels: Record<string, string>): SaidBy[Fact] {
  if (!said) return null
  const at = new Date(said.at).toISOString()
  if (said.by === 'resume') return { by: 'resume', resume_id: said.resume_id, at }
  const label = said.key_id === null ? undefined : labels[said.key_id]
  return { by: 'person', key: label === undefined ? null : { id: said.key_id!, label }, at }
}

export type StoredSaid = Partial<Record<Fact, Said>>

type Row = { said_by: StoredSaid } & Record<(typeof ofResumes)[number], unknown>

/**
 * Takes what a résumé says of a candidate, whose row is locked. It fills what is not known and replaces what an older
 * résumé said; what a person wrote or took away stays, and so does what this résumé says nothing about.
 */
export async function tellByResume(
  tx: Transaction,
  candidateId: string,
  resumeId: string,
  extracted: ResumeFacts,
): Promise<void> {
  const [row] = await tx<Row[]>`
    select said_by, current_title, years_of_experience, nullif(cardinality(skills), 0) as skills, location
    from candidates where id = ${candidateId}`
  if (!row) return
  const told = {
    current_title: extracted.current_title?.trim() || null,
    years_of_experience: extracted.years_of_experience,
    skills: extracted.skills.length > 0 ? arrayLiteral(extracted.skills) : null,
    location: extracted.location?.trim() || null,
  }
  const taken = ofResumes.filter((fact) => told[fact] !== null && mayReplace(row, fact, resumeId))
  if (taken.length === 0) {
    // That it was read is news of the candidate all the same.
    await tx`update candidates set updated_at = now() where id = ${candidateId}`
    return
  }
  const values = Object.fromEntries(taken.map((fact) => [fact, told[fact]]))
  const at = new Date().toISOString()
  const said = Object.fromEntries(taken.map((fact) => [fact, { by: 'resume', resume_id: resumeId, at }]))
  await tx`
    update candidates set ${tx(values)}, said_by = said_by || ${tx.json(said)}, updated_at = now()
    where id = ${candidateId}`
}

/** Ids of résumés are in the order in which they were made. */
function mayReplace(row: Row, fact: (typeof ofResumes)[number], resumeId: string): boolean {
  const said = row.said_by[fact]
  if (!said) return row[fact] === null
  return said.by === 'resume' && said.resume_id <= resumeId
}
