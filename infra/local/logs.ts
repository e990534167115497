import { appendFile, mkdir, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { StringDecoder } from 'node:string_decoder'

/** A text file that only grows, up to `maxBytes`; then it becomes `<path>.1` and a new one begins. */
export type LogFile = {
  write(line: string): void
  /** Resolves when everything written so far is in the file; rejects if the file could not be written. */
  flush(): Promise<void>
}

export function openLogFile(path: string, maxBytes = 10 * 1024 * 1024): LogFile {
  let buffered = ''
  let size: number | undefined
  let writing: Promise<void> | undefined

  async function drain() {
    if (size === undefined) {
      await mkdir(dirname(path), { recursive: true })
      size = (await stat(path).catch(() => undefined))?.size ?? 0
    }
    while (buffered !== '') {
      const text = buffered
      buffered = ''
      const bytes = Buffer.byteLength(text)
      if (size > 0 && size + bytes > maxBytes) {
        await rename(path, `${path}.1`)
        size = 0
      }
      await appendFile(path, text)
      size += bytes
    }
  }

  function start(): Promise<void> {
    writing ??= drain().finally(() => {
      writing = undefined
    })
    return writing
  }

  return {
    write(line) {
      buffered += `${line}\n`
      // A full disk must not end the cloud; flush() tells.
      start().catch(() => undefined)
    },
    flush: start,
  }
}

/** Longer lines are cut in pieces, so that a process that never ends its line cannot fill the memory. */
const maxLineLength = 1024 * 1024

/** Splits a stream's chunks into lines. `end` yields the last one when no newline closed it. */
export function lineSplitter(onLine: (line: string) => void): { push(chunk: Buffer): void; end(): void } {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  return {
    push(chunk) {
      const lines = (rest + decoder.write(chunk)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) onLine(line)
      while (rest.length > maxLineLength) {
        onLine(rest.slice(0, maxLineLength))
        rest = rest.slice(maxLineLength)
      }
    },
    end() {
      rest += decoder.end()
      if (rest !== '') onLine(rest)
      rest = ''
    },
  }
}
