import type { Bucket } from './bucket.ts'
import { keyEncoder, type Operation, queryNumber } from './context.ts'
import { S3Error } from './errors.ts'
import { type ListPage, listPage } from './listing.ts'
import { accountId, type S3Request } from './types.ts'
import { renderXml, s3Namespace, type XmlContent } from './xml.ts'

const maxPage = 1000
const owner = { ID: accountId }

function pageOf(request: S3Request, bucket: Bucket, after: string): { page: ListPage; limit: number } {
  // AWS takes any larger number as 1,000.
  const limit = Math.min(queryNumber(request, 'max-keys', 0, 2 ** 31 - 1) ?? maxPage, maxPage)
  const prefix = request.query.get('prefix') ?? ''
  const delimiter = request.query.get('delimiter') ?? ''
  return { page: listPage(bucket.keys(), { prefix, delimiter, after, limit }), limit }
}

function common(
  request: S3Request,
  bucket: Bucket,
  page: ListPage,
  limit: number,
  withOwner: boolean,
): XmlContent {
  const encode = keyEncoder(request)
  const delimiter = request.query.get('delimiter')
  return {
    Name: bucket.name,
    Prefix: encode(request.query.get('prefix') ?? ''),
    Delimiter: delimiter === undefined ? undefined : encode(delimiter),
    MaxKeys: limit,
    EncodingType: request.query.get('encoding-type'),
    IsTruncated: page.truncated,
    Contents: page.keys.flatMap((key) => {
      const object = bucket.get(key)
      if (object === undefined) return []
      return [
        {
          Key: encode(key),
          LastModified: object.modified,
          ETag: `"${object.etag}"`,
          ChecksumAlgorithm: object.checksum?.algorithm.toUpperCase(),
          ChecksumType: object.checksum?.type,
          Size: object.size,
          Owner: withOwner ? owner : undefined,
          StorageClass: 'STANDARD',
        },
      ]
    }),
    CommonPrefixes: page.prefixes.map((prefix) => ({ Prefix: encode(prefix) })),
  }
}

/** The last key or common prefix of a page, opaque to clients. */
function continuationToken(last: string): string {
  return `1${Buffer.from(last, 'utf8').toString('base64url')}`
}

function readToken(token: string): string {
  const last = Buffer.from(token.slice(1), 'base64url').toString('utf8')
  if (last === '' || continuationToken(last) !== token) {
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
      ArgumentName: 'continuation-token',
    })
  }
  return last
}

export const listObjectsV2: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  const token = request.query.get('continuation-token')
  const startAfter = request.query.get('start-after')
  const after = token === undefined ? (startAfter ?? '') : readToken(token)
  const { page, limit } = pageOf(request, bucket, after)
  const content = {
    ...common(request, bucket, page, limit, request.query.get('fetch-owner') === 'true'),
    KeyCount: page.keys.length + page.prefixes.length,
    ContinuationToken: token,
    NextContinuationToken: page.truncated ? continuationToken(page.last) : undefined,
    StartAfter: startAfter === undefined ? undefined : keyEncoder(request)(startAfter),
  }
  return { status: 200, xml: renderXml('ListBucketResult', content, s3Namespace) }
}

export const listObjectsV1: Operation = async (request, context) => {
  const bucket = context.bucket(request.bucket)
  const marker = request.query.get('marker') ?? ''
  const { page, limit } = pageOf(request, bucket, marker)
  const encode = keyEncoder(request)
  const content = {
    ...common(request, bucket, page, limit, true),
    Marker: encode(marker),
    // Without a delimiter clients go on from the last key.
    NextMarker: page.truncated && request.query.has('delimiter') ? encode(page.last) : undefined,
  }
  return { status: 200, xml: renderXml('ListBucketResult', content, s3Namespace) }
}

export const listBuckets: Operation = async (_request, context) => {
  const buckets = context.buckets().sort((left, right) => (left.name < right.name ? -1 : 1))
  const content = {
    Owner: owner,
    Buckets: { Bucket: buckets.map(({ name, created }) => ({ Name: name, CreationDate: created })) },
  }
  return { status: 200, xml: renderXml('ListAllMyBucketsResult', content, s3Namespace) }
}

export const headBucket: Operation = async (request, context) => {
  context.bucket(request.bucket)
  return { status: 200, headers: { 'x-amz-bucket-region': context.region } }
}

export const getBucketLocation: Operation = async (request, context) => {
  context.bucket(request.bucket)
  // us-east-1 has no name here: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
  const location = context.region === 'us-east-1' ? '' : context.region
  return { status: 200, xml: renderXml('LocationConstraint', location, s3Namespace) }
}
