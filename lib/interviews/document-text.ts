import type { PDFDocumentProxy, PDFPageProxy } from 'unpdf/pdfjs'
import { oleStart, otherType, pdfStart, startsWith, zipStart } from './document-kinds.ts'
import { hiddenInDocx } from './docx-hidden-text.ts'
import { FinalError } from './failure.ts'
import { type HiddenText, HiddenTextCollector } from './hidden-text.ts'
import { collectHiddenText, type Operators } from './pdf-hidden-text.ts'
import { longestResume, type ResumeType, resumeTypes } from './resume-type.ts'
import { openZip } from './zip.ts'

export type DocumentType = Exclude<ResumeType, typeof resumeTypes.txt>

/** What a file says, and, as a second step that may take longer and fail, what of that is hidden. */
export type DocumentText = { text: string; findHidden(): Promise<HiddenText> }

/**
 * At most so many bytes of XML are read of a DOCX: mammoth holds 250 times as much memory where every element is
 * empty.
 */
const maxXmlBytes = 4 * 1024 * 1024
/** No résumé has as many. */
const maxPages = 1000
/** Pages in which hidden text is looked for: drawing instructions take ten times as long to read as text. */
const checkedPages = 50
/** Of an image that is looked at to know what lies below a text: a larger one would take seconds. */
const maxPixels = 4_000_000

const encryptedPackage = Buffer.from('EncryptedPackage', 'utf16le')
/** A PDF may have this much before it. */
const pdfLead = 1024

/**
 * Reads a PDF or a DOCX, as long as it takes and with the memory that it takes: to be called where that is bounded.
 * Throws FinalError: `type_mismatch`, `encrypted`, `unreadable` or `too_large`.
 */
export function openDocument(bytes: Buffer, type: DocumentType): Promise<DocumentText> {
  return type === resumeTypes.pdf ? openPdf(bytes) : openDocx(bytes)
}

async function openPdf(bytes: Buffer): Promise<DocumentText> {
  const start = bytes.subarray(0, pdfLead + pdfStart.length)
  if (!start.includes(pdfStart)) throw otherType()
  // A reader reads one file: it loads what that needs. Outside what a damaged file is blamed for.
  const { getDocumentProxy, getResolvedPDFJS } = await import('unpdf')
  const { OPS } = await getResolvedPDFJS()
  // A stream's own dictionary is never compressed.
  const hasImages = /\/Subtype\s{0,10}\/Image/.test(bytes.toString('latin1'))
  try {
    // A copy, which pdf.js takes over; it wants no Buffer. Its warnings quote the file.
    const pdf = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0, maxImageSize: maxPixels })
    return { text: await pagesText(pdf), findHidden: () => hiddenInPdf(pdf, OPS as Operators, hasImages) }
  } catch (error) {
    if (error instanceof FinalError) throw error
    if ((error as Error).name === 'PasswordException') throw encrypted(error)
    throw unreadable(error)
  }
}

async function pagesText(pdf: PDFDocumentProxy): Promise<string> {
  if (pdf.numPages > maxPages) throw new FinalError('too_large', 'The file has more than 1,000 pages')
  let text = ''
  for (let number = 1; number <= pdf.numPages && text.length < longestResume; number++) {
    const page = await pdf.getPage(number)
    // Read to its end, also where that is not kept: cancelled, pdf.js goes on and fails where nobody can catch it.
    for await (const { items } of page.streamTextContent()) {
      if (text.length < longestResume) text += linesOf(items)
    }
    page.cleanup()
    text += '\n\n'
  }
  return text
}

type Items = Awaited<ReturnType<PDFPageProxy['getTextContent']>>['items']

function linesOf(items: Items): string {
  return items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : '')).join('')
}

async function hiddenInPdf(
  pdf: PDFDocumentProxy,
  operators: Operators,
  hasImages: boolean,
): Promise<HiddenText> {
  const collector = new HiddenTextCollector()
  for (let number = 1; number <= Math.min(pdf.numPages, checkedPages); number++) {
    const page = await pdf.getPage(number)
    await collectHiddenText(page, operators, hasImages, collector)
    page.cleanup()
  }
  return collector.result
}

async function openDocx(bytes: Buffer): Promise<DocumentText> {
  if (startsWith(bytes, oleStart)) throw bytes.includes(encryptedPackage) ? encrypted() : otherType()
  if (!startsWith(bytes, zipStart)) throw otherType()
  const { default: mammoth } = await import('mammoth')
  const zip = openZip(bytes, maxXmlBytes)
  let xml = ''
  const file = {
    exists: zip.exists,
    // It asks for nothing but XML when it is asked for nothing but text.
    async read(name: string) {
      const text = new TextDecoder().decode(await zip.read(name))
      if (name === 'word/document.xml') xml = text
      return text
    },
  }
  // Its types do not name `file`: of its ways to be given a zip the only one that does not inflate without a bound.
  const input = { file } as unknown as Parameters<typeof mammoth.extractRawText>[0]
  try {
    const text = (await mammoth.extractRawText(input)).value
    return { text, findHidden: async () => hiddenInDocx(xml) }
  } catch (error) {
    throw error instanceof FinalError ? error : unreadable(error)
  }
}

function encrypted(cause?: unknown): FinalError {
  return new FinalError('encrypted', 'The file is encrypted', cause)
}

function unreadable(cause: unknown): FinalError {
  return new FinalError('unreadable', 'The file is damaged', cause)
}
