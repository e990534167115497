import { FinalError } from './failure.ts'

export const pdfStart = Buffer.from('%PDF-')
export const zipStart = Buffer.from('PK\x03\x04')
/** Of files by Word before 2007, and of every encrypted one. */
export const oleStart = Buffer.from('d0cf11e0a1b11ae1', 'hex')

/** Whether a file is of a kind that is no plain text, by how it begins. */
export function isDocument(bytes: Buffer): boolean {
  return [pdfStart, zipStart, oleStart].some((start) => startsWith(bytes, start))
}

export function startsWith(bytes: Buffer, start: Buffer): boolean {
  return bytes.subarray(0, start.length).equals(start)
}

export function otherType(): FinalError {
  return new FinalError('type_mismatch', 'The file is of another type than its upload was asked for')
}
