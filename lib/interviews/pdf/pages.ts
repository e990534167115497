import { buffer } from 'node:stream/consumers'
import type { Font } from 'fontkit'
import PDFDocument from 'pdfkit'
import { filledLines } from '../lines.ts'
import { chineseFirst, clustersOf, type HanFonts, hanFontsOf } from './clusters.ts'
import { boldFonts, type FontName, Fonts } from './fonts.ts'
import { type Line, Paragraph, type Run } from './lines.ts'
import type { Shaped } from './shape.ts'

/** Lengths in points, as all of a PDF. */
export type Style = {
  bold?: boolean
  size?: number
  colour?: string
  indent?: number
  before?: number
  gap?: number
  /** Space that has to be left below it on its page; otherwise it begins the next one. */
  keep?: number
}

export type PageOptions = {
  title: string
  createdAt: Date
  /** Of the whole text; decides on the shapes of Chinese characters where a text alone does not. */
  sample: string
  /** Stands at the foot of each page, beside its number. */
  footer: string
}

const margin = 56
const lineGap = 2
const black = '#111111'
const grey = '#555555'
/** Of a heading in a font that has no bold form: how much is drawn around its glyphs, in ems. */
const strokeOfBold = 0.024

/** A PDF of A4 pages in all scripts that its fonts have. The same texts give the same bytes. */
export class Pages {
  readonly #document: PDFKit.PDFDocument
  readonly #fonts: Fonts
  readonly #bytes: Promise<Buffer>
  readonly #han: HanFonts
  readonly #footer: string
  readonly #drawn = new Map<FontName, DrawnFont>()

