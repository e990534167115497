import { decoderOf } from '../../lib/platform/text/decoder.ts'

/** The bytes of a text in an encoding of one or two bytes a character, by asking its decoder for each. */
export function encode(text: string, encoding: string): Buffer {
  return Buffer.concat([...text].map((character) => bytesOf(character, encoding)))
}

const tables = new Map<string, Map<string, Buffer>>()

function bytesOf(character: string, encoding: string): Buffer {
  let table = tables.get(encoding)
  if (!table) {
    table = new Map()
    tables.set(encoding, table)
    const decoder = decoderOf(encoding)
    const add = (...bytes: number[]) => {
      const text = decoder.decode(Uint8Array.from(bytes))
      if ([...text].length === 1 && text !== '\ufffd' && !table!.has(text)) {
        table!.set(text, Buffer.from(bytes))
      }
    }
    for (let first = 0; first < 256; first++) add(first)
    // Of an encoding of one byte every byte, or nearly, is a character.
    if (table.size > 200) return bytesOf(character, encoding)
    for (let first = 0x81; first < 256; first++) {
      for (let second = 0x30; second < 256; second++) add(first, second)
    }
  }
  const bytes = table.get(character)
  if (!bytes) throw new Error(`${encoding} has no ${character}`)
  return bytes
}
