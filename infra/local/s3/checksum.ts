import { createHash } from 'node:crypto'
import { createCrc32, createCrc32c, createCrc64Nvme, type Digest } from './crc.ts'
import { S3Error } from './errors.ts'

export type ChecksumAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha1' | 'sha256'
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE'

/** `value` is base64; a composite one (a checksum of the parts' checksums) ends in `-<parts>`. */
export type Checksum = { algorithm: ChecksumAlgorithm; value: string; type: ChecksumType }

const lengths: Record<ChecksumAlgorithm, number> = { crc32: 4, crc32c: 4, crc64nvme: 8, sha1: 20, sha256: 32 }

export function isChecksumAlgorithm(name: string): name is ChecksumAlgorithm {
  return Object.hasOwn(lengths, name)
}

function createHashDigest(algorithm: 'md5' | 'sha1' | 'sha256'): Digest {
  const hash = createHash(algorithm)
  return {
    update(data) {
      hash.update(data)
    },
    value: () => hash.digest(),
  }
}

export function createDigest(algorithm: ChecksumAlgorithm | 'md5'): Digest {
  if (algorithm === 'crc32') return createCrc32()
  if (algorithm === 'crc32c') return createCrc32c()
  if (algorithm === 'crc64nvme') return createCrc64Nvme()
  return createHashDigest(algorithm)
}

export function digestOf(algorithm: ChecksumAlgorithm | 'md5', data: Buffer): Buffer {
  const digest = createDigest(algorithm)
  digest.update(data)
  return digest.value()
}

/** The decoded base64 of a digest header. Throws InvalidDigest when it is not `length` bytes of base64. */
export function decodeDigest(value: string, length: number): Buffer {
  const bytes = Buffer.from(value, 'base64')
  if (bytes.length !== length || bytes.toString('base64') !== value) throw new S3Error('InvalidDigest')
  return bytes
}

/** The checksum a request announces: its value in a header, or only its name when it comes as a trailer. */
export type DeclaredChecksum = { algorithm: ChecksumAlgorithm; value?: Buffer }

const headerPrefix = 'x-amz-checksum-'
const notDigests = new Set(['algorithm', 'mode', 'type'])

/** Throws InvalidRequest for two of them or an unknown algorithm, InvalidDigest for a malformed value. */
export function declaredChecksum(
  headers: Readonly<Record<string, string | undefined>>,
): DeclaredChecksum | undefined {
  const found: DeclaredChecksum[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(headerPrefix) || value === undefined) continue
    const algorithm = name.slice(headerPrefix.length)
    if (notDigests.has(algorithm)) continue
    if (!isChecksumAlgorithm(algorithm)) throw new S3Error('NotImplemented', `Unknown checksum ${algorithm}`)
    found.push({ algorithm, value: decodeDigest(value, lengths[algorithm]) })
  }
  const trailer = headers['x-amz-trailer']?.trim().toLowerCase()
  if (trailer !== undefined) {
    const algorithm = trailer.startsWith(headerPrefix) ? trailer.slice(headerPrefix.length) : ''
    if (!isChecksumAlgorithm(algorithm)) {
      throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported')
    }
    found.push({ algorithm })
  }
  if (found.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  }
  return found[0]
}

export function decodeChecksum(algorithm: ChecksumAlgorithm, value: string): Buffer {
  return decodeDigest(value, lengths[algorithm])
}

/** The algorithm named by `x-amz-checksum-algorithm` in any case. Throws InvalidRequest for another one. */
export function namedAlgorithm(name: string | undefined): ChecksumAlgorithm | undefined {
  if (name === undefined) return undefined
  const algorithm = name.toLowerCase()
  if (!isChecksumAlgorithm(algorithm)) {
    throw new S3Error('InvalidRequest', 'Checksum algorithm provided is unsupported.')
  }
  return algorithm
}

export function checksumHeaders(checksum: Checksum | undefined): Record<string, string> {
  if (checksum === undefined) return {}
  return {
    [`${headerPrefix}${checksum.algorithm}`]: checksum.value,
    'x-amz-checksum-type': checksum.type,
  }
}

/** The element of a checksum in answers, such as ChecksumCRC32. */
export function checksumElements(checksum: Checksum | undefined): Record<string, string> {
  if (checksum === undefined) return {}
  return {
    [`Checksum${checksum.algorithm.toUpperCase()}`]: checksum.value,
    ChecksumType: checksum.type,
  }
}