  private constructor(fonts: Fonts, { title, createdAt, sample, footer }: PageOptions) {
    this.#fonts = fonts
    this.#footer = footer
    this.#han = hanFontsOf(sample) ?? chineseFirst
    const sans = new DrawnFont(fonts.get('sans'))
    this.#drawn.set('sans', sans)
    this.#document = new PDFDocument({
      size: 'A4',
      margin,
      // As a text it would be a font of pdfkit's own, whose files are not in the bundle.
      font: sans.font as string,
      bufferPages: true,
      lang: 'en',
      info: {
        Title: printable(title).join(' '),
        Creator: 'Insighta',
        Producer: 'Insighta',
        CreationDate: createdAt,
      },
    })
    this.#document.registerFont('sans', sans.font as string)
    this.#bytes = buffer(this.#document)
  }

  static async begin(options: PageOptions): Promise<Pages> {
    const fonts = new Fonts()
    await Promise.all([fonts.open('sans'), fonts.open('sansBold')])
    return new Pages(fonts, options)
  }

  /** Writes the lines of a text below what is there, on new pages as needed. */
  async write(text: string, style: Style = {}): Promise<void> {
    const { indent = 0, before = 0, gap = 0, keep = 0 } = style
    const width = this.#document.page.width - 2 * margin - indent
    const lines = await this.#lines(text, style, width)
    if (lines.length === 0) return
    this.#document.y += before
    const height = lines.reduce((sum, line) => sum + this.#height(line, style), 0)
    if (keep > 0 && this.#document.y + height + keep > this.#bottom) this.#addPage()
    for (const line of lines) {
      if (this.#document.y + this.#height(line, style) > this.#bottom) this.#addPage()
      const x = margin + indent + (line.rightToLeft ? width - line.width : 0)
      this.#draw(line, x, this.#document.y, style)
      this.#document.y += this.#height(line, style)
    }
    this.#document.y += gap
  }

  async end(): Promise<Uint8Array> {
    const { start, count } = this.#document.bufferedPageRange()
    const style = { size: 7, colour: grey }
    const width = this.#document.page.width - 2 * margin
    for (let page = start; page < start + count; page++) {
      this.#document.switchToPage(page)
      let y = this.#document.page.height - margin + 14
      for (const line of await this.#lines(this.#footer, style, width - 60)) {
        this.#draw(line, margin, y, style)
        y += this.#height(line, style)
      }
      const [number] = await this.#lines(`${page + 1} of ${count}`, style, 60)
      if (number)
        this.#draw(number, margin + width - number.width, this.#document.page.height - margin + 14, style)
    }
    this.#document.end()
    return this.#bytes
  }

  get #bottom(): number {
    return this.#document.page.height - margin
  }

  #addPage(): void {
    this.#document.addPage()
    this.#document.y = margin
  }

  async #lines(text: string, { bold = false, size = 10 }: Style, width: number): Promise<Line[]> {
    const han = hanFontsOf(text) ?? this.#han
    const lines: Line[] = []
    for (const line of printable(text)) {
      const clusters = await clustersOf(line, this.#fonts, { bold, han })
      lines.push(...new Paragraph(clusters, this.#fonts, size).lines(width))
    }
    return lines
  }

  #height(line: Line, { size = 10 }: Style): number {
    return this.#ascent(line, size) - this.#lowest(line, size) + lineGap
  }

  #ascent(line: Line, size: number): number {
    return Math.max(...this.#fontsOf(line).map((font) => (font.ascent / font.unitsPerEm) * size))
  }

  #lowest(line: Line, size: number): number {
    return Math.min(...this.#fontsOf(line).map((font) => (font.descent / font.unitsPerEm) * size))
  }

  /** With that of most lines, so that these are as high as each other. */
  #fontsOf(line: Line): Font[] {
    return ['sans' as const, ...line.runs.map(({ font }) => font)].map((name) => this.#fonts.get(name))
  }

  #draw(line: Line, left: number, top: number, { bold = false, size = 10, colour = black }: Style): void {
    const baseline = top + this.#ascent(line, size)
    let x = left
    const placed = line.runs.map((run) => {
      const at = { run, x }
      x += run.width
      return at
    })
    // In the order in which they are read, which is that of a copied text.
    for (const { run, x } of placed.sort((one, other) => one.run.start - other.run.start)) {
      // A reader that takes words from right to left together with those before them may turn both round.
      const apart = run.rightToLeft && !line.rightToLeft
      const says = !run.rightToLeft && textIsAnother(run) ? { actual: run.text } : undefined
      if (apart || says) this.#document.markContent('Span', says)
      this.#drawRun(run, x, baseline, { size, colour, stroked: bold && !isBold(run.font) })
      if (apart || says) this.#document.endMarkedContent()
    }
  }

  #drawRun(
    run: Run,
    x: number,
    y: number,
    { size, colour, stroked }: { size: number; colour: string; stroked: boolean },
  ): void {
    if (run.glyphs.length === 0) return
    this.#fontFor(run.font).shaped = run
    const document = this.#document.font(run.font).fontSize(size).fillColor(colour)
    if (stroked) document.strokeColor(colour).lineWidth(size * strokeOfBold)
    const at = document.y
    document.text(run.text, x, y, {
      lineBreak: false,
      baseline: 'alphabetic',
      fill: true,
      stroke: stroked,
      // With a list pdfkit asks the font for each text, and keeps no answers for later ones.
      features: [],
    })
    document.y = at
  }

  #fontFor(name: FontName): DrawnFont {
    const drawn = this.#drawn.get(name) ?? new DrawnFont(this.#fonts.get(name))
    if (!this.#drawn.has(name)) this.#document.registerFont(name, drawn.font as string)
    this.#drawn.set(name, drawn)
    return drawn
  }
}

/** A font as pdfkit takes it, which knows the glyphs of the next text: pdfkit shapes without a direction. */
class DrawnFont {
  shaped: Shaped = { glyphs: [], positions: [], advance: 0 }
  readonly font: unknown

  constructor(font: Font) {
    const layout = () => {
      const { glyphs, positions, advance } = this.shaped
      // pdfkit scales the positions in place.
      return { glyphs, positions: positions.map((position) => ({ ...position })), advanceWidth: advance }
    }
    this.font = Object.create(font, { layout: { value: layout } })
  }
}

/**
 * Whether the glyphs stand for another text than they are of, as where a vowel sign is drawn before its consonant.
 * For what runs from right to left that is always so, and readers turn it round by themselves.
 */
function textIsAnother({ glyphs, text }: Run): boolean {
  return String.fromCodePoint(...glyphs.flatMap(({ codePoints }) => codePoints)) !== text
}

function isBold(font: FontName): boolean {
  return Object.values(boldFonts).includes(font)
}

/** The lines of a text without control characters, which fonts draw as boxes. */
function printable(text: string): string[] {
  const lines = text.toWellFormed().replaceAll(/[\u0085\u2028\u2029\v\f]/g, '\n')
  return filledLines(lines).map((line) => line.replaceAll(/\p{Cc}+/gu, ' '))
}
