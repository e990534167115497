import { isSingle, tokensOf } from './folding.ts'

/**
 * What is looked for, as websearch_to_tsquery takes it: each word or "phrase" a quoted phrase of tokens, with `or`
 * and `-` as they were. What is within a word, as a hyphen, makes it a phrase. Hyphens count as one, also apart from
 * what they negate. Empty if there is nothing to look for.
 */
export function foldedQuery(q: string): string {
  let terms = ''
  let negated = false
  let either = false
  const add = (text: string) => {
    const tokens = termTokens(text)
    if (tokens.length === 0) return
    terms += `${terms === '' ? '' : either ? ' or ' : ' '}${negated ? '-' : ''}"${tokens.join(' ')}"`
    negated = false
    either = false
  }
  for (const [index, part] of q
    .replaceAll(/[“”„«»]/g, '"')
    .split('"')
    .entries()) {
    if (index % 2 === 1) {
      add(part)
      continue
    }
    for (const word of part.split(/\s+/)) {
      if (/^or$/i.test(word)) either = true
      else {
        if (/^[!&|()]*-/.test(word)) negated = true
        add(word)
      }
    }
  }
  return terms
}

/** At the end of a run the last character is in the pair before it, too: without it the run may go on. */
function termTokens(text: string): string[] {
  const tokens = [...tokensOf(text)].map((token) => token.text)
  const [before, last] = tokens.slice(-2)
  const isTwice =
    last && isSingle(last) && !isSingle(before!) && /^zq/.test(before!) && before!.endsWith(last.slice(2))
  return isTwice ? tokens.slice(0, -1) : tokens
}
