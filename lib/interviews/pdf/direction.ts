import bidiFactory from 'bidi-js'

// Its types are those of another module format than its code.
const bidi = (bidiFactory as unknown as typeof bidiFactory.default)()

/** The order of a line's characters by the Unicode Bidirectional Algorithm (UAX #9). */
export type Direction = {
  /** Whether the line begins at the right. */
  rightToLeft: boolean
  /** Of each UTF-16 unit; it runs from right to left if odd. */
  levels: Uint8Array
  /** The indices of the units from `start` to before `end`, as they stand from left to right. */
  visualOrder: (start: number, end: number) => number[]
}

export function directionOf(line: string): Direction {
  const units = line.replaceAll(/[\u{10000}-\u{10ffff}]/gu, standIn)
  const embedding = bidi.getEmbeddingLevels(units)
  return {
    rightToLeft: ((embedding.paragraphs[0]?.level ?? 0) & 1) === 1,
    levels: embedding.levels,
    visualOrder: (start, end) => {
      const indices = Array.from({ length: end - start }, (_, offset) => start + offset)
      if (start === end) return indices
      for (const [first, last] of bidi.getReorderSegments(units, embedding, start, end - 1)) {
        const turned = indices.slice(first! - start, last! + 1 - start).reverse()
        indices.splice(first! - start, turned.length, ...turned)
      }
      return indices
    },
  }
}

/** The text of a run from right to left, its brackets turned round. */
export function mirrored(text: string): string {
  return Array.from(text, (character) => bidi.getMirroredCharacter(character) ?? character).join('')
}

/** Two units of the same class in place of a surrogate pair, of which the library sees the halves. */
function standIn(character: string): string {
  return classOf(character).repeat(2)
}

function classOf(character: string): string {
  const point = character.codePointAt(0)!
  if (/\p{Mn}/u.test(character)) return '\u0300'
  if ((point >= 0x10800 && point < 0x11000) || (point >= 0x1e800 && point < 0x1f000)) return '\u05d0'
  if (/\p{Nd}/u.test(character) && point >= 0x1d7ce && point <= 0x1d7ff) return '1'
  // Letters in boxes and the halves of flags are as letters; all other symbols are neutral.
  if (point >= 0x1f110 && point <= 0x1f1ff) return 'a'
  if (/\p{S}|\p{P}/u.test(character)) return '\u2606'
  return /\p{Default_Ignorable_Code_Point}/u.test(character) ? '\u200b' : 'a'
}
