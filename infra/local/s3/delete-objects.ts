import { receiveText } from './body.ts'
import { deleteCondition } from './conditions.ts'
import type { Operation } from './context.ts'
import { isS3Error, S3Error } from './errors.ts'
import { childText, parseXml, renderXml, s3Namespace, type XmlContent } from './xml.ts'

// A thousand keys of 1,024 bytes, every one of them escaped, and their elements.
const maxDocumentBytes = 8 * 1024 * 1024
const maxKeys = 1000

/** 204 whether or not the object was there. */
export const deleteObject: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  await bucket.remove(request.key, deleteCondition(request.headers['if-match']))
  return { status: 204 }
}

/** `POST ?delete`: up to 1,000 keys, each with its own outcome in the answer. */
export const deleteObjects: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  const root = parseXml(await receiveText(request, maxDocumentBytes))
  const wanted = root.children.filter(({ name }) => name === 'Object')
  if (root.name !== 'Delete' || wanted.length === 0 || wanted.length > maxKeys)
    throw new S3Error('MalformedXML')
  const quiet = childText(root, 'Quiet')?.trim() === 'true'
  const deleted: XmlContent[] = []
  const errors: XmlContent[] = []
  for (const element of wanted) {
    const key = childText(element, 'Key')
    if (key === undefined || key === '') throw new S3Error('MalformedXML')
    try {
      await bucket.remove(key, deleteCondition(childText(element, 'ETag')))
      deleted.push({ Key: key })
    } catch (error) {
      if (!isS3Error(error)) throw error
      errors.push({ Key: key, Code: error.code, Message: error.message })
    }
  }
  const content = { Deleted: quiet ? [] : deleted, Error: errors }
  return { status: 200, xml: renderXml('DeleteResult', content, s3Namespace) }
}
