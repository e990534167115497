import type { Sql } from '../platform/db.ts'
import { queues as queueNames, webhookRetentionDays } from '../platform/names.ts'
import { enqueue, type OutboxQueues, sendOutbox } from '../platform/outbox.ts'
import type { Storage } from '../platform/storage.ts'
import { sweepUploads } from '../platform/uploads.ts'
import { hasCandidate, requestAssessment } from './assessments.ts'
import type { LeasedTable } from './lease.ts'
import { forgetInvitations } from './meetings-store.ts'
import {
  claimAbandoned,
  claimStalled,
  forgetEvents,
  type StalledAfter,
  workMessages,
} from './recovery-store.ts'
import { claimUnembedded, type EmbeddingModel, renewPassages } from './resume-embedding.ts'
import { requestRoomClosing } from './rooms-store.ts'
import { readTranscript } from './transcript.ts'

export type SweepContext = {
  sql: Sql
  storage: Storage
  queues: OutboxQueues
  /** What embeds résumés now. */
  embedding: EmbeddingModel
  /** Seconds. */
  waits: {
    /** Before an assessment, an e-mail or a résumé that no living worker holds is taken up again. */
    stalledAfter: StalledAfter
    /** Between two looks for an upload whose event may be lost. */
    uploadCheck: number
    /** After the address has expired: a PUT that began before may still be running. */
    uploadGrace: number
    /** After a room was closed, for the agent to give its account of the session. */
    abandoned: number
  }
}

/** Rows of each kind that one run takes up. */
const bound = 50

export type SweepResult = Record<
  'assessments' | 'emails' | 'resumes' | 'embeddings' | 'uploaded' | 'expired' | 'abandoned' | 'forgotten',
  number
>

/** Takes up whatever stands still: lost messages, dead workers, uploads that never came, rooms left behind. */
export async function sweepInterviews(context: SweepContext): Promise<SweepResult> {
  const abandoned = await sweepAbandoned(context)
  const uploads = await sweepResumes(context)
  await forgetInvitations(context.sql)
  return {
    assessments: await sweepStalled(context, 'assessments'),
    emails: await sweepStalled(context, 'emails'),
    resumes: await sweepStalled(context, 'resumes'),
    embeddings: await sweepEmbeddings(context),
    ...uploads,
    abandoned,
    forgotten: await forgetEvents(context.sql, webhookRetentionDays),
  }
}

async function sweepStalled({ sql, queues, waits }: SweepContext, table: LeasedTable): Promise<number> {
  const sent = await sql.begin(async (tx) => {
    const ids: string[] = []
    for (const id of await claimStalled(tx, table, waits.stalledAfter, bound)) {
      ids.push(await enqueue(tx, queueNames[table], workMessages[table](id)))
    }
    return ids
  })
  await sendOutbox(sql, queues, sent)
  return sent.length
}

/** Passages that could not be made when their résumé was read, and those of a model that is no longer asked. */
async function sweepEmbeddings({ sql, queues, embedding }: SweepContext): Promise<number> {
  const sent = await sql.begin(async (tx) => {
    await renewPassages(tx, embedding, bound)
    const ids: string[] = []
    for (const id of await claimUnembedded(tx, bound)) {
      ids.push(await enqueue(tx, queueNames.resumes, workMessages.resumes(id)))
    }
    return ids
  })
  await sendOutbox(sql, queues, sent)
  return sent.length
}

async function sweepResumes(context: SweepContext) {
  const { sql, queues, waits } = context
  const sent: string[] = []
  const { found, expired } = await sweepUploads(
    context,
    {
      table: { name: 'resumes' },
      checkAfter: waits.uploadCheck,
      grace: waits.uploadGrace,
      limit: bound,
    },
    async (id) => {
      sent.push(await sql.begin((tx) => enqueue(tx, queueNames.resumes, workMessages.resumes(id))))
    },
  )
  await sendOutbox(sql, queues, sent)
  return { uploaded: found, expired }
}

/** What was said before everybody left is assessed, if the candidate said anything. */
async function sweepAbandoned({ sql, queues, waits }: SweepContext): Promise<number> {
  const { ids, sent } = await sql.begin(async (tx) => {
    const ids = await claimAbandoned(tx, waits.abandoned, bound)
    const sent: string[] = []
    for (const id of ids) {
      // A day after it began people may still be in it.
      await requestRoomClosing(tx, id)
      if (hasCandidate(await readTranscript(tx, id))) sent.push(...(await requestAssessment(tx, id)).messages)
    }
    return { ids, sent }
  })
  await sendOutbox(sql, queues, sent)
  return ids.length
}
