import { ageGroups, maxAge } from '../profile.ts'
import { type Condition, type Piece, uninterpretable } from './pieces.ts'
import type { FieldKind } from './vocabulary.ts'

/** A condition, or a word for people, in its place in the sentence. */
export type Term = {
  text: string
  /** Directly after the term before it, with nothing between. */
  adjacent: boolean
  /** Said about people named before: "who are women". */
  predicate: boolean
} & (Condition | { kind: 'subject'; form: 'noun' })
export type Join = { kind: 'join'; by: 'comma' | 'and' | 'or' | 'but'; text: string }

export type Sentence = {
  items: (Term | Join)[]
  /** Whether it names anybody: all people, or people with a condition. */
  namesPeople: boolean
}

/**
 * What the pieces of a query say: its conditions and the joiners between them. Throws where a piece has no
 * sense in its place: "from" without a country, a field without a value, a number of people.
 */
export function readTerms(pieces: readonly Piece[]): Sentence {
  return new Reader(pieces).read()
}

const older: Condition = {
  kind: 'ages',
  range: { from: ageGroups.senior[0], to: maxAge },
  shape: 'noun',
  form: 'adjective',
  notBeforePeople: false,
}

class Reader {
  readonly #pieces: readonly Piece[]
  readonly #items: (Term | Join)[] = []
  readonly #unclear: string[] = []
  /** The piece being read. */
  #at = 0
  /** The piece of the last term. */
  #lastAt = -1
  /** "from", "of" or "with" that waits for what must follow it. */
  #place: Piece | undefined
  #isRelative = false
  #namesAll = false

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces
  }

  read(): Sentence {
    for (; this.#at < this.#pieces.length; this.#at++) this.#readPiece(this.#pieces[this.#at]!)
    this.#closePlace()
    const last = this.#items.at(-1)
    if (last?.kind === 'join' && last.by !== 'comma') this.#reject(last)
    for (const join of unclearBrackets(this.#pieces)) this.#reject(join)
    if (this.#unclear.length > 0) throw uninterpretable(this.#unclear)
    const namesPeople = this.#namesAll || this.#items.some(({ kind }) => kind !== 'join')
    return { items: this.#items, namesPeople }
  }

  #readPiece(piece: Piece): void {
    switch (piece.kind) {
      case 'filler':
        break
      case 'all':
        this.#namesAll = true
        break
      case 'relative':
        this.#isRelative = this.#lastAt >= 0
        break
      case 'request':
        // "women looking for men" asks for neither.
        if (this.#lastAt >= 0) this.#reject(piece)
        break
      case 'join':
        this.#readJoin({ kind: 'join', by: piece.by, text: piece.text })
        break
      case 'place':
      case 'of':
      case 'with':
        this.#closePlace()
        this.#place = piece
        break
      case 'subject':
        this.#readSubject(piece)
        break
      case 'field':
        this.#readField(piece, piece.of)
        break
      case 'equals':
        this.#reject(piece)
        break
      case 'based':
        if (this.#pieces[this.#at - 1]?.kind !== 'country') this.#reject(piece)
        break
      case 'younger':
        this.#reject(piece, 'younger than what?')
        break
      case 'older':
        if (this.#comparesNothing()) this.#add(this.#at, older, piece.text)
        else this.#reject(piece, 'older than what?')
        break
      default:
        this.#readCondition(piece)
    }
  }

  #reject({ text }: { text: string }, why?: string): void {
    this.#unclear.push(`"${text}" is not clear here${why ? `: ${why}` : ''}`)
  }

  /** What waits for a country did not get one. */
  #closePlace(): void {
    if (this.#place) this.#reject(this.#place)
    this.#place = undefined
  }

  #add(at: number, condition: Condition | { kind: 'subject'; form: 'noun' }, text: string): void {
    this.#items.push({ ...condition, text, adjacent: at === this.#lastAt + 1, predicate: this.#isRelative })
    this.#lastAt = at
  }

  /** In "Nigeria, and Ghana" the comma says nothing; "and/or" is "or". */
  #readJoin(join: Join): void {
    this.#closePlace()
    this.#isRelative = false
    // "all countries but Kenya" excludes.
    if (join.by === 'but' && this.#namesAll) this.#reject(join)
    const before = this.#items.at(-1)
    if (before?.kind !== 'join') this.#items.push(join)
    else if (before.by === 'comma' || (before.by === 'and' && join.by === 'or'))
      this.#items.splice(-1, 1, join)
    else if (join.by !== 'comma' && join.by !== before.by) this.#reject(join)
  }

  /** In "profiles of women" and "records of men" the word only introduces the people; "people of Kenya" are. */
  #readSubject(piece: Piece): void {
    this.#closePlace()
    if (this.#pieces[this.#at + 1]?.kind !== 'of' || this.#isPlaceName(this.#at + 2)) {
      this.#add(this.#at, { kind: 'subject', form: 'noun' }, piece.text)
    } else {
      this.#namesAll = true
      this.#at++
    }
  }

  #isPlaceName(at: number): boolean {
    const piece = this.#pieces[this.#next(at, ['filler'])]
    if (piece?.kind === 'field') return piece.of === 'country'
    return piece?.kind === 'country' && piece.isName
  }

  /** The first piece from `at` on of none of these kinds. */
  #next(at: number, kinds: readonly Piece['kind'][]): number {
    let next = at
    while (this.#pieces[next] && kinds.includes(this.#pieces[next]!.kind)) next++
    return next
  }

  /** "gender: female", "country of Kenya", or behind its value: "female gender", "of Kenyan nationality". */
  #readField(piece: Piece, kind: FieldKind): void {
    // "in the country of Kenya"
    if (this.#place?.kind === 'place' && kind === 'gender') this.#reject(this.#place)
    this.#place = undefined
    const next = this.#next(this.#at + 1, ['filler', 'relative', 'equals', 'of', 'place'])
    const value = this.#pieces[next]
    if (isCondition(value) && value.kind === kind) {
      this.#add(next, { ...value, form: 'attribute' }, value.text)
      this.#at = next
    } else if (this.#lastAt !== this.#at - 1 || this.#pieces[this.#lastAt]?.kind !== kind) {
      this.#reject(piece, 'it has no value')
    }
  }

  #readCondition(piece: Condition & Piece): void {
    const next = this.#pieces[this.#at + 1]
    const isFielded = next?.kind === 'field' && next.of === piece.kind
    const place = this.#place
    if (place && !isFielded && !follows(place, piece)) this.#reject(place)
    this.#place = undefined
    // "Kenya's children", but not "the Kenyan's children"
    const isOwner = piece.possessive && !(piece.kind === 'country' && piece.isName)
    if (isOwner && isCondition(next) && next.form !== 'attribute') this.#reject(piece)
    if (piece.kind === 'ages' && piece.notBeforePeople && this.#isBeforePeople()) {
      this.#reject(piece, 'people are not counted, and an age is clearer behind them')
    }
    let { form } = piece
    if (place || isFielded) form = 'attribute'
    else if (piece.kind === 'ages' && form === 'attribute' && isPeople(next)) form = 'adjective'
    const isFrom = place?.kind === 'place' && piece.kind === 'country'
    this.#add(this.#at, { ...piece, form }, isFrom ? `${place.text} ${piece.text}` : piece.text)
  }

  /** "at least 5 (of the) (Kenyan) women" */
  #isBeforePeople(): boolean {
    return isPeople(this.#pieces[this.#next(this.#at + 1, ['filler', 'all', 'of'])])
  }

  /** "older women", "older Kenyan people": as in public health, seniors. */
  #comparesNothing(): boolean {
    const next = this.#next(this.#at + 1, ['country'])
    const { kind } = this.#pieces[next] ?? {}
    const last = this.#pieces[next - 1]!
    return kind === 'gender' || kind === 'subject' || (last.kind === 'country' && last.form === 'noun')
  }
}

