import * as z from 'zod'
import { either } from '../platform/http/messages.ts'
import { quoted } from '../platform/http/shapes.ts'
import { encodingOf } from '../platform/text/encoding-names.ts'
import { isVisible } from '../profiles/names.ts'
import { parseAge, parseCountry, parseGender, parseProbability } from '../profiles/profile.ts'
import { allColumns, type Column, columnName } from './header.ts'

/** How values are read: `lenient` also takes words, alpha-3 codes and names of countries, and ages such as 25.0. */
export const accepts = ['strict', 'lenient'] as const
export type Accept = (typeof accepts)[number]

/** For a column of ours: the file's values, each with the value that it means. */
export type ValueMap = Partial<Record<Column, Record<string, string>>>

/** What was said with an import about its file. */
export type ImportOptions = {
  /** A label of the WHATWG Encoding Standard, as its name: `shift_jis`. */
  encoding?: string
  accept?: Accept
  /** For a column of ours the file's name of it. */
  columns?: Partial<Record<Column, string>>
  values?: ValueMap
}

/** Characters of a name or a value of the file's. */
const maxTextLength = 255
/** Entries of `values`, of all columns together. */
const maxValues = 1000

type Report = (problem: string) => void

function readEncoding(label: string, report: Report): string | undefined {
  const name = encodingOf(label.trim())
  if (name === undefined) {
    report(
      'must be a label of the WHATWG Encoding Standard, such as windows-1251, but for iso-2022-jp, replacement and x-user-defined, which cannot be cut into slices',
    )
  }
  return name
}

/** What is wrong with a text that a file is said to hold; undefined if nothing is. */
function textProblem(text: unknown): string | undefined {
  if (typeof text !== 'string') return 'must be a string'
  if (!isVisible(text)) return 'must hold a character that can be seen'
  if (text.length > maxTextLength) return `must have at most ${maxTextLength} characters`
  if (text.includes('\0') || !text.isWellFormed()) return 'must be well-formed Unicode without NUL'
  return undefined
}

const isOurs = (name: unknown): name is Column => allColumns.some((column) => column === name)

function entriesOf(value: unknown, report: Report): [string, unknown][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(value)
  report('must be an object')
  return []
}

/**
 * Names of columns, by ours. The other direction is understood if it can mean nothing else: no key is a column of
 * ours, and every value is one.
 */
function readColumns(value: unknown, report: Report): NonNullable<ImportOptions['columns']> {
  const entries = entriesOf(value, report)
  const turned = entries.length > 0 && entries.every(([key, text]) => !isOurs(key) && isOurs(text))
  const columns: NonNullable<ImportOptions['columns']> = {}
  const headers = new Set<string>()
  for (const [ours, header] of turned ? entries.map(([key, text]) => [text, key]) : entries) {
    if (!isOurs(ours)) {
      report(`${quoted(String(ours))} is none of ${either(allColumns)}`)
      continue
    }
    const problem =
      textProblem(header) ?? (columnName(String(header)) === '' ? 'must not be empty' : undefined)
    if (problem) report(`${ours} ${problem}`)
    if (columns[ours] !== undefined) report(`names ${ours} twice`)
    if (problem || columns[ours] !== undefined) continue
    columns[ours] = String(header)
    const canonical = columnName(String(header))
    if (headers.has(canonical)) report(`names the header ${quoted(String(header))} twice`)
    headers.add(canonical)
  }
  return columns
}

/** The target of a value as it is stored; undefined if a strict import would refuse it. */
const targets: Record<Exclude<Column, 'name'>, (text: string) => string | undefined> = {
  gender: parseGender,
  age: (text) => parseAge(text)?.toString(),
  country_id: parseCountry,
  gender_probability: (text) => (parseProbability(text) === undefined ? undefined : text),
  country_probability: (text) => (parseProbability(text) === undefined ? undefined : text),
}

function readValues(value: unknown, report: Report): ValueMap {
  const values: ValueMap = {}
  let total = 0
  for (const [column, map] of entriesOf(value, report)) {
    if (!isOurs(column) || column === 'name') {
      report(`${quoted(column)} is none of ${either(Object.keys(targets))}`)
      continue
    }
    const entries = entriesOf(map, (problem) => report(`${column} ${problem}`))
    total += entries.length
    if (total > maxValues) {
      report(`must have at most ${maxValues} entries`)
      return values
    }
    // Without a prototype: a file may hold "constructor", and a map of values "__proto__".
    const known: Record<string, string> = Object.create(null)
    for (const [text, target] of entries) {
      const problem = textProblem(text)
      if (problem) report(`the value ${quoted(text)} of ${column} ${problem}`)
      const meant = typeof target === 'string' ? targets[column](target) : undefined
      if (meant !== undefined) known[text] = meant
      else report(`${column} of ${quoted(text)} must be a string that a strict import accepts as ${column}`)
    }
    if (entries.length > 0) values[column] = known
  }
  return values
}

/** Reads a value by a function that reports what is wrong with it. */
const reading =
  <In, Out>(read: (value: In, report: Report) => Out) =>
  (value: In, context: z.RefinementCtx): Out => {
    const before = context.issues.length
    const result = read(value, (message) => context.addIssue({ code: 'custom', message }))
    return context.issues.length > before ? z.NEVER : result
  }

const text = { type: 'string', minLength: 1, maxLength: maxTextLength } as const
const byColumn = <T>(columns: readonly string[], schema: T) =>
  Object.fromEntries(columns.map((column) => [column, schema]))

/** The fields of a new import that say how its file is to be read. */
export const optionFields = {
  encoding: z
    .string()
    .transform(reading(readEncoding))
    .optional()
    .meta({
      description:
        'The encoding of the file, by a label of the WHATWG Encoding Standard in any case. A byte order mark in the file wins. iso-2022-jp, replacement and x-user-defined are refused',
      // Of what is sent: the examples of a schema are of what it is read as.
      override: { examples: ['shift_jis', 'windows-1251'] },
    }),
  accept: z
    .enum(accepts)
    .optional()
    .meta({
      description:
        'lenient also reads words for male and female, alpha-3 codes and unambiguous names of countries, and ages such as 25.0. strict if absent',
      examples: ['lenient'],
    }),
  columns: z
    .unknown()
    .transform(reading(readColumns))
    .optional()
    .meta({
      description:
        "For a column of ours the file's name of it. Case, blanks, hyphens and invisible characters do not matter",
      override: {
        examples: [{ name: 'Nombre completo', country_id: 'País' }],
        type: 'object',
        // The other direction has names of the file's as keys.
        properties: byColumn(allColumns, text),
        additionalProperties: { enum: [...allColumns] },
      },
    }),
  values: z
    .unknown()
    .transform(reading(readValues))
    .optional()
    .meta({
      description: `For a column of ours values of the file, each with the value that it means; at most ${maxValues} in all`,
      override: {
        examples: [{ gender: { H: 'male', M: 'female' } }],
        type: 'object',
        properties: byColumn(Object.keys(targets), {
          type: 'object',
          propertyNames: text,
          additionalProperties: { type: 'string' },
        }),
        additionalProperties: false,
      },
    }),
}

type Said = { [Field in keyof ImportOptions]?: ImportOptions[Field] | undefined }

/** What was said, without what is so anyway: two ways to say the same are one. */
export function importOptions({ encoding, accept, columns, values }: Said): ImportOptions {
  return {
    ...(encoding && { encoding }),
    ...(accept === 'lenient' && { accept }),
    ...(columns && Object.keys(columns).length > 0 && { columns }),
    ...(values && Object.keys(values).length > 0 && { values }),
  }
}
