import { objectAttributes, refuseUnimplemented } from './attributes.ts'
import type { Bucket } from './bucket.ts'
import { checksumElements, checksumHeaders, namedAlgorithm } from './checksum.ts'
import { keyEncoder, type Operation, queryNumber } from './context.ts'
import { S3Error } from './errors.ts'
import { compareKeys } from './listing.ts'
import { parseCopyRange } from './range.ts'
import { headerTags } from './tagging.ts'
import { accountId, type S3Request } from './types.ts'
import type { Part, Upload } from './uploads.ts'
import { copySource, storeBody, storeCopy } from './write-object.ts'
import { renderXml, s3Namespace } from './xml.ts'

const maxPartNumber = 10_000
const maxPage = 1000
const owner = { ID: accountId }

function uploadId(request: S3Request): string {
  return request.query.get('uploadId') ?? ''
}

function partNumber(request: S3Request): number {
  const number = queryNumber(request, 'partNumber', 1, maxPartNumber)
  if (number === undefined) throw new S3Error('InvalidArgument', 'This operation needs a partNumber')
  return number
}

function uploadChecksum(request: S3Request): Upload['checksum'] {
  const algorithm = namedAlgorithm(request.headers['x-amz-checksum-algorithm'])
  const type = request.headers['x-amz-checksum-type']
  if (algorithm === undefined) {
    if (type === undefined) return undefined
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with a checksum algorithm',
    )
  }
  // Only CRCs of parts can stand for the whole, and CRC-64/NVME has no composite form.
  const chosen = type ?? (algorithm === 'crc64nvme' ? 'FULL_OBJECT' : 'COMPOSITE')
  const possible =
    chosen === 'COMPOSITE'
      ? algorithm !== 'crc64nvme'
      : chosen === 'FULL_OBJECT' && !algorithm.startsWith('sha')
  if (!possible) {
    throw new S3Error(
      'InvalidRequest',
      `The ${chosen} checksum type cannot be used with the ${algorithm} algorithm.`,
    )
  }
  return { algorithm, type: chosen as 'COMPOSITE' | 'FULL_OBJECT' }
}

export const createMultipartUpload: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  refuseUnimplemented(request.headers)
  const checksum = uploadChecksum(request)
  const upload = await bucket.uploads.create({
    key: request.key,
    ...objectAttributes(request.headers),
    tags: headerTags(request.headers),
    ...(checksum === undefined ? {} : { checksum }),
  })
  const content = { Bucket: bucket.name, Key: upload.key, UploadId: upload.id }
  return {
    status: 200,
    headers:
      checksum === undefined
        ? {}
        : {
            'x-amz-checksum-algorithm': checksum.algorithm.toUpperCase(),
            'x-amz-checksum-type': checksum.type,
          },
    xml: renderXml('InitiateMultipartUploadResult', content, s3Namespace),
  }
}

export const uploadPart: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  refuseUnimplemented(request.headers)
  const number = partNumber(request)
  const upload = bucket.uploads.get(uploadId(request), request.key)
  const stored = await storeBody(bucket, request, { algorithm: upload.checksum?.algorithm })
  const part = { number, modified: new Date().toISOString(), ...stored }
  await putPart(bucket, upload, part)
  const { 'x-amz-checksum-type': _, ...checksum } = checksumHeaders(part.checksum)
  return { status: 200, headers: { etag: `"${part.etag}"`, ...checksum } }
}

async function putPart({ uploads, blobs }: Bucket, upload: Upload, part: Part): Promise<void> {
  try {
    await uploads.putPart(upload, part)
  } catch (error) {
    if (upload.parts.get(part.number) !== part) await blobs.release(part.segments)
    throw error
  }
}

