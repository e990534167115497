import { crc32 } from 'node:zlib'

/** A digest that grows with the data: `value` is big-endian and may be read once, at the end. */
export type Digest = { update(data: Buffer): void; value(): Buffer }

const crc32cTable = new Uint32Array(256)
for (let index = 0; index < 256; index += 1) {
  let remainder = index
  for (let bit = 0; bit < 8; bit += 1) {
    remainder = remainder & 1 ? (remainder >>> 1) ^ 0x82f63b78 : remainder >>> 1
  }
  crc32cTable[index] = remainder >>> 0
}

// The reflected polynomial 0x9a6c9329ac4bc9b5 in two halves: BigInt would be about 50 times slower.
const crc64High = new Uint32Array(256)
const crc64Low = new Uint32Array(256)
for (let index = 0; index < 256; index += 1) {
  let high = 0
  let low = index
  for (let bit = 0; bit < 8; bit += 1) {
    const carry = low & 1
    low = (low >>> 1) | (high << 31)
    high = high >>> 1
    if (carry) {
      high ^= 0x9a6c9329
      low ^= 0xac4bc9b5
    }
  }
  crc64High[index] = high >>> 0
  crc64Low[index] = low >>> 0
}

function bigEndian(...words: number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4)
  words.forEach((word, index) => {
    bytes.writeUInt32BE(word >>> 0, index * 4)
  })
  return bytes
}

export function createCrc32(): Digest {
  let state = 0
  return {
    update(data) {
      state = crc32(data, state)
    },
    value: () => bigEndian(state),
  }
}

export function createCrc32c(): Digest {
  let state = 0xffffffff
  return {
    update(data) {
      for (let index = 0; index < data.length; index += 1) {
        state = (state >>> 8) ^ crc32cTable[(state ^ data[index]!) & 0xff]!
      }
    },
    value: () => bigEndian(~state),
  }
}

/** CRC-64/NVME, the default checksum of newer AWS clients. */
export function createCrc64Nvme(): Digest {
  let high = -1
  let low = -1
  return {
    update(data) {
      for (let index = 0; index < data.length; index += 1) {
        const entry = (low ^ data[index]!) & 0xff
        low = ((low >>> 8) | (high << 24)) ^ crc64Low[entry]!
        high = (high >>> 8) ^ crc64High[entry]!
      }
    },
    value: () => bigEndian(~high, ~low),
  }
}
