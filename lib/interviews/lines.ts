const lineBreak = /\r\n|\r|\n/

/** The lines of a text, without those that are blank and blanks round the others. */
export function filledLines(text: string): string[] {
  return text
    .split(lineBreak)
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
