import { describe, expect, it, test } from 'vitest'
import { FinalError } from '../../../lib/interviews/lease.ts'
import { longestResume, resumeText } from '../../../lib/interviews/resume-text.ts'
import { resumeTypeOf, resumeTypes } from '../../../lib/interviews/resume-type.ts'
import { docxOf, docxParts, pdfOf, scannedPdf, zipOf } from '../../support/documents.ts'

const { pdf, docx, txt } = resumeTypes
const ole = Buffer.from('d0cf11e0a1b11ae1', 'hex')
const read = (bytes: Uint8Array | string, type: (typeof resumeTypes)[keyof typeof resumeTypes]) =>
  resumeText(Buffer.from(bytes as Uint8Array), type)

test.each([
  ['cv.pdf', undefined, pdf],
  ['cv.PDF', 'application/octet-stream', pdf],
  ['Ada.Obi.docx', undefined, docx],
  ['notes', 'text/plain; charset=utf-8', txt],
  ['cv.doc', undefined, undefined],
  ['cv', undefined, undefined],
  ['cv.pdf', 'image/png', undefined],
  ['cv.constructor', undefined, undefined],
])('%s as %s is %s', (filename, said, type) => {
  expect(resumeTypeOf(filename, said)).toBe(type)
})

describe('a PDF', () => {
  it('is read page by page with its lines', async () => {
    const bytes = await pdfOf(['Ada Obi\nSenior Engineer', 'Engineer at Kuda, 2019 - 2022'])
    expect(await read(bytes, pdf)).toBe('Ada Obi\nSenior Engineer\n\nEngineer at Kuda, 2019 - 2022')
  })

  it('is read where only printing it needs a password', async () => {
    const bytes = await pdfOf(['Ada Obi'], { ownerPassword: 'secret', permissions: {} })
    expect(await read(bytes, pdf)).toBe('Ada Obi')
  })

  it('is read no further than what is kept of it', async () => {
    const page = 'Go '.repeat(1000)
    const bytes = await pdfOf(Array.from({ length: 80 }, () => page))
    expect((await read(bytes, pdf)).length).toBeLessThanOrEqual(longestResume)
  })

  it.each([
    ['encrypted', 'encrypted', () => pdfOf(['Ada Obi'], { userPassword: 'secret', pdfVersion: '1.7' })],
    ['scanned', 'no_text', () => scannedPdf()],
    ['cut short', 'unreadable', async () => (await pdfOf(['Ada Obi'])).subarray(0, 700)],
    ['only called so', 'type_mismatch', async () => Buffer.from('Ada Obi, Engineer')],
    ['a heading without a document', 'unreadable', async () => Buffer.from('%PDF-1.7\nlorem')],
  ])('that is %s fails: %s', async (_, code, bytes) => {
    await expect(read(await bytes(), pdf)).rejects.toMatchObject({ code })
  })
})

describe('a DOCX', () => {
  it('is read by paragraphs', async () => {
    expect(await read(docxOf(['Ada Obi', 'R&amp;D Engineer']), docx)).toBe('Ada Obi\n\nR&D Engineer')
  })

  it('is read where its parts are not compressed, and where its directory lies', async () => {
    const parts = docxParts('<w:p><w:r><w:t>Ada Obi</w:t></w:r></w:p>')
    expect(await read(zipOf(parts, { method: 0 }), docx)).toBe('Ada Obi')
    expect(await read(zipOf(parts, { size: 1 }), docx)).toBe('Ada Obi')
  })

  const bomb = docxParts('<w:p/>'.repeat(2_000_000))
  it.each([
    ['inflates to 12 MB', 'too_large', zipOf(bomb)],
    ['inflates to 12 MB and says one byte', 'too_large', zipOf(bomb, { size: 1 })],
    ['is encrypted by Office', 'encrypted', Buffer.concat([ole, Buffer.from('EncryptedPackage', 'utf16le')])],
    ['has encrypted entries', 'encrypted', zipOf(docxParts(''), { flags: 1 })],
    ['is one of Word 97', 'type_mismatch', Buffer.concat([ole, Buffer.from('Ada Obi')])],
    ['is another zip', 'unreadable', zipOf({ 'readme.txt': 'Ada Obi' })],
    ['is compressed otherwise', 'unreadable', zipOf(docxParts(''), { method: 9 })],
    ['is cut short', 'unreadable', docxOf(['Ada Obi']).subarray(0, 300)],
    ['has no XML in it', 'unreadable', zipOf({ ...docxParts(''), 'word/document.xml': 'Ada Obi <' })],
    ['has damaged data', 'unreadable', damagedDocx()],
    ['is only called so', 'type_mismatch', Buffer.from('Ada Obi')],
    ['is empty', 'no_text', docxOf([''])],
  ])('that %s fails: %s', async (_, code, bytes) => {
    await expect(read(bytes, docx)).rejects.toMatchObject({ code })
  })
})

test.each([
  ['PDF', pdf, await pdfOf(['Ada Obi'])],
  ['DOCX', docx, docxOf(['Ada Obi'])],
])('a %s with any damage is read or refused, never a defect', async (_, type, whole) => {
  for (let at = 0; at < whole.length; at += 3) {
    const bytes = Buffer.from(whole)
    bytes[at] = bytes[at]! ^ 0xff
    const failure = await read(bytes, type).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failure) expect(failure, `byte ${at}`).toBeInstanceOf(FinalError)
  }
})

function damagedDocx(): Buffer {
  const bytes = docxOf(['Ada Obi'])
  // The first entry's data, after its name.
  bytes.fill(0xff, 30 + '[Content_Types].xml'.length, 80)
  return bytes
}

describe('a plain text', () => {
  it.each([
    ['UTF-8', Buffer.from('Zoë Ọbí')],
    ['UTF-8 with its mark', Buffer.from('\ufeffZoë Ọbí')],
    ['UTF-16 LE', Buffer.from('\ufeffZoë Ọbí', 'utf16le')],
    ['UTF-16 BE', Buffer.from('\ufeffZoë Ọbí', 'utf16le').swap16()],
  ])('is read as %s', async (_, bytes) => {
    expect(await read(bytes, txt)).toBe('Zoë Ọbí')
  })

  it('that is not UTF-8 is read as Windows writes it', async () => {
    expect(await read(Buffer.from('Zo\xeb \x93Go\x94', 'latin1'), txt)).toBe('Zoë “Go”')
  })

  it('is tidied: blanks, empty lines and control characters', async () => {
    expect(await read('  Ada \t Obi\r\n\r\n\r\n\r\nGo\u0007 and\rSQL  ', txt)).toBe('Ada Obi\n\nGo and\nSQL')
  })

  it('is cut where it is too long, and no character is halved', async () => {
    const text = await read(`a${'𝒜'.repeat(longestResume)}`, txt)
    expect(text).toHaveLength(longestResume)
    expect(text.isWellFormed()).toBe(true)
  })

  it.each([
    ['a PDF', 'type_mismatch', '%PDF-1.7'],
    ['a zip', 'type_mismatch', zipOf({ a: 'b' })],
    ['binary', 'type_mismatch', Buffer.from([65, 0, 66, 200])],
    ['blank', 'no_text', ' \n\t'],
    ['a mark alone', 'no_text', Buffer.from([0xff, 0xfe])],
    ['one byte of rubbish', 'no_text', Buffer.from([0x80])],
  ])('that is %s fails: %s', async (_, code, bytes) => {
    await expect(read(bytes, txt)).rejects.toMatchObject({ code })
  })
})
