/**
 * One piece of a query. A word's `word` is folded (lower case, no accents, no possessive); of the others it
 * is what they stand for.
 */
export type Token = {
  kind: 'word' | 'number' | 'dash' | 'comma' | 'symbol' | 'flag'
  /** As written. */
  text: string
  word: string
  /** Where it stands in the text; a dash without blanks around it may only hyphenate. */
  start: number
  end: number
  /** The pair of brackets that it stands in, counted from 1; 0 outside. What is nested counts as the outer. */
  bracket: number
  accented?: boolean
  possessive?: boolean
}

const pieces = new RegExp(
  [
    /(?<number>\d{1,3}(?:,\d{3})+(?![\p{L}\p{N}]))/u,
    // The unit follows without a blank: "30yo", "18-25yrs".
    /(?<amount>\d{1,3}(?=(?:[yY]|[yY][oO][sS]?|[yY][rR][sS]?)(?![\p{L}\p{N}])))/u,
    /(?<word>[\p{L}\p{N}\p{M}_]+(?:['’.][\p{L}\p{N}\p{M}_]+)*(?:(?<=s)['’](?=\s\p{L}))?)/u,
    /(?<flag>[\u{1F1E6}-\u{1F1FF}]{2})/u,
    // "-Kenya" and "!Kenya" exclude in many search boxes: here they must not pass as marks.
    /(?<excluding>(?<![^\s([])[-\u2010-\u2015\u2212](?=\p{L})|!(?=[\p{L}\p{N}]))/u,
    // Hyphens, en and em dash, minus, and "20..30".
    /(?<dash>[-\u2010-\u2015\u2212]|(?<=\d)\.{2,3}(?=\d))/u,
    /(?<comma>[,;])/u,
    /(?<open>[([])/u,
    /(?<close>[)\]])/u,
    // Says nothing: sentence marks and quotes.
    /(?<silent>!(?!=)|[.?:"“”„«»'‘’`…])/u,
    /(?<symbol>[<>=!]=|=[<>]|<>|\S)/u,
  ]
    .map(({ source }) => source)
    .join('|'),
  'gu',
)

const symbolWords: Record<string, string> = {
  '&': 'and',
  '/': 'or',
  '≥': '>=',
  '≤': '<=',
  '=>': '>=',
  '=<': '<=',
  '==': '=',
}

/** The text in pieces, without blanks and marks that say nothing. Takes time linear in its length. */
export function tokenise(text: string): Token[] {
  const tokens: Token[] = []
  let bracket = 0
  let depth = 0
  for (const match of text.matchAll(pieces)) {
    const [piece] = match
    const { number, amount, word, flag, dash, comma, open, close, silent } = match.groups!
    if (open !== undefined && depth++ === 0) bracket++
    if (close !== undefined) depth = Math.max(0, depth - 1)
    if (open !== undefined || close !== undefined || silent !== undefined) continue
    const place = {
      text: piece,
      start: match.index,
      end: match.index + piece.length,
      bracket: depth > 0 ? bracket : 0,
    }
    if (number !== undefined) tokens.push({ kind: 'word', word: piece, ...place })
    else if (amount !== undefined) tokens.push({ kind: 'number', word: piece, ...place })
    else if (word !== undefined) tokens.push({ ...wordToken(piece), ...place })
    else if (flag !== undefined) tokens.push({ kind: 'flag', word: lettersOf(piece), ...place })
    else if (dash !== undefined) tokens.push({ kind: 'dash', word: '-', ...place })
    else if (comma !== undefined) tokens.push({ kind: 'comma', word: ',', ...place })
    else tokens.push({ kind: 'symbol', word: symbolWords[piece] ?? piece, ...place })
  }
  return tokens
}

/** The code that a flag is written in: two regional indicators, from A at U+1F1E6 on. */
function lettersOf(flag: string): string {
  return Array.from(flag, (letter) => String.fromCharCode(letter.codePointAt(0)! - 0x1f1e6 + 65)).join('')
}

function wordToken(piece: string): Pick<Token, 'kind' | 'word' | 'accented' | 'possessive'> {
  if (/^\d+$/.test(piece)) return { kind: 'number', word: piece }
  const plain = piece.replaceAll('’', "'").toLowerCase()
  const folded = plain.normalize('NFD').replace(/\p{M}/gu, '')
  if (/^\d+'s$/.test(folded)) return { kind: 'word', word: folded.replace("'", '') }
  const word = folded.replace(/(?<=..)'s$|'$/, '')
  return {
    kind: 'word',
    word,
    ...(folded !== plain && { accented: true }),
    ...(word !== folded && { possessive: true }),
  }
}

/** Meanings by phrase, the words of a phrase joined by blanks. */
export class Phrases<Meaning> {
  readonly #meanings = new Map<string, Meaning>()
  readonly #skipsArticles: boolean
  #longest = 0

  constructor(articles?: 'inner articles may be left out') {
    this.#skipsArticles = articles !== undefined
  }

  get(phrase: string): Meaning | undefined {
    return this.#meanings.get(this.#keyOf(phrase))
  }

  #keyOf(phrase: string): string {
    const key = phraseKey(phrase)
    return this.#skipsArticles ? key.replaceAll(' the ', ' ').replace(/ the$/, '') : key
  }

  set(phrase: string, meaning: Meaning): void {
    this.change(phrase, () => meaning)
  }

  /** Sets the meaning of a phrase after the one it had. */
  change(phrase: string, next: (before: Meaning | undefined) => Meaning): void {
    const key = this.#keyOf(phrase)
    this.#longest = Math.max(this.#longest, key.split(' ').length)
    this.#meanings.set(key, next(this.#meanings.get(key)))
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
      if (words > 0 && this.#skipsArticles && tokens[end]?.word === 'the') end++
      const token = tokens[end]
      if (!token || token.kind === 'dash') break
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
    .filter(({ kind }) => kind !== 'dash')
    .map(({ word }) => word)
    .join(' ')
}

/** Whether the token is a dash that joins the words beside it. */
export function isHyphen(tokens: readonly Token[], at: number): boolean {
  const after = tokens[at + 1]
  return after?.kind === 'word' && isGlued(tokens, at)
}

/** Whether the token is a dash without blanks around it. */
export function isGlued(tokens: readonly Token[], at: number): boolean {
  const [before, dash, after] = [tokens[at - 1], tokens[at], tokens[at + 1]]
  return dash?.kind === 'dash' && before?.end === dash.start && after?.start === dash.end
}

/**
 * The text as it is read: full-width letters are letters, tabs and line breaks are blanks, and invisible
 * characters at either end of a word that stands at a blank are dropped. Small raised digits stay what they are:
 * "3²" is not 32.
 */
export function plainText(query: string): string {
  return query
    .replace(/[^\p{No}]+/gu, (part) => part.normalize('NFKC'))
    .split(/[\t\n\r\p{Z}]/u)
    .map(trimInvisible)
    .filter((word) => word !== '')
    .join(' ')
}

function trimInvisible(word: string): string {
  const characters = Array.from(word)
  const isVisible = (character: string) => !/\p{Default_Ignorable_Code_Point}/u.test(character)
  const from = characters.findIndex(isVisible)
  return from < 0 ? '' : characters.slice(from, characters.findLastIndex(isVisible) + 1).join('')
}
