import { type AssessmentReport, assessmentBlocks, type Block } from './assessment-document.ts'
import { assessmentPdf } from './assessment-pdf.ts'
import { markdownLine, markdownText } from './markdown.ts'
import type { ExportFile } from './transcript-export.ts'

export const assessmentFormats = ['md', 'pdf'] as const
export type AssessmentFormat = (typeof assessmentFormats)[number]

/** An assessment as a file: `assessment_<interview id>.<format>`. */
export async function exportAssessment(
  format: AssessmentFormat,
  report: AssessmentReport,
): Promise<ExportFile<string | Uint8Array>> {
  const filename = `assessment_${report.interview.id}.${format}`
  const blocks = assessmentBlocks(report)
  if (format === 'md')
    return { contentType: 'text/markdown; charset=utf-8', filename, body: markdown(blocks) }
  return { contentType: 'application/pdf', filename, body: await assessmentPdf(blocks, report.completedAt) }
}

function markdown(blocks: readonly Block[]): string {
  let text = ''
  let last: Block | undefined
  for (const block of blocks) {
    const tight = last?.kind === block.kind && (block.kind === 'fact' || block.kind === 'item')
    text += `${last && !tight ? '\n' : ''}${markdownBlock(block)}\n`
    last = block
  }
  return text
}

function markdownBlock(block: Block): string {
  switch (block.kind) {
    case 'title':
      return `# ${markdownLine(block.text)}`
    case 'heading':
      return `## ${markdownLine(block.text)}`
    case 'subheading':
      return `### ${markdownLine(block.text)}`
    case 'paragraph':
      return markdownText(block.text)
    case 'note':
      return `*${markdownLine(block.text)}*`
    case 'item':
      return `- ${markdownLine(block.text)}`
    case 'fact':
      return `- **${block.name}:** ${markdownLine(block.text)}`
    case 'quote':
      return [`**${markdownLine(block.source)}** (${markdownLine(block.reason)})`, markdownText(block.text)]
        .filter((part) => part !== '')
        .join('\\\n')
        .replaceAll(/^/gm, '> ')
  }
}
