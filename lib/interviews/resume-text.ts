import { isDocument, otherType } from './document-kinds.ts'
import { readDocument } from './document-process.ts'
import { FinalError } from './failure.ts'
import { type HiddenText, nothingHidden } from './hidden-text.ts'
import { plainText } from './plain-text.ts'
import { longestResume, type ResumeType, resumeTypes } from './resume-type.ts'

/** `hidden` is undefined where the file took too much to be looked through. */
export type ResumeText = { text: string; hidden: HiddenText | undefined }

export type ResumeTextOptions = {
  /** Of a plain text, as it was said with the upload. */
  encoding?: string | undefined
  /** Milliseconds for a PDF or a DOCX. */
  timeoutMs: number
  /** Bytes of memory for one. */
  maxBytes?: number
}

/**
 * The text of a résumé, tidied and cut at longestResume. Throws FinalError: `type_mismatch`, `encrypted`,
 * `unreadable`, `too_large`, `rtf`, `unknown_encoding` or `no_text`.
 */
export async function resumeText(
  bytes: Buffer,
  type: ResumeType,
  options: ResumeTextOptions,
): Promise<ResumeText> {
  const { text, hidden } = await read(bytes, type, options)
  const tidied = tidy(text)
  if (/[\p{L}\p{N}]/u.test(tidied)) return { text: tidied, hidden }
  throw withoutText(type, bytes)
}

function read(bytes: Buffer, type: ResumeType, options: ResumeTextOptions): Promise<ResumeText> | ResumeText {
  if (isRtf(bytes)) throw new FinalError('rtf', 'The file is RTF, which is not read: save it as PDF or DOCX')
  if (type !== resumeTypes.txt) return readDocument(bytes, type, options)
  if (isDocument(bytes)) throw otherType()
  return { text: plainText(bytes, options.encoding), hidden: nothingHidden }
}

/** Word opens it by any extension, and so people send it under any. */
function isRtf(bytes: Buffer): boolean {
  const start = bytes.subarray(0, 100).toString('latin1')
  return /^(?:\u00ef\u00bb\u00bf)?\s{0,50}\{\\rtf/.test(start)
}

function withoutText(type: ResumeType, bytes: Buffer): FinalError {
  const isBlank = type === resumeTypes.txt
  const images = type === resumeTypes.pdf && bytes.includes('/Image')
  if (images)
    return new FinalError('no_text', 'The pages are images without text: save the document itself as PDF')
  return new FinalError('no_text', isBlank ? 'The file is blank' : 'The file holds no text')
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
