import { labelToName } from '@exodus/bytes/encoding-lite.js'
import type { Encoding } from './decoder.ts'

/** Has escape sequences that change what follows, or no text at all: a file cannot be cut into slices. */
const unusable = new Set(['iso-2022-jp', 'replacement', 'x-user-defined'])

/** The encoding that a label of the WHATWG list means, in any case; undefined for one that cannot be used. */
export function encodingOf(label: string): Encoding | undefined {
  const name = labelToName(label)?.toLowerCase()
  return name === undefined || unusable.has(name) ? undefined : name
}
