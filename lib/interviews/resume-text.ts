import mammoth from 'mammoth'
import { getDocumentProxy, getResolvedPDFJS } from 'unpdf'
import type { PDFPageProxy } from 'unpdf/pdfjs'
import { FinalError } from './lease.ts'
import { type ResumeType, resumeTypes } from './resume-type.ts'
import { openZip } from './zip.ts'

/** Characters of a résumé that are kept at the most: some 60 pages. */
export const longestResume = 200_000

/**
 * Bytes of XML that are read of a DOCX at the most: mammoth holds 250 times as much memory where every element is
 * empty.
 */
const maxXmlBytes = 4 * 1024 * 1024

const pdfStart = Buffer.from('%PDF-')
const zipStart = Buffer.from('PK\x03\x04')
/** Of files by Word before 2007, and of every encrypted one. */
const oleStart = Buffer.from('d0cf11e0a1b11ae1', 'hex')
const encryptedPackage = Buffer.from('EncryptedPackage', 'utf16le')
/** A PDF may have this much before it. */
const pdfLead = 1024

/**
 * The text of a résumé, tidied and cut at longestResume. Throws FinalError: `type_mismatch`, `encrypted`,
 * `unreadable`, `too_large` or `no_text`.
 */
export async function resumeText(bytes: Buffer, type: ResumeType): Promise<string> {
  const text = tidy(await readers[type](bytes))
  if (/[\p{L}\p{N}]/u.test(text)) return text
  throw new FinalError('no_text', 'The file holds no text: pages that are images cannot be read')
}

const readers: Record<ResumeType, (bytes: Buffer) => Promise<string> | string> = {
  [resumeTypes.pdf]: pdfText,
  [resumeTypes.docx]: docxText,
  [resumeTypes.txt]: plainText,
}

async function pdfText(bytes: Buffer): Promise<string> {
  const start = bytes.subarray(0, pdfLead + pdfStart.length)
  if (!start.includes(pdfStart)) throw otherType()
  // Outside what a damaged file is blamed for.
  await getResolvedPDFJS()
  try {
    return await pagesText(bytes)
  } catch (error) {
    if ((error as Error).name === 'PasswordException') throw encrypted(error)
    throw unreadable(error)
  }
}

async function pagesText(bytes: Buffer): Promise<string> {
  // A copy, which pdf.js takes over; it wants no Buffer. Its warnings quote the file.
  const pdf = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0 })
  try {
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
  } finally {
    await pdf.loadingTask.destroy()
  }
}

type Items = Awaited<ReturnType<PDFPageProxy['getTextContent']>>['items']

function linesOf(items: Items): string {
  return items.map((item) => ('str' in item ? item.str + (item.hasEOL ? '\n' : '') : '')).join('')
}

async function docxText(bytes: Buffer): Promise<string> {
  if (startsWith(bytes, oleStart)) throw bytes.includes(encryptedPackage) ? encrypted() : otherType()
  if (!startsWith(bytes, zipStart)) throw otherType()
  const zip = openZip(bytes, maxXmlBytes)
  const file = {
    exists: zip.exists,
    // It asks for nothing but XML when it is asked for nothing but text.
    read: async (name: string) => new TextDecoder().decode(await zip.read(name)),
  }
  // Its types do not name `file`: of its ways to be given a zip the only one that does not inflate without a bound.
  const input = { file } as unknown as Parameters<typeof mammoth.extractRawText>[0]
  try {
    return (await mammoth.extractRawText(input)).value
  } catch (error) {
    throw error instanceof FinalError ? error : unreadable(error)
  }
}

function plainText(bytes: Buffer): string {
  if ([pdfStart, zipStart, oleStart].some((start) => startsWith(bytes, start))) throw otherType()
  const bom = bytes.readUIntBE(0, Math.min(2, bytes.length))
  if (bom === 0xfffe) return new TextDecoder('utf-16le').decode(bytes)
  if (bom === 0xfeff) return new TextDecoder('utf-16be').decode(bytes)
  if (bytes.includes(0)) throw otherType()
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // What is not UTF-8 was written by Windows.
    return new TextDecoder('windows-1252').decode(bytes)
  }
}

function startsWith(bytes: Buffer, start: Buffer): boolean {
  return bytes.subarray(0, start.length).equals(start)
}

/** Lines without control characters and without blanks around them, with an empty one between paragraphs. */
function tidy(text: string): string {
  return text
    .replaceAll('\0', '')
    .replaceAll(/\r\n?|[\f\v\u2028\u2029]/g, '\n')
    .replaceAll(/[^\P{Cc}\n]/gu, ' ')
    .replaceAll(/[^\S\n]+/g, ' ')
    .replaceAll(/ ?\n ?/g, '\n')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()
    .slice(0, longestResume)
    .toWellFormed()
}

function otherType(): FinalError {
  return new FinalError('type_mismatch', 'The file is of another type than its upload was asked for')
}

function encrypted(cause?: unknown): FinalError {
  return new FinalError('encrypted', 'The file is encrypted', cause)
}

function unreadable(cause: unknown): FinalError {
  return new FinalError('unreadable', 'The file is damaged', cause)
}
