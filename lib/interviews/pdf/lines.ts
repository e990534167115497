import { lineBreaks } from './breaks.ts'
import type { Cluster } from './clusters.ts'
import { type Direction, directionOf } from './direction.ts'
import type { FontName, Fonts } from './fonts.ts'
import { type ScriptName, scriptOf } from './scripts.ts'
import { type Shaped, shape } from './shape.ts'

/** Text of one font, script and direction. */
export type Run = Shaped & {
  text: string
  font: FontName
  rightToLeft: boolean
  width: number
  start: number
}

/** Runs from left to right. Widths are points; `start` and `end` count UTF-16 units of the paragraph. */
export type Line = { runs: Run[]; width: number; rightToLeft: boolean; start: number; end: number }

/** A cluster with the indices of the paragraph's UTF-16 units that it covers. */
type Placed = Cluster & { start: number; end: number }

/** Wraps a paragraph: breaks the text in its logical order, then puts each line into its visual one. */
export class Paragraph {
  readonly text: string
  readonly #clusters: Placed[] = []
  readonly #direction: Direction
  readonly #fonts: Fonts
  readonly #size: number
  readonly #shaped = new Map<string, Shaped>()

  /** The clusters of a text without line breaks; a size in points. */
  constructor(clusters: readonly Cluster[], fonts: Fonts, size: number) {
    let start = 0
    for (const cluster of clusters) {
      const end = start + cluster.text.length
      this.#clusters.push({ ...cluster, start, end })
      start = end
    }
    this.text = clusters.map(({ text }) => text).join('')
    this.#direction = directionOf(this.text)
    this.#fonts = fonts
    this.#size = size
  }

  /** Lines of at most `width` points each, wherever a single cluster is not wider. */
  lines(width: number): Line[] {
    const ends = new Set(this.#clusters.map(({ end }) => end))
    const breaks = lineBreaks(this.text).filter((index) => ends.has(index))
    const lines: Line[] = []
    let next = 0
    for (let start = 0; start < this.text.length; ) {
      while (breaks[next]! <= start) next++
      const whole = this.#fitting(start, breaks.slice(next, next + mostPieces), width)
      const end = whole ?? this.#fittingClusters(start, breaks[next]!, width)
      const line = this.#line(start, end)
      if (line.runs.length > 0) lines.push(line)
      start = end
    }
    return lines
  }

  /** The last of the ends at which a line from `start` fits; undefined if none does. */
  #fitting(start: number, ends: readonly number[], width: number): number | undefined {
    let estimate = 0
    let count = 0
    for (let from = start; count < ends.length; count++) {
      const end = ends[count]!
      if (end - from > longestPiece) break
      if (estimate + this.#line(from, end).width > width) break
      estimate += this.#width(from, end)
      from = end
    }
    // Kerning and joined letters make the whole line differ a little from the sum of its pieces.
    while (count > 0 && this.#line(start, ends[count - 1]!).width > width) count--
    return ends[count - 1]
  }

  /** The same inside a word that is too long for a line. At least one cluster, however wide. */
  #fittingClusters(start: number, before: number, width: number): number {
    const first = this.#indexAt(start)
    const endOf = (count: number) => this.#clusters[first + count - 1]!.end
    const all = this.#indexAt(before) - first
    let estimate = 0
    let guess = 0
    for (let from = start; guess < all && estimate <= width; guess++) {
      estimate += this.#width(from, endOf(guess + 1))
      from = endOf(guess + 1)
    }
    let least = 1
    // Letters that join are narrower than they are alone.
    let most = Math.min(all, 2 * guess)
    while (least < most) {
      const middle = Math.ceil((least + most) / 2)
      if (this.#line(start, endOf(middle)).width <= width) least = middle
      else most = middle - 1
    }
    while (least > 1 && this.#line(start, endOf(least)).width > width) least--
    return endOf(least)
  }

  /** The line without the blanks at its end. */
  #line(start: number, end: number): Line {
    const trimmed = start + this.text.slice(start, end).trimEnd().length
    const runs = this.#runs(start, trimmed)
    const { rightToLeft } = this.#direction
    return { runs, width: widthOf(runs), rightToLeft, start, end }
  }

  /** With the blanks. */
  #width(start: number, end: number): number {
    return widthOf(this.#runs(start, end))
  }

  #runs(start: number, end: number): Run[] {
    const runOf = new Map<number, Logical>()
    let last: Logical | undefined
    for (let index = this.#indexAt(start); index < this.#clusters.length; index++) {
      const cluster = this.#clusters[index]!
      if (cluster.end > end) break
      const level = this.#direction.levels[cluster.start]!
      const script = scriptOf(cluster.text)
      const goesOn = last && last.font === cluster.font && last.level === level && fits(last.script, script)
      if (last && goesOn) {
        last.text += cluster.text
        last.script ??= script
      } else {
        last = { text: cluster.text, font: cluster.font, level, script, start: cluster.start }
      }
      for (let unit = cluster.start; unit < cluster.end; unit++) runOf.set(unit, last)
    }
    const ordered = new Set(this.#direction.visualOrder(start, end).map((unit) => runOf.get(unit)!))
    return [...ordered].map((run) => this.#shape(run))
  }

  #shape({ text, font, level, start }: Logical): Run {
    const rightToLeft = (level & 1) === 1
    const key = `${font} ${rightToLeft} ${text}`
    const opened = this.#fonts.get(font)
    const shaped = this.#shaped.get(key) ?? shape(text, opened, rightToLeft)
    if (text.length <= longestKept) this.#shaped.set(key, shaped)
    return {
      ...shaped,
      text,
      font,
      rightToLeft,
      start,
      width: (shaped.advance / opened.unitsPerEm) * this.#size,
    }
  }

  /** The index of the cluster that begins there. */
  #indexAt(start: number): number {
    let low = 0
    let high = this.#clusters.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#clusters[middle]!.start < start) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Characters of a word that could stand in one line; not all of a longer one is shaped for every line. */
const longestPiece = 256

/** Pieces that are tried for one line; no line of a page holds as many. */
const mostPieces = 300

/** Characters of a run whose glyphs are kept: words come again, lines do not. */
const longestKept = 24

type Logical = { text: string; font: FontName; level: number; script: ScriptName | undefined; start: number }

/** What several scripts share goes with any of them. */
function fits(one: ScriptName | undefined, other: ScriptName | undefined): boolean {
  return one === undefined || other === undefined || one === other
}

function widthOf(runs: readonly Run[]): number {
  return runs.reduce((sum, run) => sum + run.width, 0)
}
