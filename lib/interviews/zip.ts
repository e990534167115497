import { inflateRawSync } from 'node:zlib'
import { FinalError } from './failure.ts'

export type Zip = {
  exists(name: string): boolean
  /** Rejects with FinalError where the entries read so far are larger than the bound, and where it is damaged. */
  read(name: string): Promise<Buffer>
}

type Entry = { method: number; encrypted: boolean; compressedSize: number; offset: number }

/** Signatures and sizes of the fixed parts: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
const end = { signature: 0x06054b50, size: 22 }
const central = { signature: 0x02014b50, size: 46 }
const local = { signature: 0x04034b50, size: 30 }
const [stored, deflated] = [0, 8]

/**
 * The entries of a zip that is held in memory, each inflated when it is read: `maxBytes` of them all at the most,
 * whatever the directory says of their sizes. Throws FinalError where the directory cannot be read.
 */
export function openZip(bytes: Buffer, maxBytes: number): Zip {
  const entries = damagedIfOutside(() => readDirectory(bytes))
  let left = maxBytes

  function inflate({ method, encrypted, compressedSize, offset }: Entry): Buffer {
    if (encrypted) throw new FinalError('encrypted', 'The file is encrypted')
    if (bytes.readUInt32LE(offset) !== local.signature) throw damaged()
    const start = offset + local.size + bytes.readUInt16LE(offset + 26) + bytes.readUInt16LE(offset + 28)
    const data = bytes.subarray(start, start + compressedSize)
    if (data.length < compressedSize) throw damaged()
    if (method !== stored && method !== deflated) throw damaged()
    const content = method === stored ? data : inflateRawSync(data, { maxOutputLength: Math.max(1, left) })
    left -= content.length
    if (left < 0) throw tooLarge()
    return content
  }

  return {
    exists: (name) => entries.has(name),
    async read(name) {
      const entry = entries.get(name)
      if (!entry) throw damaged()
      return damagedIfOutside(() => inflate(entry))
    },
  }
}

function readDirectory(bytes: Buffer): Map<string, Entry> {
  const signature = Buffer.alloc(4)
  signature.writeUInt32LE(end.signature)
  // A comment may follow it.
  const at = bytes.lastIndexOf(signature)
  if (at === -1 || at + end.size > bytes.length) throw damaged()
  const entries = new Map<string, Entry>()
  let place = bytes.readUInt32LE(at + 16)
  for (let count = bytes.readUInt16LE(at + 10); count > 0; count--) {
    if (bytes.readUInt32LE(place) !== central.signature) throw damaged()
    const lengths = [28, 30, 32].map((field) => bytes.readUInt16LE(place + field))
    const nameEnd = place + central.size + lengths[0]!
    entries.set(bytes.toString('utf8', place + central.size, nameEnd), {
      encrypted: (bytes.readUInt16LE(place + 8) & 1) === 1,
      method: bytes.readUInt16LE(place + 10),
      compressedSize: bytes.readUInt32LE(place + 20),
      offset: bytes.readUInt32LE(place + 42),
    })
    place += central.size + lengths.reduce((sum, length) => sum + length)
  }
  return entries
}

/** Offsets that point outside the file, and data that cannot be inflated. */
function damagedIfOutside<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    if (code === 'ERR_OUT_OF_RANGE' || code === 'ERR_BUFFER_OUT_OF_BOUNDS' || code.startsWith('Z_')) {
      throw damaged(error)
    }
    throw error
  }
}

function tooLarge(): FinalError {
  return new FinalError('too_large', 'The file holds more than can be read')
}

function damaged(cause?: unknown): FinalError {
  return new FinalError('unreadable', 'The file is damaged', cause)
}
