/**
 * The fields of one record that the scan (boundaries.ts) found well-formed: text without its line end. It takes
 * the same steps as the scan, with the same blanks (space, tab, form feed), so that both see the same fields.
 * Unquoted fields come back as they stand, quoted ones without their quotes and the blanks round them.
 */
export function splitFields(text: string, delimiter: string): string[] {
  if (!text.includes('"')) return text.split(delimiter)
  const fields: string[] = []
  let at = 0
  for (;;) {
    const open = afterBlanks(text, at, delimiter)
    if (text[open] !== '"') {
      const end = endOfField(text, at, delimiter)
      fields.push(text.slice(at, end))
      at = end
    } else {
      let value = ''
      let from = open + 1
      let close = endOfQuoted(text, from)
      while (text[close + 1] === '"') {
        value += text.slice(from, close + 1)
        from = close + 2
        close = endOfQuoted(text, from)
      }
      value += text.slice(from, close)
      at = afterBlanks(text, close + 1, delimiter)
      if (at < text.length && text[at] !== delimiter) {
        // Not well-formed. Text after a closing quote belongs to its field, as in the scan.
        const end = endOfField(text, at, delimiter)
        value += text.slice(close + 1, end)
        at = end
      }
      fields.push(value)
    }
    if (at >= text.length) return fields
    at++
  }
}

function endOfField(text: string, from: number, delimiter: string): number {
  const end = text.indexOf(delimiter, from)
  return end < 0 ? text.length : end
}

function endOfQuoted(text: string, from: number): number {
  const end = text.indexOf('"', from)
  return end < 0 ? text.length : end
}

function afterBlanks(text: string, from: number, delimiter: string): number {
  let at = from
  while (at < text.length && text[at] !== delimiter && isBlank(text[at])) at++
  return at
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\f'
}
