import { randomBytes, randomUUID } from 'node:crypto'
import { embed } from '../../../infra/local/simulators/gemini-embedding.ts'
import { createCandidate, type NewCandidate } from '../../../lib/interviews/candidates.ts'
import type { Model, Prompt } from '../../../lib/interviews/model.ts'
import { embedResume } from '../../../lib/interviews/resume-embedding.ts'
import { readResume } from '../../../lib/interviews/resume-reading.ts'
import { createResume, latestResume, type NewResume } from '../../../lib/interviews/resumes.ts'
import type { ResumeFacts } from '../../../lib/interviews/tasks.ts'
import { freshDatabase } from '../../support/postgres.ts'
import { startStorage } from '../../support/storage.ts'

const dimensions = 768

/** What the model finds in every résumé of this bench. */
export const facts: ResumeFacts = {
  summary: 'Builds services.',
  current_title: ' Senior Engineer ',
  years_of_experience: 7.5,
  skills: ['Go', 'C "quoted"', 'a, b', 'back\\slash'],
  location: 'Lagos',
  employment: [{ employer: 'Kuda', title: 'Engineer', years: '2019 - 2022' }],
  education: [],
}

export type ResumeBench = Awaited<ReturnType<typeof startResumeBench>>

/** Résumés on a real database and a real S3; the model is in the test's hands. */
export async function startResumeBench() {
  const [database, bucket] = await Promise.all([freshDatabase(), startStorage({ maxAttempts: 1 })])
  const { s3, storage } = bucket
  const { sql } = database
  const asked: Prompt[] = []
  /** The model that embeds; a test may set another one. */
  const embedder = { model: 'gemini-embedding-001', dimensions }
  /** What the next answers are, in place of the usual ones. */
  const script: { ask: (() => unknown)[]; embed: (() => unknown)[] } = { ask: [], embed: [] }
  const model = {
    ask: async (_task: string, prompt: Prompt) => {
      asked.push(prompt)
      return (script.ask.shift() ?? (() => facts))()
    },
    embed: async (texts: readonly string[]) => {
      await script.embed.shift()?.()
      return { ...embedder, vectors: texts.map(unitVector) }
    },
  } as unknown as Model

  async function team() {
    const [made] = await sql<{ id: string }[]>`insert into teams (name) values (${randomUUID()}) returning id`
    const [key] = await sql<{ id: string }[]>`
      insert into api_keys (team_id, role, label, hash)
      values (${made!.id}, 'recruiter', 'test', ${randomBytes(32)}) returning id`
    return { teamId: made!.id, keyId: key!.id }
  }
  const owner = await team()

  const candidate = (given: Partial<NewCandidate> = {}) =>
    createCandidate(sql, owner, {
      full_name: 'Ada Obi',
      email: `${randomUUID()}@example.com`,
      skills: [],
      ...given,
    })

  const create = (candidateId: string, file: NewResume) =>
    createResume({ sql, storage }, { teamId: owner.teamId, id: candidateId }, file)

  /** A résumé of the candidate that was uploaded as clients do it. */
  async function uploaded(
    candidateId: string,
    content: string | Uint8Array,
    filename = 'cv.txt',
    content_type?: string,
  ) {
    const body = Buffer.from(content as Uint8Array)
    const file = { filename, size: body.length, ...(content_type && { content_type }) }
    const { id, upload } = await create(candidateId, file)
    const { ok } = await fetch(upload.url, { method: upload.method, headers: upload.headers, body })
    if (!ok) throw new Error('The upload was refused')
    return id
  }

  return {
    sql,
    s3,
    storage,
    model,
    asked,
    script,
    embedder,
    owner,
    team,
    candidate,
    create,
    uploaded,
    read: (id: string) => readResume({ sql, storage, model, remainingMs: () => 60_000 }, id),
    embed: (id: string) => embedResume({ sql, model, remainingMs: () => 60_000 }, id),
    latest: (candidateId: string) => latestResume(sql, { teamId: owner.teamId, id: candidateId }),
    chunks: (id: string) => sql<{ chunk_no: number; content: string; length: number }[]>`
      select chunk_no, content, (select sqrt(sum(x * x)) from unnest(embedding) x) as length
      from resume_chunks where resume_id = ${id} order by chunk_no`,
    /** What a killed worker leaves behind: a lease that nobody ends, and that has run out. */
    expireLease: (id: string) => sql`
      update resumes set lease_until = now() - interval '1 second' where id = ${id}`,
    async close() {
      await Promise.all([bucket.close(), database.close()])
    },
  }
}

/** The simulated embedding as Gemini's client answers it. */
export function unitVector(text: string): number[] {
  const vector = embed(text, dimensions)
  const length = Math.hypot(...vector)
  return vector.map((each) => each / length)
}
