import { S3Error } from './errors.ts'

/** First and last byte, both included. */
export type ByteRange = { start: number; end: number }

/**
 * The range a `Range` header asks for of `size` bytes. Undefined for none, for several, and for what is
 * not a byte range: S3 then answers the whole. Throws InvalidRange where no byte of it exists.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '')
  if (match === null || (match[1] === '' && match[2] === '')) return undefined
  const [, first = '', last = ''] = match
  if (first !== '' && last !== '' && Number(first) > Number(last)) return undefined
  const start = first === '' ? Math.max(size - Number(last), 0) : Number(first)
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (start >= size || start > end) {
    throw new S3Error('InvalidRange', undefined, {
      RangeRequested: header ?? '',
      ActualObjectSize: String(size),
    })
  }
  return { start, end }
}

/** `x-amz-copy-source-range`: both ends are required and must exist. Throws InvalidArgument. */
export function parseCopyRange(header: string, size: number): ByteRange {
  const refused = (message: string) =>
    new S3Error('InvalidArgument', message, {
      ArgumentName: 'x-amz-copy-source-range',
      ArgumentValue: header,
    })
  const match = /^bytes=(\d+)-(\d+)$/.exec(header)
  if (match === null) {
    throw refused(
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    )
  }
  const [start, end] = [Number(match[1]), Number(match[2])]
  if (start > end || end >= size) {
    throw refused(`Range specified is not valid for source object of size: ${size}`)
  }
  return { start, end }
}
