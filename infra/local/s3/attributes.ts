import { S3Error } from './errors.ts'
import { accountId } from './types.ts'

type Headers = Readonly<Record<string, string | undefined>>

/** The most bytes of names and values of one object's user metadata. */
const maxMetadataBytes = 2048
const metadataPrefix = 'x-amz-meta-'
const kept = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
]

/** The headers and user metadata to be stored with an object. Throws MetadataTooLarge. */
export function objectAttributes(headers: Headers): {
  headers: Record<string, string>
  metadata: Record<string, string>
} {
  const stored: Record<string, string> = {}
  for (const name of kept) {
    const value = headers[name]
    if (value !== undefined && value !== '') stored[name] = value
  }
  // The body is stored decoded, so this coding must not be promised to readers.
  const encodings = (stored['content-encoding'] ?? '')
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'aws-chunked')
  delete stored['content-encoding']
  if (encodings.length > 0) stored['content-encoding'] = encodings.join(',')

  const metadata: Record<string, string> = {}
  let bytes = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(metadataPrefix) || value === undefined) continue
    metadata[name.slice(metadataPrefix.length)] = value
    bytes += name.length - metadataPrefix.length + value.length
  }
  if (bytes > maxMetadataBytes) {
    throw new S3Error('MetadataTooLarge', undefined, {
      Size: String(bytes),
      MaxSizeAllowed: String(maxMetadataBytes),
    })
  }
  return { headers: stored, metadata }
}

export function metadataHeaders(metadata: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [`${metadataPrefix}${name}`, value]),
  )
}

const unimplemented =
  /^x-amz-(object-lock-.*|grant-.*|mfa|website-redirect-location|write-offset-bytes|server-side-encryption-customer-.*|copy-source-server-side-encryption-customer-.*|bypass-governance-retention)$/

/**
 * Refuses headers that ask for what this server does not do, rather than to store an object without it.
 * Server-side encryption is let through: locally the disk is the owner's own.
 */
export function refuseUnimplemented(headers: Headers): void {
  for (const [name, value] of Object.entries(headers)) {
    const other =
      unimplemented.test(name) ||
      (name === 'x-amz-storage-class' && value !== undefined && value !== 'STANDARD')
    if (other) {
      throw new S3Error(
        'NotImplemented',
        `A header you provided implies functionality that is not implemented: ${name}`,
        {
          Header: name,
        },
      )
    }
  }
  const acl = headers['x-amz-acl']
  if (acl !== undefined && acl !== 'private' && acl !== 'bucket-owner-full-control') {
    throw new S3Error('AccessControlListNotSupported')
  }
  const owner = headers['x-amz-expected-bucket-owner']
  if (owner !== undefined && owner !== accountId) throw new S3Error('AccessDenied')
}
