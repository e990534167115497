import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ReaderMessage } from './document-reader.ts'
import type { DocumentType } from './document-text.ts'
import { FinalError } from './failure.ts'
import type { HiddenText } from './hidden-text.ts'

/** `hidden` is undefined if looking for hidden text took too much. */
export type ReadDocument = { text: string; hidden: HiddenText | undefined }

/** Bytes of memory that a reader may take: half of what its function has, whose own part is some 150 MB. */
export const readerBytes = 1024 * 1024 * 1024
/** MiB of that for objects; what is inflated lies outside. */
const heapMb = 768

/** Beside this module: its own source, or in a bundle `reader.mjs`. */
const reader = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './document-reader.ts' : './reader.mjs', import.meta.url),
)

/**
 * Reads a PDF or a DOCX in a process of its own, which has no environment and is killed when it takes more memory
 * or milliseconds than it may: a small file can inflate without a bound. Rejects with FinalError `too_large` then,
 * and with those of openDocument.
 */
export async function readDocument(
  bytes: Buffer,
  type: DocumentType,
  { timeoutMs, maxBytes = readerBytes }: { timeoutMs: number; maxBytes?: number },
): Promise<ReadDocument> {
  const timeout = Math.max(1, Math.round(timeoutMs))
  const bounds = [maxBytes, timeout].map(String)
  const child = spawn(process.execPath, [`--max-old-space-size=${heapMb}`, reader, type, ...bounds], {
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
    // Where Lambda's Node finds its libraries, and nothing that opens anything.
    env: { LD_LIBRARY_PATH: process.env.LD_LIBRARY_PATH },
    timeout,
    killSignal: 'SIGKILL',
  })
  // What it said may come after its end.
  const ended = Promise.all([once(child, 'close') as Promise<Ending>, once(child, 'disconnect')])
  const said = new Map<ReaderMessage['kind'], ReaderMessage>()
  child.on('message', (message: ReaderMessage) => said.set(message.kind, message))
  // One that was killed takes no more: what it ended by says why.
  child.stdin!.on('error', () => {})
  child.stdin!.end(bytes)
  const [[code, signal]] = await ended
  const failure = said.get('failure')
  if (failure?.kind === 'failure') throw new FinalError(failure.code, failure.message)
  const text = said.get('text')
  if (text?.kind === 'text') {
    const hidden = said.get('hidden')
    return { text: text.text, hidden: hidden?.kind === 'hidden' ? hidden.hidden : undefined }
  }
  if (isExhausted(code, signal)) {
    throw new FinalError('too_large', 'The file takes more memory or time to read than there is')
  }
  throw new Error(`The reader of documents ended with ${signal ?? code}`)
}

type Ending = [code: number | null, signal: NodeJS.Signals | null]

/** Killed, by us or by the system, or given up by V8, which aborts when its heap is full. */
function isExhausted(...[code, signal]: Ending): boolean {
  return signal === 'SIGKILL' || signal === 'SIGABRT' || signal === 'SIGTRAP' || code === 134
}
