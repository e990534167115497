/** Characters of a chunk at the most, and those that it repeats of the one before, about. */
const longest = 800
const overlap = 150

/** Overlapping pieces of a text, cut where a word ends; only a word that is longer than most of a piece is cut. */
export function chunksOf(text: string): string[] {
  const chunks: string[] = []
  for (let start = 0; start < text.length; ) {
    const end = endOf(text, start)
    const chunk = text.slice(start, end).trim()
    if (chunk) chunks.push(chunk)
    if (end === text.length) break
    start = nextStart(text, end)
  }
  return chunks
}

/** The last blank that a chunk reaches, if the next chunk then begins after this one. */
function endOf(text: string, start: number): number {
  const most = start + longest
  if (most >= text.length) return text.length
  for (let at = most; at > start + overlap; at--) if (isBlank(text, at)) return at
  return wholeCharacter(text, most)
}

/** The first word that begins in what is repeated. */
function nextStart(text: string, end: number): number {
  for (let at = end - overlap; at < end; at++) if (isBlank(text, at)) return at + 1
  return wholeCharacter(text, end - overlap)
}

function isBlank(text: string, at: number): boolean {
  return /\s/.test(text[at]!)
}

/** The place, or the one before where it is in the middle of a surrogate pair. */
function wholeCharacter(text: string, at: number): number {
  return /[\uDC00-\uDFFF]/.test(text[at]!) ? at - 1 : at
}
