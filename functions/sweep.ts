import middy from '@middy/core'
import { exportOwners } from '../lib/exports/dead-letter.ts'
import { sweepExports } from '../lib/exports/sweep.ts'
import { importOwners } from '../lib/imports/dead-letter.ts'
import { moveConflicts } from '../lib/imports/name-store.ts'
import { storageAnswers, sweepImports } from '../lib/imports/sweep.ts'
import { interviewOwners } from '../lib/interviews/dead-letter.ts'
import { countRefused, totalOf } from '../lib/interviews/refused.ts'
import { expireContents } from '../lib/interviews/retention.ts'
import { closeDueRooms, roomsFromEnvironment } from '../lib/interviews/rooms.ts'
import { refoldTurns } from '../lib/interviews/search.ts'
import { sweepInterviews } from '../lib/interviews/sweep.ts'
import { numberEnv, requiredEnv } from '../lib/platform/config.ts'
import { connect } from '../lib/platform/db.ts'
import { countOpen } from '../lib/platform/dead-letter-store.ts'
import { redriveAfterOutage, sendUnsent, sourceQueues } from '../lib/platform/dead-letters.ts'
import { beginLog, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { embeddingSettings, parseModelSettings } from '../lib/platform/model-settings.ts'
import { env, queues } from '../lib/platform/names.ts'
import { sweepOutbox } from '../lib/platform/outbox.ts'
import { createQueue } from '../lib/platform/queue.ts'
import { pruneUsage } from '../lib/platform/quotas.ts'
import { createStorage } from '../lib/platform/storage.ts'
import { pulseFromEnvironment } from '../lib/platform/work/heartbeat.ts'
import { rekeyNames } from '../lib/profiles/rekey.ts'

const storage = createStorage(requiredEnv(env.uploadBucket))
const send = {
  objects: createQueue(requiredEnv(env.importObjectsQueueUrl)),
  slices: createQueue(requiredEnv(env.importSlicesQueueUrl)),
  finish: createQueue(requiredEnv(env.importFinishQueueUrl)),
  removals: createQueue(requiredEnv(env.importRemovalsQueueUrl)),
}
const exportsQueue = createQueue(requiredEnv(env.exportsQueueUrl))
const sources = sourceQueues()
const rooms = roomsFromEnvironment()
const maxReceiveCount = numberEnv(env.maxReceiveCount, 5)
const owners = {
  ...importOwners(maxReceiveCount),
  ...exportOwners(maxReceiveCount),
  ...interviewOwners(maxReceiveCount),
}
const stalledAfter = numberEnv(env.stalledAfterSeconds, 900)
const pulse = pulseFromEnvironment()
/** Of work under a lease: with the minute until the next run, a minute and a half after the lease at most. */
const leasedAfter = { stalled: stalledAfter, untried: 1.5 * pulse.lease, grace: pulse.grace }
const waits = {
  uploadCheck: stalledAfter / 3,
  uploadGrace: numberEnv(env.uploadGraceSeconds, 7200),
  abandoned: numberEnv(env.abandonedAfterSeconds, 300),
}
const embedding = embeddingSettings(parseModelSettings(process.env[env.modelSettings] || '{}'))
const retentionDays = numberEnv(env.transcriptRetentionDays, 365)
/** Seconds in which whoever wrote a message into the outbox, or redrives one, sends it by itself. */
const sentAfter = stalledAfter / 15
/** After an outage: 1, 2, 4, 8 and 16 minutes, each with all the deliveries of a new message. */
const afterOutage = { seconds: stalledAfter / 15, redrives: 5 }

/** Milliseconds of a run in which names are brought to a new folding: the rest is for what stands still. */
const namesBudget = 10_000

function keyedNames() {
  return rekeyNames({ sql: connect(), remainingMs: leftOf(namesBudget), moved: moveConflicts })
}

/** Milliseconds of a run in which rooms are closed: one that LiveKit does not close comes again. */
const roomsBudget = 10_000

function closedRooms() {
  return closeDueRooms({ sql: connect(), rooms, remainingMs: leftOf(roomsBudget) })
}

/** Milliseconds of a run in which turns of earlier releases are made findable. */
const turnsBudget = 5000

function foldedTurns(): Promise<number> {
  return refoldTurns(connect(), leftOf(turnsBudget))
}

/** Tells how many of so many milliseconds from now are left. */
function leftOf(budget: number): () => number {
  const end = Date.now() + budget
  return () => end - Date.now()
}

async function redriven(): Promise<number> {
  const context = { sql: connect(), queues: sources, owners }
  return (await storageAnswers(storage)) ? redriveAfterOutage(context, afterOutage) : 0
}

async function publishDeadLetters(): Promise<void> {
  const open = await countOpen(connect(), 'every')
  for (const queue of Object.values(queues)) {
    const single = metrics.singleMetric()
    single.addDimension('Queue', queue)
    single.addMetric('DeadLetters', MetricUnit.Count, open.get(queue)?.open ?? 0)
  }
}

/** How much work each third party refused that waits for an operator. */
async function publishRefused(): Promise<void> {
  for (const { service, counts } of await countRefused(connect())) {
    const single = metrics.singleMetric()
    single.addDimension('ThirdParty', service)
    single.addMetric('RefusedWork', MetricUnit.Count, totalOf(counts))
  }
}

/** Runs every minute: takes up what stands still, each part by itself so that one fault leaves the others. */
export const handler = middy().handler(async (_event, context) => {
  beginLog(context)
  const sql = connect()
  const parts = {
    imports: () => sweepImports({ sql, storage, ...send, waits: { ...waits, stalledAfter } }),
    exports: () => sweepExports(sql, exportsQueue, { ...leasedAfter, lease: pulse.lease }),
    interviews: () =>
      sweepInterviews({
        sql,
        storage,
        queues: sources,
        embedding,
        waits: { ...waits, stalledAfter: leasedAfter },
      }),
    outbox: () => sweepOutbox(sql, sources, sentAfter),
    retention: () => expireContents({ sql, storage, days: retentionDays }),
    unsent: () => sendUnsent({ sql, queues: sources }, sentAfter),
    redriven,
    names: keyedNames,
    turns: foldedTurns,
    usage: () => pruneUsage(sql),
    rooms: closedRooms,
    metrics: publishDeadLetters,
    refused: publishRefused,
  }
  const done: Record<string, unknown> = {}
  const failed: unknown[] = []
  for (const [name, run] of Object.entries(parts)) {
    try {
      done[name] = await run()
    } catch (error) {
      logger.error(`The sweep failed at ${name}`, { error: error as Error })
      failed.push(error)
    }
  }
  logger.info('Swept', done)
  if (failed.length > 0) throw new AggregateError(failed, 'Parts of the sweep failed')
})
