import * as z from 'zod'

export const hiddenKinds = ['invisible', 'background_colour', 'tiny', 'off_page'] as const
export type HiddenKind = (typeof hiddenKinds)[number]

/** Text of a file that people who look at it do not see, and a model that reads it does. */
export const hiddenTextSchema = z.strictObject({
  characters: z.int().min(0).meta({ description: 'Letters and digits of it; 0 if nothing is hidden' }),
  kinds: z.array(z.enum(hiddenKinds)),
  excerpt: z.string().meta({ description: 'How it begins' }),
})
export type HiddenText = z.output<typeof hiddenTextSchema>

export const nothingHidden: HiddenText = { characters: 0, kinds: [], excerpt: '' }

/** Whether there is any, as far as the file was looked through. */
export function isHiding(hidden: HiddenText | null | undefined): boolean {
  return hidden !== null && hidden !== undefined && hidden.characters > 0
}

/** Characters of it that are kept to be shown. */
const longestExcerpt = 1000

/** Collects what is hidden in a file, in the order of the file. */
export class HiddenTextCollector {
  #characters = 0
  #excerpt = ''
  readonly #kinds = new Set<HiddenKind>()

  add(kind: HiddenKind, text: string): void {
    const characters = lettersOf(text)
    if (characters === 0) return
    this.#characters += characters
    this.#kinds.add(kind)
    if (this.#excerpt.length < longestExcerpt) this.#excerpt += text
  }

  /** Ends a line of what was hidden. */
  endLine(): void {
    if (this.#excerpt !== '' && !this.#excerpt.endsWith('\n')) this.#excerpt += '\n'
  }

  get result(): HiddenText {
    return {
      characters: this.#characters,
      kinds: hiddenKinds.filter((kind) => this.#kinds.has(kind)),
      excerpt: this.#excerpt.replaceAll('\0', '').trim().slice(0, longestExcerpt).toWellFormed(),
    }
  }
}

export function lettersOf(text: string): number {
  return text.match(/[\p{L}\p{N}]/gu)?.length ?? 0
}

/** A colour, each part from 0 to 255; undefined for a pattern. */
export type Colour = readonly [red: number, green: number, blue: number]
export const white: Colour = [255, 255, 255]

/** The colour that six hexadecimal digits mean; undefined for anything else. */
export function colourOf(hex: string): Colour | undefined {
  const [, red, green, blue] = /^#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(hex) ?? []
  return red ? ([red, green, blue].map((part) => Number.parseInt(part!, 16)) as unknown as Colour) : undefined
}

/** Whether no eye tells them apart: light grey on white has 40 and more between them. */
export function looksAlike(one: Colour, other: Colour): boolean {
  return one.every((part, index) => Math.abs(part - other[index]!) < 24)
}

/** Points below which a letter is too small to be read, or noticed. */
export const tinyPoints = 2
