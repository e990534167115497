import {
  colourOf,
  type HiddenKind,
  type HiddenText,
  HiddenTextCollector,
  looksAlike,
  tinyPoints,
  white,
} from './hidden-text.ts'

/** What may lie below white text, so that it is seen: a box, a picture, a marker. */
const grounds = new Set(['w:background', 'w:txbxContent', 'w:highlight'])
const off = new Set(['0', 'false', 'off'])

type Run = { hidden: boolean; colour: string; halfPoints: string }
const plain: Run = { hidden: false, colour: '', halfPoints: '' }

/**
 * The text of a DOCX's `word/document.xml` that Word does not show: marked as hidden, white, or too small. What only
 * a style hides is not seen here.
 */
export function hiddenInDocx(xml: string): HiddenText {
  const collector = new HiddenTextCollector()
  const onWhite = !hasGround(xml)
  let run = plain
  for (const { name, attribute, text } of tagsOf(xml)) {
    switch (name) {
      case 'w:r':
        run = { ...plain }
        break
      case 'w:vanish':
        run.hidden = !off.has(attribute('w:val'))
        break
      case 'w:color':
        run.colour = attribute('w:val')
        break
      case 'w:sz':
        run.halfPoints = attribute('w:val')
        break
      case 'w:t': {
        const kind = hiddenBy(run, onWhite)
        if (kind) collector.add(kind, text)
      }
    }
  }
  return collector.result
}

function hasGround(xml: string): boolean {
  for (const { name, attribute } of tagsOf(xml)) {
    if (grounds.has(name) || name.startsWith('wps:') || name.startsWith('v:')) return true
    const fill = name === 'w:shd' ? colourOf(attribute('w:fill')) : undefined
    if (fill && !looksAlike(fill, white)) return true
  }
  return false
}

function hiddenBy({ hidden, colour, halfPoints }: Run, onWhite: boolean): HiddenKind | undefined {
  if (hidden) return 'invisible'
  if (halfPoints !== '' && Number(halfPoints) / 2 < tinyPoints) return 'tiny'
  const parsed = colourOf(colour)
  return onWhite && parsed && looksAlike(parsed, white) ? 'background_colour' : undefined
}

/** The tags that open something, each with the text that follows it. */
function* tagsOf(xml: string) {
  for (const [, tag = '', text = ''] of xml.matchAll(/<([^<>]*)>([^<]*)/g)) {
    const name = tag.split(/[\s/]/, 1)[0]!
    yield { name, attribute: (wanted: string) => valueIn(tag, wanted), text }
  }
}

/** The value of an attribute in a tag; empty if it has none. */
function valueIn(tag: string, attribute: string): string {
  const begin = tag.indexOf(`${attribute}="`)
  if (begin < 0) return ''
  const from = begin + attribute.length + 2
  return tag.slice(from, tag.indexOf('"', from))
}
