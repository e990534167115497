import { receiveText } from './body.ts'
import type { Bucket } from './bucket.ts'
import { type Checksum, checksumElements, createDigest, decodeChecksum, digestOf } from './checksum.ts'
import { writeCondition } from './conditions.ts'
import type { Operation } from './context.ts'
import { S3Error } from './errors.ts'
import type { S3Request, StoredObject } from './types.ts'
import type { Part, Upload } from './uploads.ts'
import { childText, parseXml, renderXml, s3Namespace, type XmlElement } from './xml.ts'

/** Every part but the last has at least this. */
const minPartBytes = 5 * 1024 * 1024
// 10,000 parts with number, etag and checksum have about 2 MB.
const maxDocumentBytes = 8 * 1024 * 1024

/** The listed parts in order. Throws MalformedXML, InvalidPartOrder, InvalidPart or EntityTooSmall. */
function chosenParts(document: string, upload: Upload): Part[] {
  const root = parseXml(document)
  const listed = root.children.filter(({ name }) => name === 'Part')
  if (root.name !== 'CompleteMultipartUpload' || listed.length === 0) throw new S3Error('MalformedXML')
  let previous = 0
  const parts = listed.map((element) => {
    const number = Number(childText(element, 'PartNumber') ?? Number.NaN)
    if (!Number.isInteger(number)) throw new S3Error('MalformedXML')
    if (number <= previous) throw new S3Error('InvalidPartOrder', undefined, { UploadId: upload.id })
    previous = number
    return chosenPart(element, number, upload)
  })
  for (const part of parts.slice(0, -1)) {
    if (part.size >= minPartBytes) continue
    throw new S3Error('EntityTooSmall', undefined, {
      ProposedSize: String(part.size),
      MinSizeAllowed: String(minPartBytes),
      PartNumber: String(part.number),
      ETag: part.etag,
    })
  }
  return parts
}

function chosenPart(element: XmlElement, number: number, upload: Upload): Part {
  const part = upload.parts.get(number)
  const etag = (childText(element, 'ETag') ?? '').trim().replace(/^"(.*)"$/, '$1')
  const given = element.children.find(({ name }) => /^Checksum[A-Z0-9]+$/.test(name))
  const sameChecksum =
    given === undefined ||
    (part?.checksum !== undefined && checksumElements(part.checksum)[given.name] === given.text.trim())
  if (part === undefined || part.etag !== etag || !sameChecksum) {
    throw new S3Error('InvalidPart', undefined, {
      UploadId: upload.id,
      PartNumber: String(number),
      ETag: etag,
    })
  }
  return part
}

async function objectChecksum(bucket: Bucket, upload: Upload, parts: Part[]): Promise<Checksum | undefined> {
  if (upload.checksum === undefined) return undefined
  const { algorithm, type } = upload.checksum
  if (type === 'COMPOSITE') {
    const values = parts.map(({ checksum }) => decodeChecksum(algorithm, checksum?.value ?? ''))
    const value = digestOf(algorithm, Buffer.concat(values)).toString('base64')
    return { algorithm, type, value: `${value}-${parts.length}` }
  }
  const digest = createDigest(algorithm)
  const segments = parts.flatMap((part) => part.segments)
  for await (const chunk of bucket.blobs.read(segments, 0, Number.MAX_SAFE_INTEGER)) digest.update(chunk)
  return { algorithm, type, value: digest.value().toString('base64') }
}

function verifyClaims({ headers }: S3Request, size: number, checksum: Checksum | undefined): void {
  const claimedSize = headers['x-amz-mp-object-size']
  if (claimedSize !== undefined && claimedSize !== String(size)) {
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-mp-object-size header does not match the size of the parts',
    )
  }
  const claimedType = headers['x-amz-checksum-type']
  if (claimedType !== undefined && claimedType !== checksum?.type) {
    throw new S3Error('InvalidRequest', 'The checksum type is not that of the upload')
  }
  for (const [name, value] of Object.entries(headers)) {
    const algorithm = /^x-amz-checksum-(crc32|crc32c|crc64nvme|sha1|sha256)$/.exec(name)?.[1]
    if (algorithm === undefined || value === undefined) continue
    // A composite value may be given with or without its count of parts.
    const known = checksum?.algorithm === algorithm ? [checksum.value, checksum.value.split('-')[0]] : []
    if (!known.includes(value)) {
      throw new S3Error('BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`)
    }
  }
}

function result(request: S3Request, object: StoredObject) {
  const content = {
    Location: `http://${request.headers.host ?? ''}${request.incoming.url?.split('?')[0] ?? ''}`,
    Bucket: request.bucket,
    Key: request.key,
    ETag: `"${object.etag}"`,
    ...checksumElements(object.checksum),
  }
  return { status: 200, xml: renderXml('CompleteMultipartUploadResult', content, s3Namespace) }
}

/** Joins parts into an object without copying: it keeps their blobs as its segments. */
export const completeMultipartUpload: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  const id = request.query.get('uploadId') ?? ''
  const precondition = writeCondition(request.headers)
  // Its checksum header is that of the object to be.
  const document = await receiveText(request, maxDocumentBytes, { checksumOfBody: false })
  // A client that lost the first answer asks again and must not hear that its upload never was.
  const earlier = bucket.get(request.key)
  if (earlier?.upload === id) return result(request, earlier)

  const object = await bucket.uploads.exclusively(id, request.key, async (upload) => {
    const parts = chosenParts(document, upload)
    const size = parts.reduce((sum, part) => sum + part.size, 0)
    precondition(bucket.get(request.key))
    const checksum = await objectChecksum(bucket, upload, parts)
    verifyClaims(request, size, checksum)
    const md5s = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, 'hex')))
    const draft = {
      key: request.key,
      size,
      etag: `${digestOf('md5', md5s).toString('hex')}-${parts.length}`,
      segments: parts.flatMap(({ segments }) => segments),
      headers: upload.headers,
      metadata: upload.metadata,
      tags: upload.tags ?? [],
      upload: id,
      ...(checksum === undefined ? {} : { checksum }),
    }
    const source = {
      eventName: 'ObjectCreated:CompleteMultipartUpload' as const,
      requestId: request.id,
      sourceIp: request.sourceIp,
    }
    const committed = await bucket.commit(draft, precondition, source)
    await bucket.uploads.finish(upload, new Set(parts))
    return committed
  })
  return result(request, object)
}
