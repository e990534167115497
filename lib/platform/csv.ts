/** Quotes, line ends, and whatever a spreadsheet of some locale takes for the delimiter. */
const special = /[",;\t|\r\n]/

/** A field of a CSV line (RFC 4180), quoted only if it holds a quote, a line end, or any usual delimiter. */
export function csvField(value: string): string {
  return special.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}

// Apostrophes count too: otherwise a text that begins with '= would come back without its own.
const formula = /^'*[=+\-@\t\r]/
const escapedFormula = /^'+[=+\-@\t\r]/

/**
 * A text that no spreadsheet calculates: one apostrophe stands before what begins with apostrophes (any number,
 * also none) followed by = + - @ TAB or CR (https://owasp.org/www-community/attacks/CSV_Injection).
 * `unescapeFormula` returns the text as it was.
 */
export function escapeFormula(text: string): string {
  return formula.test(text) ? `'${text}` : text
}

/** Takes off the apostrophe of `escapeFormula`. A text with any other apostrophe ('Quote, O'Dell) stays as it is. */
export function unescapeFormula(text: string): string {
  return text.startsWith("'") && escapedFormula.test(text) ? text.slice(1) : text
}

/** A field with a text from outside: what a spreadsheet would calculate is escaped, then quoted if needed. */
export function csvText(text: string): string {
  return csvField(escapeFormula(text))
}
