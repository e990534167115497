import { createHash } from 'node:crypto'
import { stems } from './words.ts'

/** Numbers of the vector that one word moves. */
const spread = 4

/**
 * A bag of words, hashed: texts that share words are near. As with the real one, only vectors of full length
 * (3,072) have the length 1. https://ai.google.dev/gemini-api/docs/embeddings
 */
export function embed(text: string, dimensions: number): number[] {
  const vector = new Array<number>(dimensions).fill(0)
  const words = stems(text)
  for (const word of words.length === 0 ? [text] : words) {
    const digest = createHash('sha256').update(word).digest()
    for (let part = 0; part < spread; part++) {
      const place = digest.readUInt32BE(part * 8) % dimensions
      vector[place]! += digest[part * 8 + 4]! % 2 === 0 ? 1 : -1
    }
  }
  const length = Math.hypot(...vector)
  const scale = dimensions === fullDimensions && length > 0 ? 1 / length : 1
  return vector.map((each) => each * scale)
}

export const fullDimensions = 3072
