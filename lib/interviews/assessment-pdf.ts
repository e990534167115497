import { type Block, confidentiality } from './assessment-document.ts'
import type { Style } from './pdf/pages.ts'

/**
 * A PDF of A4 pages in the scripts of `pdf/fonts.ts`; in place of others a note says how many characters the
 * Markdown has. The same blocks give the same bytes.
 */
export async function assessmentPdf(blocks: readonly Block[], createdAt: Date): Promise<Uint8Array> {
  // Most calls of the function draw nothing.
  const { Pages } = await import('./pdf/pages.ts')
  const paragraphs = blocks.flatMap(paragraphsOf)
  const pages = await Pages.begin({
    title: blocks.find((block) => block.kind === 'title')?.text ?? '',
    createdAt,
    sample: paragraphs.map(({ text }) => text).join('\n'),
    footer: confidentiality,
  })
  for (const { text, style } of paragraphs) await pages.write(text, style)
  return pages.end()
}

/** What a block puts on the page, one below the other. */
function paragraphsOf(block: Block): { text: string; style: Style }[] {
  switch (block.kind) {
    case 'fact':
      return [{ text: `${block.name}: ${isolated(block.text)}`, style: { gap: 2 } }]
    case 'item':
      return [{ text: `•\u00a0\u00a0${block.text}`, style: styles.item }]
    case 'quote':
      return [
        {
          text: `${isolated(block.source)} (${isolated(block.reason)})`,
          style: { size: 9, colour: grey, indent: 20, before: 3, keep: 14 },
        },
        { text: block.text, style: { size: 9, indent: 20, gap: 4 } },
      ]
    default:
      return [{ text: block.text, style: styles[block.kind] }]
  }
}

const grey = '#555555'

const styles = {
  title: { bold: true, size: 20, gap: 10 },
  // With the subheading that may come first.
  heading: { bold: true, size: 14, before: 10, gap: 5, keep: 75 },
  subheading: { bold: true, size: 11, before: 6, gap: 3, keep: 40 },
  paragraph: { gap: 6 },
  note: { size: 9, colour: grey, before: 6, gap: 4 },
  item: { indent: 10, gap: 3 },
} satisfies Record<string, Style>

/** In an order of its own: what is around it says nothing of the direction of its words, nor the other way round. */
function isolated(text: string): string {
  return `\u2068${text}\u2069`
}
