/** Words that say nothing of what a text is about. */
const common = new Set(
  `a about after again all also am an and any are as at be because been before being between both but by can
  candidate could cv did do does doing done down during each for from further get got had has have having
  he her here hers him his how i if in into is it its itself just like me more most my no nor not now of
  off on once only or other our out over own person really resume résumé said same say she should so some
  such tell than that the their them then there these they this those through to too under until up us
  very was we were what when where which while who whom why will with would yes you your`.split(/\s+/),
)

/** The words of a text that carry its meaning, in lower case and without English endings, in their order. */
export function stems(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\p{N}][\p{L}\p{N}+#]*/gu) ?? []
  return words.filter((word) => !common.has(word)).map(stem)
}

/** Past forms that people use of their work. */
const irregular = new Map([
  ['began', 'begin'],
  ['brought', 'bring'],
  ['built', 'build'],
  ['chose', 'choose'],
  ['found', 'find'],
  ['grew', 'grow'],
  ['held', 'hold'],
  ['kept', 'keep'],
  ['led', 'lead'],
  ['left', 'leave'],
  ['made', 'make'],
  ['ran', 'run'],
  ['spent', 'spend'],
  ['taught', 'teach'],
  ['won', 'win'],
  ['wrote', 'write'],
  ['written', 'write'],
])

function stem(word: string): string {
  const present = irregular.get(word)
  if (present !== undefined) return present
  return word.length > 4 ? word.replace(/(?:ing|ies|ied|ed|es|s)$/, '') : word
}

/** How many words a text has. */
export function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0
}

/** A text on one line of at most that many characters. */
export function cut(text: string, most: number): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length <= most ? line : `${line.slice(0, most - 1).trimEnd()}…`
}
