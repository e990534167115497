import { Readable } from 'node:stream'
import { ZipDeflate, Zip as ZipWriter } from 'fflate'
import { candidateNotFound } from '../interviews/candidates.ts'
import type { Sql } from '../platform/db.ts'
import { UnavailableError } from '../platform/errors.ts'
import { personDataPrefix } from '../platform/names.ts'
import { inSnapshot } from '../platform/snapshot.ts'
import { ObjectMissingError, type Storage } from '../platform/storage.ts'
import { heldOfCandidate, heldOfInterview, rowsOf, type Subject } from './held.ts'

export const dataFormats = ['json', 'zip'] as const
export type DataFormat = (typeof dataFormats)[number]

export const dataTypes: Record<DataFormat, string> = { json: 'application/json', zip: 'application/zip' }

type Context = { sql: Sql; storage: Pick<Storage, 'read' | 'write'> }
type Owner = { teamId: string; keyId: string }

/** Bytes of JSON that are returned at once. Lambda's 6 MB hold it also if every second character is escaped. */
const inlineBytes = 3 * 1024 * 1024

/** JSON that is small enough, or the key of the file that holds it. */
export type CandidateData = { body: string } | { key: string }

/**
 * Everything that the team holds about a candidate, of one moment; as a ZIP with the files of the résumés. One
 * interview and one part of a file are in memory at a time. Writes down first who asked. Throws NotFoundError, and
 * UnavailableError if S3 does not take or give a file.
 */
export async function candidateData(
  { sql, storage }: Context,
  owner: Owner,
  candidateId: string,
  format: DataFormat,
): Promise<CandidateData> {
  const [record] = await sql<{ id: string }[]>`
    insert into disclosures (team_id, candidate_id, format, requested_by)
    select team_id, id, ${format}, ${owner.keyId} from candidates
    where team_id = ${owner.teamId} and id = ${candidateId}
    returning id`
  if (!record) throw candidateNotFound()
  const key = `${personDataPrefix}${record.id}/${format}`
  return inSnapshot(sql, async (snapshot) => {
    const subject = await subjectOf(snapshot, owner.teamId, candidateId)
    const text = documentOf(snapshot, subject)
    if (format === 'zip') {
      await write(storage, key, zipOf(entriesOf(snapshot, storage, subject, text)), format)
      return { key }
    }
    const begun: string[] = []
    let bytes = 0
    for (let part = await text.next(); !part.done; part = await text.next()) {
      begun.push(part.value)
      bytes += Buffer.byteLength(part.value)
      if (bytes > inlineBytes) {
        await write(storage, key, encoded(begun, text), format)
        return { key }
      }
    }
    return { body: begun.join('') }
  })
}

async function subjectOf(sql: Sql, teamId: string, candidateId: string): Promise<Subject> {
  const [row] = await sql<{ email: string }[]>`select email from candidates where id = ${candidateId}`
  if (!row) throw candidateNotFound()
  return { teamId, candidateId, email: row.email }
}

/** The JSON document, piece by piece. */
async function* documentOf(sql: Sql, subject: Subject): AsyncGenerator<string, undefined> {
  yield `{"status":"success","data":{"exported_at":${JSON.stringify(new Date().toISOString())}`
  for (const [name, { table, where, order }] of Object.entries(heldOfCandidate)) {
    const rows = await rowsOf(sql, table, where(sql, subject), order)
    yield `,${JSON.stringify(name)}:${JSON.stringify(name === 'candidate' ? rows[0] : rows)}`
  }
  const interviews = await sql<{ id: string }[]>`
    select id from interviews where candidate_id = ${subject.candidateId} order by id`
  yield ',"interviews":['
  for (const [index, { id }] of interviews.entries()) {
    yield `${index === 0 ? '' : ','}${JSON.stringify(await interviewOf(sql, id))}`
  }
  yield ']}}'
}

/** One of a kind by itself, or null; a list of what there may be several of. */
const single = new Set(['interview', 'session', 'assessment'])

async function interviewOf(sql: Sql, id: string): Promise<Record<string, unknown>> {
  const held: Record<string, unknown> = {}
  for (const [name, { table, key, order }] of Object.entries(heldOfInterview)) {
    const rows = await rowsOf(sql, table, sql`t.${sql(key)} = ${id}`, order)
    held[name] = single.has(name) ? (rows[0] ?? null) : rows
  }
  return held
}

type Entry = { name: string; content: AsyncIterable<Uint8Array> }

async function* entriesOf(
  sql: Sql,
  storage: Pick<Storage, 'read'>,
  { candidateId }: Subject,
  text: AsyncIterable<string>,
): AsyncGenerator<Entry> {
  yield { name: 'data.json', content: encoded([], text) }
  const resumes = await sql<{ id: string; filename: string; object_key: string }[]>`
    select id, filename, object_key from resumes where candidate_id = ${candidateId} order by id`
  for (const { id, filename, object_key } of resumes) {
    const content = await fileOf(storage, object_key)
    const folder = `resumes/${id}`
    if (content) yield { name: `${folder}/${filename.replaceAll(/[\\/:*?"<>|]|^\.+$/g, '_')}`, content }
    else yield { name: `${folder}/no-file.txt`, content: encoded(['No file came, or it is gone.\n']) }
  }
}

async function fileOf(storage: Pick<Storage, 'read'>, key: string): Promise<Readable | undefined> {
  try {
    return await storage.read(key)
  } catch (error) {
    if (error instanceof ObjectMissingError) return undefined
    throw new UnavailableError('S3 did not deliver the file of a résumé', error)
  }
}

async function* encoded(begun: readonly string[], rest?: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for (const part of begun) yield Buffer.from(part)
  if (rest) for await (const part of rest) yield Buffer.from(part)
}

async function* zipOf(entries: AsyncIterable<Entry>): AsyncGenerator<Uint8Array> {
  const made: Uint8Array[] = []
  const zip = new ZipWriter((error, chunk) => {
    if (error) throw error
    made.push(chunk)
  })
  for await (const { name, content } of entries) {
    const file = new ZipDeflate(name)
    zip.add(file)
    for await (const part of content) {
      file.push(part)
      yield* made.splice(0)
    }
    file.push(new Uint8Array(0), true)
    yield* made.splice(0)
  }
  zip.end()
  yield* made.splice(0)
}

async function write(
  storage: Pick<Storage, 'write'>,
  key: string,
  content: AsyncIterable<Uint8Array>,
  format: DataFormat,
): Promise<void> {
  try {
    await storage.write(key, Readable.from(content), dataTypes[format])
  } catch (error) {
    // The SDK's; what the database or a read says goes up as it is.
    if (error instanceof Error && '$metadata' in error) {
      throw new UnavailableError('The file could not be written', error)
    }
    throw error
  }
}
