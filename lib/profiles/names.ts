/*
 * Names as people write them: what is stored of one, and the form in which two are compared. The properties are
 * Unicode's: https://www.unicode.org/reports/tr44/
 */

const plainAscii = /^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/
const printableAscii = /^[\x20-\x7e]*$/
const changes = /\p{Changes_When_NFKC_Casefolded}/u
const foldable = /\p{Changes_When_NFKC_Casefolded}/gu
// U+2800 is the blank of braille, which Unicode does not count as white space.
const blanks = /[\s\u0085\u2800]+/gu

/**
 * The form in which two names are compared: what cannot be seen taken out, Unicode's NFKC_Casefold of the
 * decomposed text (D147 of the standard), white space collapsed to one blank and trimmed. The keys of all stored
 * names rest on it: a change of what it returns is a migration (lib/profiles/rekey.ts).
 */
export function foldName(name: string): string {
  // 500,000 names an import, nearly all of them plain: this path halves the cost of a key (0.5 us).
  if (plainAscii.test(name)) return name.toLowerCase()
  // Lower case folds alike, and leaves most names with nothing else to fold: a third of the time.
  const lower = name.normalize('NFC').toLowerCase()
  const folded = changes.test(lower) ? foldChanging(lower) : lower
  return folded.normalize('NFC').replace(blanks, ' ').trim()
}

function foldChanging(text: string): string {
  return text.replace(ignorables, '').normalize('NFD').replace(foldable, foldCodePoint)
}

/** By code point: some six thousand at most. */
const folds = new Map<string, string>()

/** The property NFKC_Casefold of one code point, other than those that it takes out. */
function foldCodePoint(codePoint: string): string {
  let fold = folds.get(codePoint)
  if (fold === undefined) {
    const once = foldCase(codePoint.normalize('NFKC')).normalize('NFKC')
    fold = foldCase(once).normalize('NFKC')
    folds.set(codePoint, fold)
  }
  return fold
}

const cherokee = /[\u13f8-\u13fd\uab70-\uabbf]/g

/**
 * Unicode's full case folding. JavaScript has none: lower, upper and lower case again (ẞ and ß are both ss) come
 * to the same but for three things. ı has no other case, although its upper case is that of i; Cherokee folds to
 * upper case; and a final sigma is a sigma.
 */
function foldCase(text: string): string {
  if (text === 'ı') return text
  const lower = text.toLowerCase().toUpperCase().toLowerCase()
  return lower.replaceAll('ς', 'σ').replace(cherokee, (letter) => letter.toUpperCase())
}

const ignorables = /\p{Default_Ignorable_Code_Point}+/gu

/** The text without what cannot be seen, trimmed: for values in which no such character means anything. */
export function withoutInvisible(text: string): string {
  return (printableAscii.test(text) ? text : text.replace(ignorables, '')).trim()
}

/**
 * What a name never needs: soft hyphens, zero-width spaces and word joiners, byte order marks, controls of
 * direction, and invisible operators.
 */
const unwanted = /[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]+/g
const joiners = /[\u200c\u200d]+/g
const mark = /^\p{M}$/u
const joinable = /^[\p{L}\p{M}\p{N}\p{Extended_Pictographic}\p{Emoji_Modifier}]$/u

/**
 * The name as it is stored: as it was written, trimmed, without characters that only hide in it. Joiners (ZWNJ and
 * ZWJ) stay where they tell how the letters on both sides are to be written, or the mark before them: Malayalam
 * ends words so. All other characters that change the look of a neighbour, as variation selectors, stay.
 */
export function storedName(name: string): string {
  if (printableAscii.test(name)) return name.trim()
  const text = name.replace(unwanted, '').trim()
  const joined = text.replace(joiners, (run, at: number) => {
    const before = Array.from(text.slice(Math.max(0, at - 2), at)).at(-1) ?? ''
    const [after = ''] = text.slice(at + run.length, at + run.length + 2)
    return mark.test(before) || (joinable.test(before) && joinable.test(after)) ? run : ''
  })
  return joined.trim()
}

/**
 * Nothing but white space and characters without a picture of their own: those that Unicode lets a font leave out
 * (fillers of Hangul among them), the blanks of braille and hieroglyphs, annotation marks, the null notehead, and
 * the filler of Khitan.
 */
const invisible =
  /^[\s\u0085\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb\u{13441}\u{13442}\u{16fe4}\u{1d159}]*$/u

/** Whether anything of a name can be seen. */
export function isVisible(name: string): boolean {
  return !invisible.test(name)
}
