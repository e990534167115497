const special = /[",\r\n]/

/** A field of a CSV line (RFC 4180), quoted only where it has to be. */
export function csvField(value: string): string {
  return special.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}

const formula = /^[=+\-@\t\r]/

/** A field with a text that anybody may have written: an apostrophe stands before what a spreadsheet would calculate. */
export function csvText(text: string): string {
  return csvField(formula.test(text) ? `'${text}` : text)
}
