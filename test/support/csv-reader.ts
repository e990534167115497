import type { RecordFault } from '../../lib/imports/boundaries.ts'

/** A record as docs/importing.md has it. `text` is without the line end. */
export type ReadRecord = {
  kind: 'row' | 'blank' | RecordFault
  text: string
  fields: string[]
  line: number
}

export type ReadLimits = { record: number; lookAhead: number; size: (text: string) => number }

const usual: ReadLimits = {
  record: 64 * 1024,
  lookAhead: 1024 * 1024,
  size: (text) => Buffer.byteLength(text),
}

/**
 * A second reader of CSV, to compare the product's with: written from the rules of docs/importing.md, a field
 * after the other, with the whole text in memory and no care for speed.
 */
export function readCsv(text: string, delimiter: string, limits = usual): ReadRecord[] {
  const records: ReadRecord[] = []
  let line = 1
  let at = 0
  while (at < text.length) {
    const { end, kind, fields } = recordAt(text, at, delimiter, limits)
    const next = end + (text.slice(end).match(/^(\r\n|\r|\n)/)?.[0].length ?? 0)
    records.push({ kind, text: text.slice(at, end), fields, line })
    line += linesIn(text.slice(at, next))
    at = next
  }
  return records
}

function recordAt(text: string, start: number, delimiter: string, { record, lookAhead, size }: ReadLimits) {
  const { end, fields, textAfterQuote } = fieldsAt(text, start, delimiter)
  const faults: [RecordFault, number][] = []
  if (textAfterQuote >= 0) faults.push(['text_after_quote', textAfterQuote])
  const firstLine = start + text.slice(start).search(/[\r\n]|$/)
  let stop = end ?? firstLine
  if (stop > firstLine && size(text.slice(start, stop)) > lookAhead) stop = firstLine
  if (stop !== end) faults.push(['open_quote', stop])
  const content = text.slice(start, stop)
  if ([...content].every((character) => character === delimiter || isBlank(character)))
    return { end: stop, kind: 'blank' as const, fields: [] }
  // A NUL may itself be the text after a quote.
  if (content.includes('\0')) faults.unshift(['nul', start + content.indexOf('\0')])
  const [first] = faults.sort((a, b) => a[1] - b[1])
  const within = first !== undefined && size(text.slice(start, first[1])) < record
  if (!within && size(content) > record) return { end: stop, kind: 'too_long' as const, fields }
  return { end: stop, kind: first ? first[0] : ('row' as const), fields }
}

/** Reads one field after the other. `end` is undefined if a quote is not closed, or not where it was meant to be. */
function fieldsAt(text: string, start: number, delimiter: string) {
  const fields: string[] = []
  const endsField = (at: number) => at >= text.length || [delimiter, '\r', '\n'].includes(text[at]!)
  const isBlankAt = (at: number) => text[at] !== delimiter && isBlank(text[at])
  let textAfterQuote = -1
  let at = start
  for (;;) {
    let from = at
    while (isBlankAt(from)) from++
    if (text[from] === '"') {
      let value = ''
      for (from++; text[from] !== '"' || text[from + 1] === '"'; from++) {
        if (from >= text.length) return { fields, textAfterQuote }
        value += text[from]
        if (text[from] === '"') from++
      }
      at = from + 1
      while (isBlankAt(at)) at++
      if (!endsField(at)) {
        if (linesIn(text.slice(start, at)) > 0) return { fields, textAfterQuote }
        if (textAfterQuote < 0) textAfterQuote = at
      }
      while (!endsField(at)) at++
      fields.push(value)
    } else {
      from = at
      while (!endsField(at)) at++
      fields.push(text.slice(from, at))
    }
    if (text[at] !== delimiter) return { end: at, fields, textAfterQuote }
    at++
  }
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\f'
}

function linesIn(text: string): number {
  return text.match(/\r\n|\r|\n/g)?.length ?? 0
}
