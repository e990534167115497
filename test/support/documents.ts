import { buffer } from 'node:stream/consumers'
import { constants, crc32, deflateRawSync } from 'node:zlib'
import PDFDocument from 'pdfkit'

type PdfOptions = NonNullable<ConstructorParameters<typeof PDFDocument>[0]>

/** A PDF with a page for each text. */
export function pdfOf(texts: readonly string[], options: PdfOptions = {}): Promise<Buffer> {
  const document = new PDFDocument({ ...options, autoFirstPage: false })
  for (const text of texts) document.addPage().text(text)
  document.end()
  return buffer(document)
}

/** A PDF whose only page is a picture, as scanners make them. */
export function scannedPdf(): Promise<Buffer> {
  const document = new PDFDocument()
  document.rect(50, 50, 300, 400).fill('grey')
  document.end()
  return buffer(document)
}

/** A PDF of one page, as it is drawn. */
export function drawnPdf(draw: (document: PDFKit.PDFDocument) => void): Promise<Buffer> {
  const document = new PDFDocument()
  draw(document)
  document.end()
  return buffer(document)
}

/** A PDF of one page with these drawing instructions, a font `F1` and, unless said otherwise, an image `Im1`. */
export function rawPdf(content: string | Buffer, { image = true, filter = '' } = {}): Buffer {
  const stream = (dictionary: string, data: string | Buffer) =>
    Buffer.concat([
      Buffer.from(`<<${dictionary}/Length ${data.length}>>\nstream\n`),
      Buffer.from(data as Buffer),
      Buffer.from('\nendstream'),
    ])
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    `<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>${image ? '/XObject<</Im1 6 0 R>>' : ''}>>>>`,
    stream(filter, content),
    '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>',
    ...(image
      ? [
          stream(
            '/Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8',
            '\x80',
          ),
        ]
      : []),
  ]
  const parts = [Buffer.from('%PDF-1.5\n')]
  const offsets: number[] = []
  let length = parts[0]!.length
  for (const [index, object] of objects.entries()) {
    offsets.push(length)
    const part = Buffer.concat([
      Buffer.from(`${index + 1} 0 obj\n`),
      Buffer.from(object as Buffer),
      Buffer.from('\nendobj\n'),
    ])
    parts.push(part)
    length += part.length
  }
  const rows = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')
  const count = objects.length + 1
  const end = `xref\n0 ${count}\n0000000000 65535 f \n${rows}trailer\n<</Size ${count}/Root 1 0 R>>\nstartxref\n${length}\n%%EOF`
  return Buffer.concat([...parts, Buffer.from(end)])
}

/** A PDF whose one page inflates to so many MiB of blanks: some kilobytes for each. */
export function inflatingPdf(mib: number): Buffer {
  // A block that looks back to nothing can be repeated.
  const block = deflateRawSync(Buffer.alloc(1024 * 1024, ' '), { finishFlush: constants.Z_FULL_FLUSH })
  const data = Buffer.concat([
    Buffer.from([0x78, 0x9c]),
    ...Array.from({ length: mib }, () => block),
    Buffer.from([3, 0, 0, 0, 0, 0]),
  ])
  return rawPdf(data, { filter: '/Filter/FlateDecode' })
}

const namespace = 'http://schemas.openxmlformats.org'
const relationship = `${namespace}/officeDocument/2006/relationships/officeDocument`

/** What every DOCX holds, with this as the body of its document. */
export function docxParts(body: string): Record<string, string> {
  return {
    '[Content_Types].xml': `<Types xmlns="${namespace}/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`,
    '_rels/.rels': `<Relationships xmlns="${namespace}/package/2006/relationships"><Relationship Id="r1" Type="${relationship}" Target="word/document.xml"/></Relationships>`,
    'word/document.xml': `<w:document xmlns:w="${namespace}/wordprocessingml/2006/main"><w:body>${body}</w:body></w:document>`,
  }
}

/** A DOCX with these paragraphs, which are XML already. */
export function docxOf(paragraphs: readonly string[]): Buffer {
  return zipOf(docxParts(paragraphs.map((text) => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`).join('')))
}

export type ZipChange = {
  /** As the directory and the entry say it; default: what is true. */
  size?: number
  flags?: number
  method?: number
}

/** A zip of these entries, deflated; changes are made to all of them. */
export function zipOf(entries: Record<string, string | Uint8Array>, change: ZipChange = {}): Buffer {
  const locals: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, content] of Object.entries(entries)) {
    const plain = Buffer.from(content as Uint8Array)
    const { method = 8, flags = 0, size = plain.length } = change
    const data = method === 8 ? deflateRawSync(plain) : plain
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(flags, 2)
    common.writeUInt16LE(method, 4)
    common.writeUInt32LE(crc32(plain), 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(size, 18)
    common.writeUInt16LE(Buffer.byteLength(name), 22)
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(offset, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\0'), common, rest, Buffer.from(name))
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), data])
    locals.push(local)
    offset += local.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(18)
  const count = Object.keys(entries).length
  end.writeUInt16LE(count, 4)
  end.writeUInt16LE(count, 6)
  end.writeUInt32LE(central.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...locals, central, Buffer.from('PK\x05\x06'), end])
}
