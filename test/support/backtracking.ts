import { type AST, RegExpParser, visitRegExpAST } from '@eslint-community/regexpp'

/**
 * How the steps of a backtracking matcher grow with the length of a hostile input, and the text that the input
 * repeats. `exponential`: one text can be read along two ways that come back to where they began. `polynomial`:
 * two loops, one after the other, read the same text, so that each place where the first may end is tried; the
 * search itself is such a loop, since it begins again at every character.
 */
export type Backtracking = { growth: 'linear' } | { growth: 'polynomial' | 'exponential'; pump: string }

/** Repetitions with this many times more at most than at least are taken as unbounded: safe, and small automata. */
const unbounded = 10

type Atom = { raw: string } | 'start' | 'end'

/**
 * A part of a pattern as the automaton of its positions (Glushkov). Numbers are ways to get there, up to 2.
 * `sure` and `surelyEmpty` leave out what is behind an assertion: what they reach has matched for certain.
 */
type Part = {
  empty: number
  surelyEmpty: boolean
  first: Ways
  last: Ways
  sure: Set<number>
}
type Ways = Map<number, number>

const many = (ways: number) => Math.min(ways, 2)

function addWays(to: Ways, from: Ways, times: number): void {
  if (times === 0) return
  for (const [position, ways] of from) to.set(position, many((to.get(position) ?? 0) + ways * times))
}

/** Position 0 is the search: it goes on over any character. */
class Automaton {
  readonly atoms: Atom[] = []
  readonly follow: Ways[] = []
  /** Where the whole pattern, or a lookaround, has matched whatever comes: nothing before it is tried again. */
  readonly matched = new Set<number>()

  constructor(pattern: AST.Pattern, sticky: boolean, multiline: boolean) {
    this.#position({ raw: '[^]' })
    const whole = this.#alternatives(pattern.alternatives, multiline)
    if (!sticky) this.follow[0]!.set(0, 1)
    addWays(this.follow[0]!, whole.first, 1)
    for (const position of whole.sure) this.matched.add(position)
  }

  #position(atom: Atom): number {
    this.follow.push(new Map())
    return this.atoms.push(atom) - 1
  }

  #alternatives(alternatives: readonly AST.Alternative[], multiline: boolean): Part {
    const whole: Part = { empty: 0, surelyEmpty: false, first: new Map(), last: new Map(), sure: new Set() }
    for (const { elements } of alternatives) {
      const part = elements.reduce(
        (before, element, at) => this.#concat(before, this.#element(element, multiline, at === 0)),
        nothing(),
      )
      whole.empty = many(whole.empty + part.empty)
      whole.surelyEmpty ||= part.surelyEmpty
      addWays(whole.first, part.first, 1)
      addWays(whole.last, part.last, 1)
      for (const position of part.sure) whole.sure.add(position)
    }
    return whole
  }

  #concat(a: Part, b: Part): Part {
    this.#join(a.last, b.first)
    const first = new Map(a.first)
    addWays(first, b.first, a.empty)
    const last = new Map(b.last)
    addWays(last, a.last, b.empty)
    const sure = new Set([...b.sure, ...(b.surelyEmpty ? a.sure : [])])
    return { empty: many(a.empty * b.empty), surelyEmpty: a.surelyEmpty && b.surelyEmpty, first, last, sure }
  }

  #join(last: Ways, first: Ways): void {
    for (const [from, ways] of last) addWays(this.follow[from]!, first, ways)
  }

  #element(element: AST.Element, multiline: boolean, leads: boolean): Part {
    switch (element.type) {
      case 'Group':
      case 'CapturingGroup':
        return this.#alternatives(element.alternatives, multiline)
      case 'Quantifier':
        return this.#repeated(element, multiline)
      case 'Backreference': {
        // What it repeats can be whatever the group can be.
        const [group, ...more] = [element.resolved].flat()
        if (!group || more.length > 0) throw new Error(`${element.raw} is ambiguous`)
        return this.#alternatives(group.alternatives, multiline)
      }
      case 'Assertion':
        return this.#assertion(element, multiline, leads)
      default:
        return this.#atom({ raw: element.raw })
    }
  }

  #atom(atom: Atom): Part {
    const position = this.#position(atom)
    const ways = new Map([[position, 1]])
    return { empty: 0, surelyEmpty: false, first: ways, last: new Map(ways), sure: new Set([position]) }
  }

  #assertion(assertion: AST.Assertion, multiline: boolean, leads: boolean): Part {
    const passed: Part = { ...nothing(), surelyEmpty: false }
    if (assertion.kind === 'word') return passed
    if (assertion.kind === 'lookahead') {
      const body = this.#alternatives(assertion.alternatives, multiline)
      for (const position of body.sure) this.matched.add(position)
      // Its end leads nowhere: what follows begins where it began.
      return { ...passed, first: body.first }
    }
    if (assertion.kind === 'start') {
      // Read as what stands before the line, which tells lines apart where that matters: at the beginning.
      if (!multiline) return this.#atom('start')
      return leads ? this.#alternativesOf(['start', { raw: String.raw`[\n\r\u2028\u2029]` }]) : passed
    }
    if (assertion.kind === 'end') return multiline ? passed : this.#atom('end')
    // A lookbehind runs backwards, which this automaton does not show.
    if (/[*+]|,\}/.test(assertion.raw)) throw new Error(`${assertion.raw} has no bound`)
    return passed
  }

  #alternativesOf(atoms: readonly Atom[]): Part {
    const whole = { ...nothing(), empty: 0, surelyEmpty: false }
    for (const atom of atoms) {
      const part = this.#atom(atom)
      addWays(whole.first, part.first, 1)
      addWays(whole.last, part.last, 1)
      for (const position of part.sure) whole.sure.add(position)
    }
    return whole
  }

  #repeated({ element, min, max }: AST.Quantifier, multiline: boolean): Part {
    const once = () => this.#element(element, multiline, false)
    let whole = nothing()
    for (let count = 0; count < min; count++) whole = this.#concat(whole, once())
    if (max - min >= unbounded) return this.#concat(whole, this.#star(once()))
    // (x(x)?)?, which is one way for each number of times.
    let rest = nothing()
    for (let count = min; count < max; count++) rest = orNothing(this.#concat(once(), rest))
    return this.#concat(whole, rest)
  }

  #star(once: Part): Part {
    this.#join(once.last, once.first)
    // A round that reads nothing is no round.
    return orNothing({ ...once, empty: 0 })
  }
}

