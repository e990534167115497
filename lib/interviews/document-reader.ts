import { buffer } from 'node:stream/consumers'
import { Worker } from 'node:worker_threads'
import { type DocumentType, openDocument } from './document-text.ts'
import { FinalError } from './failure.ts'
import type { HiddenText } from './hidden-text.ts'
import { longestText } from './resume-type.ts'

/*
 * A program: reads the document of its standard input, of the type, within the bytes of memory and the milliseconds
 * that its arguments say, and tells by messages what it holds. It kills itself when it takes more, also when there is
 * no one left to do that.
 */

/** What the program says, in this order: a text may be all that comes. */
export type ReaderMessage =
  | { kind: 'text'; text: string }
  | { kind: 'failure'; code: string; message: string }
  | { kind: 'hidden'; hidden: HiddenText }

// A thread of its own: inflating keeps this one busy.
const watch = `
  const { maxBytes, timeoutMs } = require('node:worker_threads').workerData
  const end = () => process.kill(process.pid, 'SIGKILL')
  setTimeout(end, timeoutMs)
  setInterval(() => {
    if (process.memoryUsage.rss() > maxBytes) end()
  }, 5)`

function tell(message: ReaderMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, undefined, {}, (error) => (error ? reject(error) : resolve()))
  })
}

async function main(type: DocumentType, maxBytes: number, timeoutMs: number): Promise<void> {
  const watcher = new Worker(watch, { eval: true, workerData: { maxBytes, timeoutMs } })
  const bytes = await buffer(process.stdin)
  await new Promise((resolve) => watcher.once('online', resolve))
  try {
    const { text, findHidden } = await openDocument(bytes, type)
    await tell({ kind: 'text', text: text.slice(0, longestText) })
    await tell({ kind: 'hidden', hidden: await findHidden() })
  } catch (error) {
    if (!(error instanceof FinalError)) throw error
    await tell({ kind: 'failure', code: error.code, message: error.message })
  }
}

const [, , type, maxBytes, timeoutMs] = process.argv
await main(type as DocumentType, Number(maxBytes), Number(timeoutMs))
process.exit(0)