function isCondition(piece: Piece | undefined): piece is Condition & Piece {
  return piece?.kind === 'gender' || piece?.kind === 'country' || piece?.kind === 'ages'
}

/** Whether a piece is people, or what stands before people: nothing that is added about those before it. */
function isPeople(piece: Piece | undefined): boolean {
  if (piece?.kind === 'subject' || piece?.kind === 'older') return true
  return isCondition(piece) && piece.form !== 'attribute'
}

/** "from Nigeria" and "women of Nigeria", but not "children of Nigerians" or "women with children". */
function follows(place: Piece, condition: Condition): boolean {
  if (condition.kind !== 'country' || place.kind === 'with') return false
  return place.kind === 'place' || condition.isName
}

/** Joiners beside brackets that hold conditions of several kinds: what belongs together must be plain. */
function unclearBrackets(pieces: readonly Piece[]): Piece[] {
  const kinds = new Map<number, Set<string>>()
  for (const piece of pieces) {
    if (piece.bracket > 0 && (isCondition(piece) || piece.kind === 'subject')) {
      kinds.set(piece.bracket, (kinds.get(piece.bracket) ?? new Set()).add(piece.kind))
    }
  }
  const isMixed = (piece: Piece | undefined) => (kinds.get(piece?.bracket ?? 0)?.size ?? 0) > 1
  return pieces.filter((piece, at) => {
    const [before, after] = [pieces[at - 1], pieces[at + 1]]
    if (piece.kind !== 'join' || before?.bracket === after?.bracket) return false
    return isMixed(before) || isMixed(after)
  })
}
