import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { create, type Font } from 'fontkit'
import { type FontFile, fontFiles } from '../../platform/names.ts'

const files = {
  /** Latin, Greek, Cyrillic, Hebrew, Armenian, Georgian, Lao, the Arabic of Arabic and Persian, most symbols. */
  sans: 'DejaVuSans.ttf',
  sansBold: 'DejaVuSans-Bold.ttf',
  arabic: 'NotoNaskhArabic.ttf',
  arabicBold: 'NotoNaskhArabic-Bold.ttf',
  devanagari: 'NotoSansDevanagari.ttf',
  devanagariBold: 'NotoSansDevanagari-Bold.ttf',
  thai: 'NotoSansThai.ttf',
  thaiBold: 'NotoSansThai-Bold.ttf',
  gujarati: 'NotoSansGujarati.ttf',
  gurmukhi: 'NotoSansGurmukhi.ttf',
  kannada: 'NotoSansKannada.ttf',
  malayalam: 'NotoSansMalayalam.ttf',
  tamil: 'NotoSansTamil.ttf',
  telugu: 'NotoSansTelugu.ttf',
  chinese: 'NotoSansSC.otf',
  japanese: 'NotoSansJP.otf',
  korean: 'NotoSansKR.otf',
  emoji: 'NotoEmoji.ttf',
} as const satisfies Record<string, FontFile>

export type FontName = keyof typeof files

export const boldFonts: Partial<Record<FontName, FontName>> = {
  sans: 'sansBold',
  arabic: 'arabicBold',
  devanagari: 'devanagariBold',
  thai: 'thaiBold',
}

/** The fonts of one document, each opened when a text first needs it. */
export class Fonts {
  readonly #opened = new Map<FontName, Font>()

  /** Reads the font, unless a document has had it. */
  async open(name: FontName): Promise<Font> {
    const opened = this.#opened.get(name)
    if (opened) return opened
    const font = forDocument(await parsed(name))
    this.#opened.set(name, font)
    return font
  }

  /** One that is open. */
  get(name: FontName): Font {
    const font = this.#opened.get(name)
    if (!font) throw new Error(`The font ${name} is not open`)
    return font
  }
}

const fonts = new Map<FontName, Promise<Font>>()

/**
 * Kept with its decoded tables for the next document, which is then four times as fast. The three fonts of Chinese,
 * Japanese and Korean have 17 MB, the others 4.
 */
function parsed(name: FontName): Promise<Font> {
  const font = fonts.get(name) ?? readFile(pathOf(files[name])).then((bytes) => create(bytes) as Font)
  fonts.set(name, font)
  return font
}

/**
 * The font with glyphs of the document's own: a glyph keeps the first characters that it stood for, and the same
 * text is to give the same bytes.
 */
function forDocument(font: Font): Font {
  return Object.create(font, { _glyphs: { value: {} } })
}

/** Beside the code in a bundle, else in its package. */
function pathOf(file: FontFile): string {
  const bundled = join(import.meta.dirname, 'fonts')
  if (existsSync(bundled)) return join(bundled, file)
  return resolve(import.meta.dirname, '../../../node_modules', fontFiles[file])
}
