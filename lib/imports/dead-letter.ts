import { judge, parseBody } from '../platform/dead-letter-verdict.ts'
import { type DeadLetterOwner, type DeadMessage, superseded, type Verdict } from '../platform/dead-letters.ts'
import { queues } from '../platform/names.ts'
import { importMessage, importOfKey, objectMessage, sliceMessage } from './messages.ts'
import {
  failSlice,
  failSplit,
  lockImportAttempts,
  lockSliceAttempts,
  reopenSlice,
  reopenSplit,
} from './recovery-store.ts'

/**
 * What the dead letters of imports do to them. `maxReceiveCount` is that of the queues: a message counts as
 * many attempts unless some could not even reach the database.
 */
export function importOwners(maxReceiveCount: number) {
  const slices: DeadLetterOwner = {
    async fail(tx, message) {
      const body = parseBody(sliceMessage, message)
      const slice = body && (await lockSliceAttempts(tx, body.import_id, body.slice_no))
      if (!body || !slice) return unknownMessage
      const failure = judge(slice, maxReceiveCount)
      const owner = { type: 'import', id: body.import_id, part: body.slice_no }
      const moot = slice.state !== 'pending' || superseded(message, slice.resent_at)
      if (!moot) await failSlice(tx, body.import_id, body.slice_no, failure.error)
      return { ...failure, owner, moot }
    },
    async reopen(tx, { owner_id, owner_part }) {
      if (owner_id === null || owner_part === null) return true
      return (await reopenSlice(tx, owner_id, owner_part)) !== 'later'
    },
  }

  const objects: DeadLetterOwner = {
    async fail(tx, message) {
      // S3 sends one record an event; with more, the letter belongs to the first import that it fails.
      const verdicts: Verdict[] = []
      for (const id of importsOf(message)) {
        const file = await lockImportAttempts(tx, id)
        if (!file) continue
        const failure = judge(file, maxReceiveCount)
        const awaited = file.state === 'awaiting_upload' || file.state === 'splitting'
        const moot = !awaited || superseded(message, file.resent_at)
        const text = `The file could not be read to its end: ${failure.error}`
        if (!moot) await failSplit(tx, id, { code: 'split_failed', message: text })
        verdicts.push({ ...failure, owner: { type: 'import', id, part: null }, moot })
      }
      return verdicts.find(({ moot }) => !moot) ?? verdicts[0] ?? unknownMessage
    },
    async reopen(tx, { owner_id }) {
      if (owner_id !== null) await reopenSplit(tx, owner_id, false)
      return true
    },
  }

  // An import keeps its state: the sweep takes its end up again.
  const finishes: DeadLetterOwner = {
    async fail(tx, message) {
      const body = parseBody(importMessage, message)
      const file = body && (await lockImportAttempts(tx, body.import_id))
      if (!body || !file) return unknownMessage
      const owner = { type: 'import', id: body.import_id, part: null }
      const { state, finished } = file
      const owed = state === 'inserting' || state === 'finishing' || (state === 'cancelled' && !finished)
      return {
        ...judge(file, maxReceiveCount),
        owner,
        moot: !owed || superseded(message, file.resent_at),
      }
    },
    reopen: async () => true,
  }

  // A removal stays asked for, and the sweep takes it up again too.
  const removals: DeadLetterOwner = {
    async fail(tx, message) {
      const body = parseBody(importMessage, message)
      const file = body && (await lockImportAttempts(tx, body.import_id))
      if (!body || !file) return unknownMessage
      const owner = { type: 'import', id: body.import_id, part: null }
      return {
        ...judge(file, maxReceiveCount),
        owner,
        moot: file.removal_state !== 'running' || superseded(message, file.resent_at),
      }
    },
    reopen: async () => true,
  }

  return {
    [queues.importObjects]: objects,
    [queues.importSlices]: slices,
    [queues.importFinish]: finishes,
    [queues.importRemovals]: removals,
  }
}

const unknownMessage: Verdict = {
  error: 'The message belongs to no import',
  cause: 'unknown',
  owner: null,
  moot: false,
}

function importsOf(message: DeadMessage): string[] {
  const body = parseBody(objectMessage, message)
  if (!body) return []
  if ('continue_import_id' in body) return [body.continue_import_id]
  if (!('Records' in body)) return []
  return body.Records.map(({ s3 }) => importOfKey(s3.object.key)).filter((id) => id !== undefined)
}