function nothing(): Part {
  return { empty: 1, surelyEmpty: true, first: new Map(), last: new Map(), sure: new Set() }
}

function orNothing(part: Part): Part {
  return { ...part, empty: many(part.empty + 1), surelyEmpty: true }
}

/** Exact but for assertions inside a pattern, which count as passed, and for bounds, which count as none. */
export function backtracking({ source, flags }: Pick<RegExp, 'source' | 'flags'>): Backtracking {
  const parser = new RegExpParser()
  const [unicode, unicodeSets] = [flags.includes('u'), flags.includes('v')]
  const pattern = parser.parsePattern(source, 0, source.length, { unicode, unicodeSets })
  const automaton = new Automaton(pattern, flags.includes('y'), flags.includes('m'))
  const symbols = alphabet(pattern, automaton.atoms, flags)
  const { follow, matched } = automaton
  // Nothing is tried again once there is a match, but the search goes on behind it.
  const next = (from: number, symbol: Symbol) =>
    [...follow[from]!.keys()].filter((to) => symbol.readBy.has(to) && !matched.has(to))
  const nextOfSearch = (from: number, symbol: Symbol) =>
    [...follow[from]!.keys()].filter((to) => symbol.readBy.has(to))
  const components = loops(follow, matched)
  for (const component of components) {
    const pump = twoWays(component, follow, symbols, next)
    if (pump !== undefined) return { growth: 'exponential', pump }
  }
  for (const before of components) {
    for (const behind of components) {
      const between = before.has(0) ? nextOfSearch : next
      const pump = twoLoops(before, behind, symbols, next, between)
      if (pump !== undefined) return { growth: 'polynomial', pump }
    }
  }
  return { growth: 'linear' }
}

/** Characters that every atom of the pattern reads or refuses alike, as one of them. */
type Symbol = { text: string; readBy: Set<number> }
type Next = (from: number, symbol: Symbol) => number[]

