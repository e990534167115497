import { csvField, csvText } from '../platform/csv.ts'
import { type ProfileRow, toProfile } from '../profiles/profile.ts'

export const formats = ['csv', 'jsonl'] as const
export type Format = (typeof formats)[number]

export const compressions = ['none', 'gzip'] as const
export type Compression = (typeof compressions)[number]

/** How a file is written. */
export type FileForm = {
  format: Format
  compression: Compression
  /** Whether it begins with a byte order mark, by which Excel knows UTF-8. Only a CSV file may. */
  bom: boolean
}
/** What the outside of a file shows of it. */
type Outside = Pick<FileForm, 'format' | 'compression'>

const contentTypes: Record<Format, string> = {
  csv: 'text/csv; charset=utf-8; header=present',
  jsonl: 'application/jsonl',
}

/**
 * A compressed file is one of gzip, as it is stored and as it is saved: it never has a Content-Encoding, which
 * would have clients unpack it under a name that says otherwise.
 */
export function contentTypeOf({ format, compression }: Outside): string {
  return compression === 'gzip' ? 'application/gzip' : contentTypes[format]
}

/** `csv`, or `csv.gz`. */
export function extensionOf({ format, compression }: Outside): string {
  return compression === 'gzip' ? `${format}.gz` : format
}

/** The first line of a CSV file, which is there also where no profile follows. */
const csvHeader =
  'id,name,gender,gender_probability,age,age_group,country_id,country_name,country_probability,created_at\r\n'

/** What a file begins with. */
export function headOf({ format, bom }: Pick<FileForm, 'format' | 'bom'>): string {
  if (format === 'jsonl') return ''
  return bom ? `\ufeff${csvHeader}` : csvHeader
}

function csvLine(row: ProfileRow): string {
  const profile = toProfile(row)
  const { id, gender, gender_probability, age, age_group, country_id, country_probability } = profile
  const name = csvText(profile.name)
  const country = csvField(profile.country_name)
  return `${id},${name},${gender},${gender_probability ?? ''},${age},${age_group},${country_id},${country},${country_probability ?? ''},${profile.created_at}\r\n`
}

function jsonLine(row: ProfileRow): string {
  return `${JSON.stringify(toProfile(row))}\n`
}

const lines: Record<Format, (row: ProfileRow) => string> = { csv: csvLine, jsonl: jsonLine }

/** The lines of some profiles: CSV by RFC 4180, or the objects of the list. */
export function serialise(rows: readonly ProfileRow[], format: Format): string {
  const line = lines[format]
  let text = ''
  for (const row of rows) text += line(row)
  return text
}

/** `profiles_20261101_120000.csv`, in UTC. */
export function filename(form: Outside, at: Date): string {
  const [day = '', time = ''] = at.toISOString().replaceAll(/[-:]/g, '').split(/[T.]/)
  return `profiles_${day}_${time}.${extensionOf(form)}`
}
