import type { Font, Glyph, GlyphRun } from 'fontkit'
import { mirrored } from './direction.ts'

/** Where a glyph stands, in units of its font; it is pdfkit's and fontkit's form. */
export type Position = { xAdvance: number; yAdvance: number; xOffset: number; yOffset: number }

export type Shaped = { glyphs: Glyph[]; positions: Position[]; advance: number }

/** Ems that a mark may be moved up or down: letters with dozens of marks must not reach into other lines. */
const furthestMark = 0.5

/** Drawn as nothing; joiners and variation selectors choose the glyphs beside them. */
const undrawn = /(?!\u200c|\u200d|\ufe0e|\ufe0f)\p{Default_Ignorable_Code_Point}/gu

/** The glyphs of a text in one font, script and direction, from left to right. */
export function shape(text: string, font: Font, rightToLeft: boolean): Shaped {
  const drawn = text.replaceAll(undrawn, '')
  const run = layOut(font, rightToLeft ? mirrored(drawn) : drawn, rightToLeft ? 'rtl' : 'ltr')
  const most = furthestMark * font.unitsPerEm
  const positions = run.positions.map(({ xAdvance, yAdvance, xOffset, yOffset }) => ({
    xAdvance,
    yAdvance,
    xOffset,
    yOffset: Math.max(-most, Math.min(most, yOffset)),
  }))
  return { glyphs: run.glyphs, positions, advance: positions.reduce((sum, at) => sum + at.xAdvance, 0) }
}

/** What places marks on their letters. */
const markFeatures = { mark: false, mkmk: false, abvm: false, blwm: false }

function layOut(font: Font, text: string, direction: 'ltr' | 'rtl'): GlyphRun {
  try {
    return font.layout(text, undefined, undefined, undefined, direction)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // fontkit 2.0.4 fails where a font has no place for a mark on a letter, as Gurmukhi's has not for some: marks
    // then stand where they are drawn.
    return font.layout(text, markFeatures, undefined, undefined, direction)
  }
}
