import { receiveText } from './body.ts'
import { existingObject, type Operation } from './context.ts'
import { S3Error } from './errors.ts'
import type { Tag } from './types.ts'
import { childText, parseXml, renderXml, s3Namespace } from './xml.ts'

const maxTags = 10
const maxKeyUnits = 128
const maxValueUnits = 256
// Ten tags, every character of them escaped.
const maxDocumentBytes = 64 * 1024
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
const allowed = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

const fits = (text: string, units: number) => text.length <= units && allowed.test(text)
const validKey = ({ key }: Tag) => key !== '' && fits(key, maxKeyUnits)
const validValue = ({ value }: Tag) => fits(value, maxValueUnits)

/** Throws BadRequest for more than ten tags, InvalidTag for one that S3 does not store. */
function checkTags(tags: readonly Tag[]): void {
  if (tags.length > maxTags) throw new S3Error('BadRequest', `Object tags cannot be greater than ${maxTags}`)
  const keys = new Set<string>()
  for (const tag of tags) {
    const { key, value } = tag
    const refuse = (message: string, details = {}) =>
      new S3Error('InvalidTag', message, { TagKey: key, ...details })
    if (keys.has(key)) throw refuse('Cannot provide multiple Tags with the same key')
    if (/^aws:/i.test(key)) throw refuse('Your TagKey cannot be prefixed with aws:')
    if (!validKey(tag)) throw refuse('The TagKey you have provided is invalid')
    if (!validValue(tag)) throw refuse('The TagValue you have provided is invalid', { TagValue: value })
    keys.add(key)
  }
}

/**
 * The tags of an `x-amz-tagging` header, which is written like a query: `a=1&b=2`; none without it.
 * Throws InvalidArgument for what cannot be read so, BadRequest or InvalidTag for tags that S3 does not store.
 */
export function headerTags(headers: Readonly<Record<string, string | undefined>>): Tag[] {
  const header = headers['x-amz-tagging'] ?? ''
  const malformed = () =>
    new S3Error(
      'InvalidArgument',
      "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
      { ArgumentName: 'x-amz-tagging', ArgumentValue: header },
    )
  const decode = (text: string) => {
    try {
      return decodeURIComponent(text.replaceAll('+', ' '))
    } catch {
      throw malformed()
    }
  }
  const pairs = header.split('&').filter((pair) => pair !== '')
  const tags = pairs.map((pair) => {
    const [key = '', ...value] = pair.split('=')
    return { key: decode(key), value: decode(value.join('=')) }
  })
  const distinct = new Set(tags.map(({ key }) => key))
  if (distinct.size < tags.length || !tags.every((tag) => validKey(tag) && validValue(tag))) throw malformed()
  checkTags(tags)
  return tags
}

/** The tags of a `Tagging` document. Throws MalformedXML, BadRequest or InvalidTag. */
function documentTags(document: string): Tag[] {
  const root = parseXml(document)
  const set = root.children.find(({ name }) => name === 'TagSet')
  if (root.name !== 'Tagging' || set === undefined) throw new S3Error('MalformedXML')
  const tags = set.children.map((element) => {
    const key = childText(element, 'Key')
    const value = childText(element, 'Value')
    if (element.name !== 'Tag' || key === undefined || value === undefined) throw new S3Error('MalformedXML')
    return { key, value }
  })
  checkTags(tags)
  return tags
}

export const getObjectTagging: Operation = async (request, context) => {
  const { tags = [] } = existingObject(context.bucket(request.bucket), request.key)
  const content = { TagSet: { Tag: tags.map(({ key, value }) => ({ Key: key, Value: value })) } }
  return { status: 200, xml: renderXml('Tagging', content, s3Namespace) }
}

/** Replaces the whole tag set; the object keeps its ETag and its time. */
export const putObjectTagging: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  await bucket.setTags(request.key, documentTags(await receiveText(request, maxDocumentBytes)))
  return { status: 200 }
}

export const deleteObjectTagging: Operation = async (request, context) => {
  await context.bucket(request.bucket).setTags(request.key, [])
  return { status: 204 }
}
