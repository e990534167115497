/*
 * What people upload instead of CSV, told by how a file begins. Each beginning of the first list stands for no text
 * that a CSV could begin with; those of the second are only looked at where the header lacks our columns.
 */

type Beginning = { what: string; bytes: string; at?: number }

const binary: readonly Beginning[] = [
  { what: 'a gzip file: unpack it first', bytes: '\x1f\x8b' },
  { what: 'an Excel workbook (.xls): save it as CSV', bytes: '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' },
  { what: 'a PDF', bytes: '%PDF-' },
  { what: 'a Zstandard file: unpack it first', bytes: '\x28\xb5\x2f\xfd' },
  { what: 'an xz file: unpack it first', bytes: '\xfd7zXZ\0' },
  { what: 'a bzip2 file: unpack it first', bytes: 'BZh91AY&SY' },
  { what: 'a 7-Zip archive: unpack it first', bytes: '7z\xbc\xaf\x27\x1c' },
  { what: 'a RAR archive: unpack it first', bytes: 'Rar!\x1a\x07' },
  { what: 'a tar archive: unpack it first', bytes: 'ustar', at: 257 },
  { what: 'a Parquet file', bytes: 'PAR1' },
  { what: 'an Avro file', bytes: 'Obj\x01' },
  { what: 'an SQLite database', bytes: 'SQLite format 3\0' },
  { what: 'a PNG image', bytes: '\x89PNG\r\n' },
  { what: 'a JPEG image', bytes: '\xff\xd8\xff' },
  { what: 'a GIF image', bytes: 'GIF8' },
]

/** What kind of file, other than text, the head of one shows; undefined where it may be text. */
export function binaryKind(head: Uint8Array): string | undefined {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, 64 * 1024)).toString('latin1')
  if (text.startsWith('PK\x03\x04')) return zipKind(text)
  return binary.find(({ bytes, at = 0 }) => text.startsWith(bytes, at))?.what
}

/** Office files are zip archives; the names of their parts stand uncompressed at their beginning. */
function zipKind(text: string): string {
  if (text.includes('xl/')) return 'an Excel workbook (.xlsx): save it as CSV'
  if (text.includes('word/')) return 'a Word document'
  if (text.includes('opendocument.spreadsheet')) return 'an OpenDocument spreadsheet: save it as CSV'
  if (text.includes('Index/')) return 'an Apple Numbers file: export it as CSV'
  return text.includes('[Content_Types].xml')
    ? 'an Office document (perhaps an Excel workbook): save it as CSV'
    : 'a zip archive: unpack it first'
}

/** The same for files of text, from the beginning of one, without a mark. */
export function textKind(head: string): string | undefined {
  const text = head.trimStart().slice(0, 1000)
  const lower = text.toLowerCase()
  if (/^(?:<!--|<!doctype html|<html|<head|<body|<table)/.test(lower)) return 'a web page (HTML)'
  if (lower.startsWith('<?xml') || /^<[a-z][\w:-]*[\s>]/.test(lower)) return 'an XML file'
  if (lower.startsWith('{\\rtf')) return 'an RTF document'
  if (/^(?:\{\s*"|\[\s*[[{"])/.test(text)) return 'a JSON file'
  return undefined
}
