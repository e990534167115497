import { type Token, tokensOf } from './folding.ts'

/** A word of a search in a turn. */
export type Found = {
  /** Of the token, from 1, as a tsvector has it. */
  position: number
  lexeme: string
  /** Whether only its first character was looked for. */
  open: boolean
}

type Range = { start: number; end: number; lexeme: string }

/** Characters of a text around what was found, and how many of them come before it. */
const [width, before] = [240, 60]

/** A tsvector counts no further: everything behind has this position. */
const lastPosition = 16_383

/** The part of a text where the most of what was looked for is, which stands between ** and **. */
export function snippetOf(content: string, found: readonly Found[]): string {
  const text = content.normalize('NFC')
  const tokens = [...tokensOf(text)]
  const ranges = found.flatMap((one) => rangeOf(one, tokens))
  const { start, end } = windowAround(text, tokens, ranges)
  let snippet = ''
  let at = start
  for (const range of merged(ranges)) {
    const [from, to] = [Math.max(range.start, start), Math.min(range.end, end)]
    if (from >= to) continue
    snippet += `${text.slice(at, from)}**${text.slice(from, to)}**`
    at = to
  }
  return (snippet + text.slice(at, end)).replaceAll(/[^\P{Cc}\t\n\r]/gu, '')
}

function rangeOf({ position, lexeme, open }: Found, tokens: readonly Token[]): Range[] {
  const at =
    position < lastPosition
      ? position - 1
      : tokens.findIndex(({ text }, index) => index >= lastPosition - 1 && text.startsWith(lexeme))
  const token = tokens[at]
  if (!token) return []
  const next = tokens[at + 1]
  return [
    { start: token.start, end: open && next && next.start < token.end ? next.start : token.end, lexeme },
  ]
}

/** Adjacent pairs of characters are one range. */
function merged(ranges: readonly Range[]): Range[] {
  const all: Range[] = []
  for (const range of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = all.at(-1)
    if (last && range.start <= last.end) last.end = Math.max(last.end, range.end)
    else all.push({ ...range })
  }
  return all
}

function windowAround(
  text: string,
  tokens: readonly Token[],
  ranges: readonly Range[],
): { start: number; end: number } {
  if (text.length <= width) return { start: 0, end: text.length }
  const best = densest(ranges)
  const from = Math.max(0, best.start - before)
  const to = Math.max(best.end, from + width)
  const inside = tokens.filter(({ start, end }) => start >= from && end <= to)
  return {
    start: from === 0 ? 0 : (inside[0]?.start ?? best.start),
    end: to >= text.length ? text.length : (inside.at(-1)?.end ?? Math.min(to, text.length)),
  }
}

/** The first stretch of ranges, no wider than a snippet, with the most different words, then the most of them. */
function densest(ranges: readonly Range[]): { start: number; end: number } {
  const sorted = ranges.toSorted((a, b) => a.start - b.start)
  const counts = new Map<string, number>()
  let best = { words: 0, count: 0, start: 0, end: 0 }
  let first = 0
  for (const [index, { end, lexeme }] of sorted.entries()) {
    counts.set(lexeme, (counts.get(lexeme) ?? 0) + 1)
    while (end - sorted[first]!.start > width - before && first < index) {
      const { lexeme: left } = sorted[first]!
      const count = counts.get(left)! - 1
      if (count === 0) counts.delete(left)
      else counts.set(left, count)
      first += 1
    }
    const [words, count] = [counts.size, index - first + 1]
    if (words > best.words || (words === best.words && count > best.count)) {
      best = { words, count, start: sorted[first]!.start, end }
    }
  }
  return best
}
