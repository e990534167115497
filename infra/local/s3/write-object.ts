import { objectAttributes, refuseUnimplemented } from './attributes.ts'
import { type BodyOptions, maxPutBytes, receiveBody } from './body.ts'
import type { Bucket, ObjectDraft, Precondition } from './bucket.ts'
import { checksumElements, checksumHeaders, createDigest, namedAlgorithm } from './checksum.ts'
import { failed, readCondition, writeCondition } from './conditions.ts'
import { existingObject, type Operation, type S3Context } from './context.ts'
import { S3Error } from './errors.ts'
import type { ByteRange } from './range.ts'
import { headerTags } from './tagging.ts'
import type { S3EventName, S3Request, StoredObject, Tag } from './types.ts'
import { renderXml, s3Namespace } from './xml.ts'

/** Streams a body into a blob and describes it; a body that does not hold what it declares leaves none. */
export async function storeBody(bucket: Bucket, request: S3Request, options: BodyOptions = {}) {
  const body = receiveBody(request, options)
  const segment = await bucket.blobs.write(body.chunks)
  const { size, md5, checksum } = body.summary()
  return {
    size,
    etag: md5.toString('hex'),
    segments: [segment],
    ...(checksum === undefined ? {} : { checksum }),
  }
}

/** Commits a freshly written draft; if that fails its blobs are deleted. */
async function commitNew(
  bucket: Bucket,
  draft: ObjectDraft,
  precondition: Precondition,
  request: S3Request,
  eventName: S3EventName,
): Promise<StoredObject> {
  try {
    const source = { eventName, requestId: request.id, sourceIp: request.sourceIp }
    return await bucket.commit(draft, precondition, source)
  } catch (error) {
    // After the commit the same blobs are the object's own, whatever failed later.
    if (bucket.get(draft.key)?.segments !== draft.segments) await bucket.blobs.release(draft.segments)
    throw error
  }
}

export const putObject: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  refuseUnimplemented(request.headers)
  const attributes = { ...objectAttributes(request.headers), tags: headerTags(request.headers) }
  const precondition = writeCondition(request.headers)
  // Decided here to refuse before the body is sent, and again at the commit against concurrent writers.
  precondition(bucket.get(request.key))
  const algorithm = namedAlgorithm(request.headers['x-amz-sdk-checksum-algorithm'])
  const stored = await storeBody(bucket, request, { algorithm })
  const draft = { key: request.key, ...attributes, ...stored }
  const object = await commitNew(bucket, draft, precondition, request, 'ObjectCreated:Put')
  return { status: 200, headers: { etag: `"${object.etag}"`, ...checksumHeaders(object.checksum) } }
}

/** The object that `x-amz-copy-source` names, its own conditions checked. */
export function copySource(request: S3Request, context: S3Context): { bucket: Bucket; object: StoredObject } {
  const header = request.headers['x-amz-copy-source'] ?? ''
  const [path = '', version] = header.split('?', 2)
  if (version !== undefined && version !== 'versionId=null') {
    throw new S3Error('NotImplemented', 'The bucket has no versions to copy from')
  }
  let decoded: string
  try {
    decoded = decodeURIComponent(path).replace(/^\//, '')
  } catch {
    throw new S3Error('InvalidArgument', 'Copy Source must be URL-encoded', {
      ArgumentName: 'x-amz-copy-source',
    })
  }
  const slash = decoded.indexOf('/')
  if (slash < 1 || slash === decoded.length - 1) {
    throw new S3Error(
      'InvalidArgument',
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
      {
        ArgumentName: 'x-amz-copy-source',
      },
    )
  }
  const bucket = context.bucket(decoded.slice(0, slash))
  const object = existingObject(bucket, decoded.slice(slash + 1))
  const prefix = 'x-amz-copy-source-'
  if (!readCondition(request.headers, object, prefix)) {
    // Where a read would return 304.
    const byTag = request.headers[`${prefix}if-none-match`] !== undefined
    throw failed(`${prefix}${byTag ? 'If-None-Match' : 'If-Modified-Since'}`)
  }
  return { bucket, object }
}

/** Copies bytes of an object into a new blob of another bucket, by the same stream as an upload. Throws InvalidRequest. */
export async function storeCopy(
  to: Bucket,
  source: { bucket: Bucket; object: StoredObject },
  { start, end }: ByteRange,
  algorithm: ReturnType<typeof namedAlgorithm>,
) {
  const { bucket, object } = source
  if (end - start + 1 > maxPutBytes) {
    throw new S3Error(
      'InvalidRequest',
      `The specified copy source is larger than the maximum allowable size for a copy source: ${maxPutBytes}`,
    )
  }
  const md5 = createDigest('md5')
  const checksum = algorithm === undefined ? undefined : createDigest(algorithm)
  const unpin = bucket.blobs.pin(object.segments)
  async function* read() {
    for await (const chunk of bucket.blobs.read(object.segments, start, end)) {
      md5.update(chunk)
      checksum?.update(chunk)
      yield chunk
    }
  }
  try {
    const segment = await to.blobs.write(read())
    const value = checksum?.value().toString('base64')
    return {
      size: segment.size,
      etag: md5.value().toString('hex'),
      segments: [segment],
      ...(algorithm === undefined || value === undefined
        ? {}
        : { checksum: { algorithm, value, type: 'FULL_OBJECT' as const } }),
    }
  } finally {
    unpin()
  }
}

/** Whether the request's own headers replace what a copy takes from its source. Throws InvalidArgument. */
function replaces(request: S3Request, what: 'metadata' | 'tagging'): boolean {
  const name = `x-amz-${what}-directive`
  const directive = request.headers[name] ?? 'COPY'
  if (directive !== 'COPY' && directive !== 'REPLACE') {
    throw new S3Error('InvalidArgument', `Unknown ${what} directive.`, {
      ArgumentName: name,
      ArgumentValue: directive,
    })
  }
  return directive === 'REPLACE'
}

export const copyObject: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  refuseUnimplemented(request.headers)
  const precondition = writeCondition(request.headers)
  const source = copySource(request, context)
  const attributes = replaces(request, 'metadata') ? objectAttributes(request.headers) : source.object
  const tags: Tag[] = replaces(request, 'tagging') ? headerTags(request.headers) : (source.object.tags ?? [])
  if (attributes === source.object && source.bucket === bucket && source.object.key === request.key) {
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata.",
    )
  }
  precondition(bucket.get(request.key))
  const algorithm =
    namedAlgorithm(request.headers['x-amz-checksum-algorithm']) ?? source.object.checksum?.algorithm
  const stored = await storeCopy(bucket, source, { start: 0, end: source.object.size - 1 }, algorithm)
  const { headers, metadata } = attributes
  const draft = { key: request.key, headers, metadata, tags, ...stored }
  const object = await commitNew(bucket, draft, precondition, request, 'ObjectCreated:Copy')
  return {
    status: 200,
    xml: renderXml(
      'CopyObjectResult',
      { LastModified: object.modified, ETag: `"${object.etag}"`, ...checksumElements(object.checksum) },
      s3Namespace,
    ),
  }
}