export const uploadPartCopy: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  refuseUnimplemented(request.headers)
  const number = partNumber(request)
  const upload = bucket.uploads.get(uploadId(request), request.key)
  const source = copySource(request, context)
  const { size } = source.object
  const header = request.headers['x-amz-copy-source-range']
  const range = header === undefined ? { start: 0, end: size - 1 } : parseCopyRange(header, size)
  const stored = await storeCopy(bucket, source, range, upload.checksum?.algorithm)
  const part = { number, modified: new Date().toISOString(), ...stored }
  await putPart(bucket, upload, part)
  const { ChecksumType: _, ...checksum } = checksumElements(part.checksum)
  const content = { LastModified: part.modified, ETag: `"${part.etag}"`, ...checksum }
  return { status: 200, xml: renderXml('CopyPartResult', content, s3Namespace) }
}

export const abortMultipartUpload: Operation = async (request, context) => {
  const { uploads } = context.bucket(request.bucket)
  await uploads.exclusively(uploadId(request), request.key, (upload) => uploads.finish(upload, new Set()))
  return { status: 204 }
}

export const listParts: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  const upload = bucket.uploads.get(uploadId(request), request.key)
  const limit = Math.min(queryNumber(request, 'max-parts', 0, 2 ** 31 - 1) ?? maxPage, maxPage)
  const marker = queryNumber(request, 'part-number-marker', 0, 2 ** 31 - 1) ?? 0
  const remaining = [...upload.parts.values()]
    .filter(({ number }) => number > marker)
    .sort((left, right) => left.number - right.number)
  const page = remaining.slice(0, limit)
  const content = {
    Bucket: bucket.name,
    Key: keyEncoder(request)(upload.key),
    UploadId: upload.id,
    Initiator: owner,
    Owner: owner,
    StorageClass: 'STANDARD',
    PartNumberMarker: marker,
    NextPartNumberMarker: page.at(-1)?.number ?? marker,
    MaxParts: limit,
    IsTruncated: limit > 0 && remaining.length > page.length,
    ChecksumAlgorithm: upload.checksum?.algorithm.toUpperCase(),
    ChecksumType: upload.checksum?.type,
    Part: page.map((part) => {
      const { ChecksumType: _, ...checksum } = checksumElements(part.checksum)
      return {
        PartNumber: part.number,
        LastModified: part.modified,
        ETag: `"${part.etag}"`,
        Size: part.size,
        ...checksum,
      }
    }),
  }
  return { status: 200, xml: renderXml('ListPartsResult', content, s3Namespace) }
}

/** Uploads in progress by key, then by age. */
export const listMultipartUploads: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  const limit = Math.min(queryNumber(request, 'max-uploads', 1, 2 ** 31 - 1) ?? maxPage, maxPage)
  const prefix = request.query.get('prefix') ?? ''
  const keyMarker = request.query.get('key-marker') ?? ''
  const idMarker = request.query.get('upload-id-marker') ?? ''
  const encode = keyEncoder(request)
  const matching = bucket.uploads
    .all()
    .filter(({ key }) => key.startsWith(prefix))
    .sort(
      (left, right) =>
        compareKeys(left.key, right.key) || compareKeys(left.initiated + left.id, right.initiated + right.id),
    )
  const markerAt = matching.findIndex(({ key, id }) => key === keyMarker && id === idMarker)
  const remaining =
    markerAt >= 0
      ? matching.slice(markerAt + 1)
      : matching.filter(({ key }) => compareKeys(key, keyMarker) > 0)
  const page = remaining.slice(0, limit)
  const truncated = remaining.length > page.length
  const last = page.at(-1)
  const content = {
    Bucket: bucket.name,
    Prefix: encode(prefix),
    KeyMarker: encode(keyMarker),
    UploadIdMarker: idMarker,
    NextKeyMarker: truncated && last !== undefined ? encode(last.key) : undefined,
    NextUploadIdMarker: truncated ? last?.id : undefined,
    EncodingType: request.query.get('encoding-type'),
    MaxUploads: limit,
    IsTruncated: truncated,
    Upload: page.map(({ key, id, initiated }) => ({
      Key: encode(key),
      UploadId: id,
      Initiator: owner,
      Owner: owner,
      StorageClass: 'STANDARD',
      Initiated: initiated,
    })),
  }
  return { status: 200, xml: renderXml('ListMultipartUploadsResult', content, s3Namespace) }
}
