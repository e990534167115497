/**
 * One piece of a query. A word's `word` is folded (lower case, no accents, no possessive); of the others it
 * is what they stand for.
 */
export type Token = {
  kind: 'word' | 'number' | 'dash' | 'comma' | 'symbol'
  /** As written. */
  text: string
  word: string
  /** Where it stands in the text; a dash without blanks around it may only hyphenate. */
  start: number
  end: number
}

const pieces = new RegExp(
  [
    /(?<number>\d{1,3}(?:,\d{3})+(?![\p{L}\p{N}]))/u,
    /(?<word>[\p{L}\p{N}\p{M}_]+(?:['’.][\p{L}\p{N}\p{M}_]+)*)/u,
    // Hyphens, en and em dash, minus.
    /(?<dash>[-\u2010-\u2015\u2212])/u,
    /(?<comma>[,;])/u,
    // Says nothing: sentence marks, quotes, brackets.
    /(?<silent>[.!?:"“”„«»'‘’`()[\]…])/u,
    /(?<symbol>[<>]=|[^\s])/u,
  ]
    .map(({ source }) => source)
    .join('|'),
  'gu',
)

const symbolWords: Record<string, string> = { '&': 'and', '/': 'or', '≥': '>=', '≤': '<=' }

/** The text in pieces, without blanks and marks that say nothing. Takes time linear in its length. */
export function tokenise(text: string): Token[] {
  const tokens: Token[] = []
  for (const match of text.matchAll(pieces)) {
    const [piece] = match
    const { number, word, dash, comma, silent } = match.groups!
    if (silent !== undefined) continue
    const place = { text: piece, start: match.index, end: match.index + piece.length }
    if (number !== undefined) tokens.push({ kind: 'word', word: piece, ...place })
    else if (word !== undefined) tokens.push({ ...wordToken(piece), ...place })
    else if (dash !== undefined) tokens.push({ kind: 'dash', word: '-', ...place })
    else if (comma !== undefined) tokens.push({ kind: 'comma', word: ',', ...place })
    else tokens.push({ kind: 'symbol', word: symbolWords[piece] ?? piece, ...place })
  }
  return tokens
}

function wordToken(piece: string): Pick<Token, 'kind' | 'word'> {
  if (/^\d+$/.test(piece)) return { kind: 'number', word: piece }
  const word = fold(piece)
  return { kind: 'word', word: /^\d+'s$/.test(word) ? word.replace("'", '') : word.replace(/(?<=..)'s$/, '') }
}

/** Lower case without accents, apostrophes straight. */
function fold(piece: string): string {
  return piece.normalize('NFD').replace(/\p{M}/gu, '').replaceAll('’', "'").toLowerCase()
}

/** Meanings by phrase, the words of a phrase joined by blanks. */
export class Phrases<Meaning> {
  readonly #meanings = new Map<string, Meaning>()
  #longest = 0

  get(phrase: string): Meaning | undefined {
    return this.#meanings.get(phraseKey(phrase))
  }

  set(phrase: string, meaning: Meaning): void {
    const key = phraseKey(phrase)
    this.#longest = Math.max(this.#longest, key.split(' ').length)
    this.#meanings.set(key, meaning)
  }

  keys(): IterableIterator<string> {
    return this.#meanings.keys()
  }

  /** The longest phrase that begins at a token, and the token after it. */
  at(tokens: readonly Token[], start: number): { meaning: Meaning; end: number } | undefined {
    let found: { meaning: Meaning; end: number } | undefined
    let key = ''
    let end = start
    for (let words = 0; words < this.#longest && end < tokens.length; words++) {
      if (words > 0 && isHyphen(tokens, end)) end++
      const token = tokens[end]
      if (!token || token.kind === 'dash' || token.kind === 'comma') break
      key = key === '' ? token.word : `${key} ${token.word}`
      end++
      const meaning = this.#meanings.get(key)
      if (meaning !== undefined) found = { meaning, end }
    }
    return found
  }
}

/** The words of a phrase as tokens have them. */
export function phraseKey(phrase: string): string {
  // Nearly all are plain, and a thousand of them are read when first needed.
  if (/^[a-z]+(?: [a-z]+)*$/i.test(phrase)) return phrase.toLowerCase()
  return tokenise(phrase)
    .filter(({ kind }) => kind !== 'dash' && kind !== 'comma')
    .map(({ word }) => word)
    .join(' ')
}

/** Whether the token is a dash that joins the words beside it. */
export function isHyphen(tokens: readonly Token[], at: number): boolean {
  const [before, dash, after] = [tokens[at - 1], tokens[at], tokens[at + 1]]
  if (dash?.kind !== 'dash' || !before || !after) return false
  return after.kind === 'word' && before.end === dash.start && after.start === dash.end
}
