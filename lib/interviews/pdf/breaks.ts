import LineBreaker from 'linebreak'

/** Scripts that have no blanks between their words, which a dictionary finds. */
const unspaced = /[\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]+/gu
const words = new Intl.Segmenter('th', { granularity: 'word' })

/**
 * Where a line may end (UAX #14, and between words of scripts without blanks): indices in ascending order, of which
 * the last is the length of the text.
 */
export function lineBreaks(text: string): number[] {
  const breaks = new Set<number>()
  const breaker = new LineBreaker(text)
  for (let next = breaker.nextBreak(); next; next = breaker.nextBreak()) breaks.add(next.position)
  for (const { 0: run, index } of text.matchAll(unspaced)) {
    for (const word of words.segment(run)) if (word.index > 0) breaks.add(index + word.index)
  }
  breaks.add(text.length)
  return [...breaks].sort((a, b) => a - b)
}