function alphabet(pattern: AST.Pattern, atoms: readonly Atom[], flags: string): Symbol[] {
  const points = new Set<number>()
  // Latin and the marks and blanks beyond it whole, of the rest some of each block.
  for (let point = 0; point < 0x250; point++) points.add(point)
  for (let point = 0x2000; point < 0x2070; point++) points.add(point)
  for (let point = 0x250; point < 0x10000; point += 0x10) points.add(point)
  if (/[uv]/.test(flags)) for (const point of [0x10400, 0x1d7d8, 0x1f600, 0x20000]) points.add(point)
  const around = (value: number) => {
    for (const point of [value - 1, value, value + 1]) if (point >= 0 && point <= 0x10ffff) points.add(point)
  }
  visitRegExpAST(pattern, { onCharacterEnter: ({ value }) => around(value) })
  const own = flags.replaceAll(/[dgmy]/g, '')
  const raws = [...new Set(atoms.map((atom) => (typeof atom === 'string' ? atom : atom.raw)))]
  const tests = raws.map((raw) =>
    raw === 'start' || raw === 'end' ? /(?!)/ : new RegExp(`^(?:${raw})$`, own),
  )
  const byReaders = new Map<string, { text: string; raws: Set<string> }>()
  for (const point of points) {
    const text = String.fromCodePoint(point)
    const read = raws.filter((_, at) => tests[at]!.test(text))
    const key = read.join('\0')
    if (!byReaders.has(key)) byReaders.set(key, { text, raws: new Set(read) })
  }
  const ends = [
    { text: '', raws: new Set(['start']) },
    { text: '', raws: new Set(['end']) },
  ]
  return [...byReaders.values(), ...ends].map(({ text, raws: read }) => ({
    text,
    readBy: new Set(atoms.keys().filter((at) => at === 0 || read.has(rawOf(atoms[at]!)))),
  }))
}

function rawOf(atom: Atom): string {
  return typeof atom === 'string' ? atom : atom.raw
}

/** The positions that can be come back to, each with those that it shares its rounds with. */
function loops(follow: readonly Ways[], matched: ReadonlySet<number>): Set<number>[] {
  const reached = follow.map((_, from) => {
    const seen = new Set<number>()
    const open = matched.has(from) ? [] : [from]
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (const to of follow[at]!.keys()) {
        if (matched.has(to) || seen.has(to)) continue
        seen.add(to)
        open.push(to)
      }
    }
    return seen
  })
  const found: Set<number>[] = []
  for (const [at, seen] of reached.entries()) {
    if (!seen.has(at) || found.some((component) => component.has(at))) continue
    found.push(new Set([...seen].filter((other) => reached[other]!.has(at))))
  }
  return found
}

/** A text that leads from a position of the loop back to it in two ways. */
function twoWays(
  loop: ReadonlySet<number>,
  follow: readonly Ways[],
  symbols: readonly Symbol[],
  next: Next,
): string | undefined {
  for (const start of loop) {
    for (const [to, ways] of follow[start]!) {
      const symbol = symbols.find(({ readBy }) => readBy.has(to))
      if (loop.has(to) && ways > 1 && symbol) return symbol.text
    }
    const within: Next = (from, symbol) => next(from, symbol).filter((to) => loop.has(to))
    const pump = search(
      [start, start, 0],
      ([a, b, apart], symbol) =>
        within(a, symbol).flatMap((x) =>
          within(b, symbol).map((y): State => [x, y, apart || x !== y ? 1 : 0]),
        ),
      ([a, b, apart]) => apart === 1 && a === start && b === start,
      symbols,
    )
    if (pump !== undefined) return pump
  }
  return undefined
}

/** A text that both loops read, and that also leads from the one to the other. */
function twoLoops(
  before: ReadonlySet<number>,
  behind: ReadonlySet<number>,
  symbols: readonly Symbol[],
  next: Next,
  between: Next,
): string | undefined {
  for (const p of before) {
    for (const q of behind) {
      if (p === q) continue
      const pump = search(
        [p, p, q],
        ([a, b, c], symbol) => {
          const firsts = next(a, symbol).filter((to) => before.has(to))
          const thirds = next(c, symbol).filter((to) => behind.has(to))
          if (firsts.length === 0 || thirds.length === 0) return []
          const seconds = between(b, symbol)
          return firsts.flatMap((x) => seconds.flatMap((y) => thirds.map((z): State => [x, y, z])))
        },
        ([a, b, c]) => a === p && b === q && c === q,
        symbols,
      )
      if (pump !== undefined) return pump
    }
  }
  return undefined
}

type State = [number, number, number]

/** The text along a way from a state to one that is wanted, of at least one symbol. */
function search(
  start: State,
  step: (state: State, symbol: Symbol) => State[],
  wanted: (state: State) => boolean,
  symbols: readonly Symbol[],
): string | undefined {
  const seen = new Set<string>()
  let open: { state: State; text: string }[] = [{ state: start, text: '' }]
  while (open.length > 0) {
    const further: typeof open = []
    for (const { state, text } of open) {
      for (const symbol of symbols) {
        for (const to of step(state, symbol)) {
          if (wanted(to)) return text + symbol.text
          const key = to.join()
          if (seen.has(key)) continue
          seen.add(key)
          further.push({ state: to, text: text + symbol.text })
        }
      }
    }
    open = further
  }
  return undefined
}
