import * as z from 'zod'
import type { Transaction } from '../platform/db.ts'
import type { OwnerReference } from '../platform/dead-letter-store.ts'
import { judge, parseBody } from '../platform/dead-letter-verdict.ts'
import { type DeadLetterOwner, type DeadMessage, superseded, type Verdict } from '../platform/dead-letters.ts'
import { queues } from '../platform/names.ts'
import { decodeObjectKey } from '../platform/object-key.ts'
import { assessmentMessage } from './assessment-store.ts'
import { emailMessage, idOfSentEmail } from './email-store.ts'
import { lockInterview } from './events-store.ts'
import type { LeasedTable } from './lease.ts'
import { giveUpWork, isEventKnown, lockWork, reopenWork } from './recovery-store.ts'
import { resumeMessage, resumeOfKey } from './resume-messages.ts'
import { storable } from './text.ts'

/**
 * What the dead letters of interviews do to them. `maxReceiveCount` is that of the queues: a message counts as
 * many attempts unless some could not even reach the database.
 */
export function interviewOwners(maxReceiveCount: number) {
  return {
    [queues.interviewEvents]: events,
    [queues.assessments]: leasedOwner(maxReceiveCount, {
      table: 'assessments',
      type: 'interview',
      idOf: (message) => parseBody(assessmentMessage, message)?.interview_id,
      code: 'assessment_failed',
    }),
    [queues.emails]: leasedOwner(maxReceiveCount, {
      table: 'emails',
      type: 'email',
      idOf: (message) => parseBody(emailMessage, message)?.email_id,
      code: 'email_failed',
    }),
    [queues.resumes]: leasedOwner(maxReceiveCount, {
      table: 'resumes',
      type: 'resume',
      idOf: resumeIn,
      code: 'resume_failed',
    }),
  }
}

type LeasedWork = {
  table: LeasedTable
  type: string
  idOf(message: DeadMessage): string | undefined
  /** Of the failure that its reader sees. */
  code: string
}

function leasedOwner(maxReceiveCount: number, { table, type, idOf, code }: LeasedWork): DeadLetterOwner {
  return {
    async fail(tx, message) {
      const id = idOf(message)
      const work = id && (await lockWork(tx, table, id))
      if (!id || !work) return unknownMessage
      const failure = judge(work, maxReceiveCount)
      const moot = work.unowed || superseded(message, work.resent_at)
      if (!moot) await giveUpWork(tx, table, id, { code, message: failure.error })
      return { ...failure, owner: { type, id, part: null }, moot }
    },
    async reopen(tx, { owner_id }) {
      if (owner_id !== null) await reopenWork(tx, table, owner_id)
      return true
    },
  }
}

/** A large event's body is in S3, and its letter then names no interview. */
const eventBody = z.object({ source: z.string(), id: z.string(), body: z.string().optional() })
/** Agents name an interview, LiveKit the room, which is called after it. */
const namingBody = z.union([
  z.object({ data: z.object({ interview_id: z.guid() }) }).transform(({ data }) => data.interview_id),
  z.object({ room: z.object({ name: z.guid() }) }).transform(({ room }) => room.name),
])

/** Resend names an e-mail by its own id. */
const emailBody = z.object({ data: z.object({ email_id: z.string().transform(storable) }) })

function named<T>(schema: z.ZodType<T>, body: string | undefined): T | undefined {
  try {
    return schema.safeParse(JSON.parse(body ?? '')).data
  } catch {
    // What is no JSON names nothing.
    return undefined
  }
}

async function interviewIn(tx: Transaction, body: string | undefined): Promise<OwnerReference | null> {
  const id = named(namingBody, body)
  const interview = id === undefined ? undefined : await lockInterview(tx, id)
  return interview ? { type: 'interview', id: interview.id, part: null } : null
}

async function emailIn(tx: Transaction, body: string | undefined): Promise<OwnerReference | null> {
  const providerId = named(emailBody, body)?.data.email_id
  const id = providerId === undefined ? undefined : await idOfSentEmail(tx, providerId)
  return id === undefined ? null : { type: 'email', id, part: null }
}

/** Of an S3 event, which has one record, or of our own word to go on. */
function resumeIn(message: DeadMessage): string | undefined {
  const body = parseBody(resumeMessage, message)
  if (!body || 'Event' in body) return undefined
  if ('resume_id' in body) return body.resume_id
  const [record, ...others] = body.Records
  return record && others.length === 0 ? resumeOfKey(decodeObjectKey(record.s3.object.key)) : undefined
}

/** A dead letter's message as operators may read it: what people said in an event is not theirs to read. */
export function withoutContents(queue: string, message: string): string {
  if (queue !== queues.interviewEvents) return message
  try {
    const { body, ...rest } = JSON.parse(message) as Record<string, unknown>
    return JSON.stringify(typeof body === 'string' ? { ...rest, body_bytes: Buffer.byteLength(body) } : rest)
  } catch {
    return JSON.stringify({ unreadable_bytes: Buffer.byteLength(message) })
  }
}

/** An event changes nothing before it is applied, and its worker has no row to say there why it was not. */
const events: DeadLetterOwner = {
  async fail(tx, message) {
    const event = parseBody(eventBody, message)
    if (!event) return unknownMessage
    return {
      error: 'The event could not be applied: the database was out, or the log says why',
      cause: 'dependency',
      owner: event.source === 'resend' ? await emailIn(tx, event.body) : await interviewIn(tx, event.body),
      moot: await isEventKnown(tx, event.source, event.id),
    }
  },
  reopen: async () => true,
}

const unknownMessage: Verdict = {
  error: 'The message belongs to no interview',
  cause: 'unknown',
  owner: null,
  moot: false,
}
