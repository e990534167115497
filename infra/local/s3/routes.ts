import { completeMultipartUpload } from './complete-upload.ts'
import type { Operation } from './context.ts'
import { deleteObject, deleteObjects } from './delete-objects.ts'
import { S3Error } from './errors.ts'
import { getBucketLocation, headBucket, listBuckets, listObjectsV1, listObjectsV2 } from './list-objects.ts'
import {
  abortMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadPart,
  uploadPartCopy,
} from './multipart.ts'
import { readObject, responseOverrides } from './read-object.ts'
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './tagging.ts'
import type { S3Request } from './types.ts'
import { copyObject, putObject } from './write-object.ts'

type Level = 'service' | 'bucket' | 'object'

type Route = {
  method: string
  level: Level
  /** Query parameters that single this operation out. */
  needs?: readonly string[]
  header?: string
  /** Further query parameters that it understands. */
  takes?: readonly string[]
  operation: Operation
}

const templateOnly: Operation = async () => {
  throw new S3Error('NotImplemented', 'Buckets are made and removed by the template, not by requests')
}

const listing = ['prefix', 'delimiter', 'max-keys', 'encoding-type']
const copySource = 'x-amz-copy-source'
const part = ['uploadId', 'partNumber']
const tagging = ['tagging']

// Within a method and level the more specific come first.
const routes: readonly Route[] = [
  { method: 'GET', level: 'service', operation: listBuckets },

  { method: 'HEAD', level: 'bucket', operation: headBucket },
  { method: 'GET', level: 'bucket', needs: ['location'], operation: getBucketLocation },
  {
    method: 'GET',
    level: 'bucket',
    needs: ['uploads'],
    takes: ['prefix', 'key-marker', 'upload-id-marker', 'max-uploads', 'encoding-type'],
    operation: listMultipartUploads,
  },
  {
    method: 'GET',
    level: 'bucket',
    needs: ['list-type'],
    takes: [...listing, 'continuation-token', 'start-after', 'fetch-owner'],
    operation: listObjectsV2,
  },
  { method: 'GET', level: 'bucket', takes: [...listing, 'marker'], operation: listObjectsV1 },
  { method: 'POST', level: 'bucket', needs: ['delete'], operation: deleteObjects },
  { method: 'PUT', level: 'bucket', operation: templateOnly },
  { method: 'DELETE', level: 'bucket', operation: templateOnly },

  { method: 'HEAD', level: 'object', takes: responseOverrides, operation: readObject },
  {
    method: 'GET',
    level: 'object',
    needs: ['uploadId'],
    takes: ['max-parts', 'part-number-marker', 'encoding-type'],
    operation: listParts,
  },
  { method: 'GET', level: 'object', needs: tagging, operation: getObjectTagging },
  { method: 'GET', level: 'object', takes: responseOverrides, operation: readObject },
  { method: 'PUT', level: 'object', needs: part, header: copySource, operation: uploadPartCopy },
  { method: 'PUT', level: 'object', needs: part, operation: uploadPart },
  { method: 'PUT', level: 'object', needs: tagging, operation: putObjectTagging },
  { method: 'PUT', level: 'object', header: copySource, operation: copyObject },
  { method: 'PUT', level: 'object', operation: putObject },
  { method: 'POST', level: 'object', needs: ['uploads'], operation: createMultipartUpload },
  { method: 'POST', level: 'object', needs: ['uploadId'], operation: completeMultipartUpload },
  { method: 'DELETE', level: 'object', needs: ['uploadId'], operation: abortMultipartUpload },
  { method: 'DELETE', level: 'object', needs: tagging, operation: deleteObjectTagging },
  { method: 'DELETE', level: 'object', operation: deleteObject },
]

function levelOf({ bucket, key }: S3Request): Level {
  if (bucket === '') return 'service'
  return key === '' ? 'bucket' : 'object'
}

// x-id only names the operation (SDKs send it); x-amz-* is the signature or a header of a presigned URL.
function isNeutral(parameter: string): boolean {
  return parameter === 'x-id' || parameter.toLowerCase().startsWith('x-amz-')
}

/** The operation of a request. Throws NotImplemented naming a parameter nobody understands, MethodNotAllowed. */
export function findOperation(request: S3Request): Operation {
  const level = levelOf(request)
  const route = routes.find(
    ({ method, level: at, needs = [], header }) =>
      method === request.method &&
      at === level &&
      needs.every((name) => request.query.has(name)) &&
      (header === undefined || request.headers[header] !== undefined),
  )
  const known = new Set([...(route?.needs ?? []), ...(route?.takes ?? [])])
  for (const name of request.query.keys()) {
    if (known.has(name) || isNeutral(name)) continue
    throw new S3Error(
      'NotImplemented',
      `The query parameter '${name}' implies functionality that is not implemented`,
      {
        Parameter: name,
      },
    )
  }
  if (route === undefined) {
    throw new S3Error('MethodNotAllowed', undefined, {
      Method: request.method,
      ResourceType: level.toUpperCase(),
    })
  }
  return route.operation
}
