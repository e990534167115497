import type { PDFPageProxy } from 'unpdf/pdfjs'
import {
  type Colour,
  colourOf,
  type HiddenKind,
  type HiddenTextCollector,
  lettersOf,
  looksAlike,
  tinyPoints,
  white,
} from './hidden-text.ts'

/** The numbers of pdf.js's operators, by name. */
export type Operators = Readonly<Record<string, number>>

type OperatorList = Awaited<ReturnType<PDFPageProxy['getOperatorList']>>
type Matrix = readonly [number, number, number, number, number, number]
type Box = { left: number; bottom: number; right: number; top: number }
/** What was painted; undefined where its colour, or exactly where it is, cannot be told. */
type Painted = { box: Box; colour: Colour | undefined }

type State = {
  matrix: Matrix
  fill: Colour | undefined
  alpha: number
  fontSize: number
  /** 3: neither filled nor outlined. */
  renderMode: number
}

const identity: Matrix = [1, 0, 0, 1, 0, 0]
/** Neither filled nor outlined, and the same as a part of the clip. */
const invisibleModes = new Set([3, 7])
const images = [
  'paintImageXObject',
  'paintInlineImageXObject',
  'paintInlineImageXObjectGroup',
  'paintImageXObjectRepeat',
  'paintImageMaskXObject',
  'paintImageMaskXObjectGroup',
  'paintImageMaskXObjectRepeat',
  'paintSolidColorImageMask',
]
const fills = ['fill', 'eoFill', 'fillStroke', 'eoFillStroke', 'closeFillStroke', 'closeEOFillStroke']

/**
 * Collects the text of a page that is not seen: drawn invisibly, in the colour of what lies below it, too small, or
 * beside the page. A page of pictures whose whole text is invisible is a scan that was read by a program: nothing
 * of it is hidden.
 */
export async function collectHiddenText(
  page: PDFPageProxy,
  operators: Operators,
  hasImages: boolean,
  collector: HiddenTextCollector,
): Promise<void> {
  const list = await page.getOperatorList()
  const found = new PageWalk(operators, page.view as number[]).walk(list)
  const isScan = found.visible === 0 && (found.hasImages || hasImages)
  for (const { kind, text } of found.hidden) if (!(isScan && kind === 'invisible')) collector.add(kind, text)
  collector.endLine()
}

class PageWalk {
  readonly #names: ReadonlyMap<number, string>
  readonly #view: Box
  #state: State = { matrix: identity, fill: [0, 0, 0], alpha: 1, fontSize: 0, renderMode: 0 }
  readonly #stack: State[] = []
  #text: Matrix = identity
  #line: Matrix = identity
  #leading = 0
  readonly #painted: Painted[] = []
  readonly #hidden: { kind: HiddenKind; text: string }[] = []
  #visible = 0
  #hasImages = false

  constructor(operators: Operators, [left = 0, bottom = 0, right = 0, top = 0]: readonly number[]) {
    this.#names = new Map(Object.entries(operators).map(([name, number]) => [number, name]))
    this.#view = { left, bottom, right, top }
  }

  walk({ fnArray, argsArray }: OperatorList) {
    for (const [index, number] of fnArray.entries()) {
      this.#step(this.#names.get(number) ?? '', (argsArray[index] ?? []) as unknown[])
    }
    return { hidden: this.#hidden, visible: this.#visible, hasImages: this.#hasImages }
  }

  #step(name: string, args: unknown[]): void {
    const state = this.#state
    switch (name) {
      case 'save':
        this.#push()
        break
      case 'restore':
      case 'paintFormXObjectEnd':
        this.#state = this.#stack.pop() ?? state
        break
      case 'paintFormXObjectBegin':
        this.#push()
        if (args[0]) this.#transform(matrixOf(args[0]))
        break
      case 'transform':
        this.#transform(matrixOf(args))
        break
      case 'setFillRGBColor':
        state.fill = colourOf(String(args[0]))
        break
      case 'setFillColorN':
      case 'setFillTransparent':
        state.fill = undefined
        break
      case 'setGState':
        for (const [key, value] of args[0] as [string, unknown][])
          if (key === 'ca') state.alpha = Number(value)
        break
      case 'setTextRenderingMode':
        state.renderMode = Number(args[0])
        break
      case 'setFont':
        state.fontSize = Math.abs(Number(args[1]))
        break
      case 'beginText':
        this.#text = this.#line = identity
        break
      case 'setTextMatrix':
        this.#text = this.#line = matrixOf(args[0])
        break
      case 'setLeading':
        this.#leading = Number(args[0])
        break
      case 'setLeadingMoveText':
        this.#leading = -Number(args[1])
        this.#moveText(Number(args[0]), Number(args[1]))
        break
      case 'moveText':
        this.#moveText(Number(args[0]), Number(args[1]))
        break
      case 'nextLine':
        this.#moveText(0, -this.#leading)
        break
      case 'showText':
      case 'showSpacedText':
        this.#show(args[0])
        break
      case 'nextLineShowText':
        this.#moveText(0, -this.#leading)
        this.#show(args[0])
        break
      case 'constructPath':
        this.#path(args)
        break
      case 'shadingFill':
        this.#painted.push({ box: this.#view, colour: undefined })
        break
      default:
        if (images.includes(name)) this.#image()
    }
  }

