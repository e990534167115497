import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { type Block, confidentiality } from './assessment-document.ts'
import { filledLines } from './lines.ts'

type Document = PDFKit.PDFDocument
type Fonts = { regular: Buffer; bold: Buffer }

const margin = 56
const grey = '#555555'
const black = '#111111'

/**
 * A PDF of A4 pages, its text in DejaVu Sans: Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian and Georgian
 * show, Chinese, Japanese, Korean and the scripts of India do not. The same blocks give the same bytes.
 */
export async function assessmentPdf(blocks: readonly Block[], createdAt: Date): Promise<Uint8Array> {
  const [{ default: PDFDocument }, fonts] = await Promise.all([import('pdfkit'), loadFonts()])
  const title = blocks.find((block) => block.kind === 'title')?.text ?? ''
  const document = new PDFDocument({
    size: 'A4',
    margin,
    // As a text it would be a font of pdfkit's own, whose files are not in the bundle.
    font: fonts.regular as unknown as string,
    bufferPages: true,
    lang: 'en',
    info: { Title: printable(title), Creator: 'Insighta', Producer: 'Insighta', CreationDate: createdAt },
  })
  document.registerFont('regular', fonts.regular).registerFont('bold', fonts.bold)
  const bytes = buffer(document)
  for (const { text, style } of blocks.flatMap(paragraphsOf)) write(document, text, style)
  drawFooters(document)
  document.end()
  return bytes
}

/** What a block puts on the page, one below the other. */
function paragraphsOf(block: Block): { text: string; style: Style }[] {
  switch (block.kind) {
    case 'fact':
      return [{ text: `${block.name}: ${block.text}`, style: { gap: 2 } }]
    case 'item':
      return [{ text: `•  ${block.text}`, style: styles.item }]
    case 'quote':
      return [
        {
          text: `${block.source} (${block.reason})`,
          style: { size: 9, colour: grey, indent: 20, before: 3 },
        },
        { text: block.text, style: { size: 9, indent: 20, gap: 4 } },
      ]
    default:
      return [{ text: block.text, style: styles[block.kind] }]
  }
}

type Style = {
  bold?: boolean
  size?: number
  colour?: string
  /** Points, as all lengths of a PDF. */
  indent?: number
  before?: number
  gap?: number
}

const styles = {
  title: { bold: true, size: 20, gap: 10 },
  heading: { bold: true, size: 14, before: 10, gap: 5 },
  subheading: { bold: true, size: 11, before: 6, gap: 3 },
  paragraph: { gap: 6 },
  note: { size: 9, colour: grey, before: 6, gap: 4 },
  item: { indent: 10, gap: 3 },
} satisfies Record<string, Style>

function write(document: Document, text: string, style: Style): void {
  const shown = printable(text)
  if (shown === '') return
  const { bold = false, size = 10, colour = black, indent = 0, before = 0, gap = 0 } = style
  const x = margin + indent
  document.y += before
  document
    .font(bold ? 'bold' : 'regular')
    .fontSize(size)
    .fillColor(colour)
  const width = document.page.width - margin - x
  const oneLine = document.widthOfString(shown) <= width
  document.text(oneLine ? rightToLeft(shown) : shown, x, document.y, { width, lineGap: 2 })
  document.y += gap
}

const rtlWord = String.raw`[\p{Script=Arabic}\p{Script=Hebrew}][^\s]*`
const rtlWords = new RegExp(`${rtlWord}(?: +${rtlWord})*`, 'gu')

/**
 * One line with its Arabic and Hebrew words in the order of sight: pdfkit turns round each word with the blank
 * after it, not the words.
 */
function rightToLeft(line: string): string {
  return line.replaceAll(rtlWords, (words) => `${words.split(/ +/).reverse().join(' ')} `)
}

function drawFooters(document: Document): void {
  const { start, count } = document.bufferedPageRange()
  for (let page = start; page < start + count; page++) {
    document.switchToPage(page)
    // In the margin, where pdfkit would otherwise begin a new page.
    document.page.margins.bottom = 0
    const y = document.page.height - margin + 14
    const width = document.page.width - 2 * margin
    document.font('regular').fontSize(7).fillColor(grey)
    document.text(confidentiality, margin, y, { width: width - 60 })
    document.text(`${page + 1} of ${count}`, margin + width - 60, y, { width: 60, align: 'right' })
  }
}

/** Without control characters, which fonts draw as boxes. */
function printable(text: string): string {
  return filledLines(text)
    .map((line) => line.replaceAll(/\p{Cc}+/gu, ' '))
    .join('\n')
}

let loaded: Promise<Fonts> | undefined

function loadFonts(): Promise<Fonts> {
  loaded ??= readFonts()
  return loaded
}

async function readFonts(): Promise<Fonts> {
  const folder = fontFolder()
  const [regular, bold] = await Promise.all([
    readFile(join(folder, 'DejaVuSans.ttf')),
    readFile(join(folder, 'DejaVuSans-Bold.ttf')),
  ])
  return { regular, bold }
}

/** Beside the code in a bundle, else in the package. */
function fontFolder(): string {
  const bundled = join(import.meta.dirname, 'fonts')
  if (existsSync(bundled)) return bundled
  return join(createRequire(import.meta.url).resolve('dejavu-fonts-ttf/package.json'), '../ttf')
}
