import { filledLines } from './lines.ts'

/** A text as Markdown that shows it as it is: its lines stay lines of one paragraph, nothing in it is markup. */
export function markdownText(text: string): string {
  return filledLines(text).map(escaped).join('\\\n')
}

/** The same on one line, for headings and cells. */
export function markdownLine(text: string): string {
  return filledLines(text).map(escaped).join(' ')
}

function escaped(line: string): string {
  return line
    .replaceAll(/[\\`*_{}[\]<>#|~&!$]/g, String.raw`\$&`)
    .replace(/^[-+=]/, String.raw`\$&`)
    .replace(/^(\d+)([.)])/, String.raw`$1\$2`)
}