  #push(): void {
    this.#stack.push({ ...this.#state })
  }

  #transform(by: Matrix): void {
    this.#state.matrix = product(this.#state.matrix, by)
  }

  #moveText(x: number, y: number): void {
    this.#text = this.#line = product(this.#line, [1, 0, 0, 1, x, y])
  }

  #image(): void {
    this.#hasImages = true
    const box = placed(this.#state.matrix, { left: 0, bottom: 0, right: 1, top: 1 })
    this.#painted.push({ box, colour: undefined })
  }

  #path([operator, data, bounds]: unknown[]): void {
    const { matrix, fill, alpha } = this.#state
    if (!fills.includes(this.#names.get(Number(operator)) ?? '') || alpha === 0 || !bounds) return
    const [left = 0, bottom = 0, right = 0, top = 0] = Object.values(bounds as object) as number[]
    const colour = alpha === 1 && isRectangle(data) ? fill : undefined
    this.#painted.push({ box: placed(matrix, { left, bottom, right, top }), colour })
  }

  #show(glyphs: unknown): void {
    const text = textOf(glyphs)
    const characters = lettersOf(text)
    if (characters === 0) return
    const kind = this.#hiddenBy()
    if (kind) this.#hidden.push({ kind, text: `${text} ` })
    else this.#visible += characters
  }

  #hiddenBy(): HiddenKind | undefined {
    const { matrix, fill, alpha, fontSize, renderMode } = this.#state
    if (invisibleModes.has(renderMode) || alpha === 0) return 'invisible'
    const onPage = product(matrix, this.#text)
    if (fontSize * Math.hypot(onPage[2], onPage[3]) < tinyPoints) return 'tiny'
    const [x, y] = [onPage[4], onPage[5]]
    if (x > this.#view.right || y > this.#view.top || y < this.#view.bottom) return 'off_page'
    // Outlines have a colour of their own.
    const below = this.#painted.findLast(({ box }) => holds(box, x, y + fontSize / 4))
    const behind = below ? below.colour : white
    return renderMode === 0 && fill && behind && looksAlike(fill, behind) ? 'background_colour' : undefined
  }
}

/** What glyphs stand for; numbers between them are gaps. */
function textOf(glyphs: unknown): string {
  if (!Array.isArray(glyphs)) return ''
  return glyphs
    .map((glyph: { unicode?: unknown } | null) => (typeof glyph?.unicode === 'string' ? glyph.unicode : ''))
    .join('')
}

/** Whether pdf.js's path (0 begins, 1 draws a line, 2 and 3 a curve, 4 closes) is one rectangle along the axes. */
function isRectangle(data: unknown): boolean {
  const [path] = Array.isArray(data) ? (data as unknown[]) : []
  if (!path) return false
  const numbers = Object.values(path as object) as number[]
  // Four or five points of three numbers, and the end.
  if (numbers.length > 16) return false
  const [xs, ys] = [new Set<number>(), new Set<number>()]
  for (let at = 0; at < numbers.length; at += numbers[at] === 4 ? 1 : 3) {
    const operator = numbers[at]!
    if (operator === 2 || operator === 3) return false
    if (operator === 4) continue
    xs.add(numbers[at + 1]!)
    ys.add(numbers[at + 2]!)
  }
  return xs.size === 2 && ys.size === 2
}

function matrixOf(value: unknown): Matrix {
  const numbers = Object.values(value as object) as number[]
  return numbers.length === 6 && numbers.every(Number.isFinite) ? (numbers as unknown as Matrix) : identity
}

/** First `by`, then `matrix`. */
function product(matrix: Matrix, by: Matrix): Matrix {
  const [a, b, c, d, e, f] = matrix
  return [
    a * by[0] + c * by[1],
    b * by[0] + d * by[1],
    a * by[2] + c * by[3],
    b * by[2] + d * by[3],
    a * by[4] + c * by[5] + e,
    b * by[4] + d * by[5] + f,
  ]
}

function placed([a, b, c, d, e, f]: Matrix, { left, bottom, right, top }: Box): Box {
  const corners = [
    [left, bottom],
    [right, bottom],
    [left, top],
    [right, top],
  ].map(([x, y]) => [a * x! + c * y! + e, b * x! + d * y! + f] as const)
  const xs = corners.map(([x]) => x)
  const ys = corners.map(([, y]) => y)
  return { left: Math.min(...xs), right: Math.max(...xs), bottom: Math.min(...ys), top: Math.max(...ys) }
}

function holds({ left, right, bottom, top }: Box, x: number, y: number): boolean {
  return x >= left && x <= right && y >= bottom && y <= top
}
