import type { Sql, Transaction } from '../../../lib/platform/db.ts'

type Column = { type: string; required: boolean; filled: boolean }
type Constraint = { definition: string; columns: string[]; validated: boolean }
type Index = { id: number; name: string; definition: string; unique: boolean }

type Table = {
  /** Changes when the table is written anew. */
  file: number
  columns: Record<string, Column>
  /** Checks, references and exclusions. */
  constraints: Constraint[]
  indexes: Index[]
  triggers: string[]
}

/** What code can see of a schema, by the name of the table or view. */
export type Catalogue = Record<string, Table>

/** The catalogue of the schema `public` as the session sees it, without the history of the migrations. */
export async function readCatalogue(sql: Sql | Transaction): Promise<Catalogue> {
  const [row] = await sql<{ catalogue: Catalogue | null }[]>`
    select json_object_agg(relname, json_build_object(
      'file', relfilenode::bigint,
      'columns', (
        select coalesce(json_object_agg(attname, json_build_object(
          'type', format_type(atttypid, atttypmod),
          'required', attnotnull,
          'filled', atthasdef or attidentity <> '')), '{}')
        from pg_attribute where attrelid = class.oid and attnum > 0 and not attisdropped),
      'constraints', (
        select coalesce(json_agg(json_build_object(
          'definition', replace(pg_get_constraintdef(oid), ' NOT VALID', ''),
          'validated', convalidated,
          'columns', (
            select coalesce(json_agg(attname), '[]') from pg_attribute
            where attrelid = class.oid and attnum = any (conkey)))), '[]')
        from pg_constraint where conrelid = class.oid and contype in ('c', 'f', 'x')),
      'indexes', (
        select coalesce(json_agg(json_build_object(
          'id', indexrelid::bigint,
          'name', indexrelid::regclass::text,
          'definition', regexp_replace(pg_get_indexdef(indexrelid), ' INDEX \\S+ ON ', ' INDEX ON '),
          'unique', indisunique)), '[]')
        from pg_index where indrelid = class.oid),
      'triggers', (
        select coalesce(json_agg(tgname), '[]') from pg_trigger
        where tgrelid = class.oid and not tgisinternal))) as catalogue
    from pg_class class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm')
      and relname <> 'schema_migrations'`
  return row?.catalogue ?? {}
}

/** What a migration did that code of the release before may not survive, a sentence each. */
export function breaks(before: Catalogue, after: Catalogue): string[] {
  return eachKept(before, after, (name, old, now) => {
    const found: string[] = []
    if (!now) return [`${name} is gone`]
    for (const [column, was] of Object.entries(old.columns)) {
      const is = now.columns[column]
      if (!is) found.push(`${name}.${column} is gone`)
      else if (is.type !== was.type) found.push(`${name}.${column} is ${is.type}, it was ${was.type}`)
      else if (is.required && !was.required) found.push(`${name}.${column} must not be null any more`)
      if (is && was.filled && !is.filled) found.push(`${name}.${column} has no default any more`)
    }
    for (const [column, is] of Object.entries(now.columns)) {
      if (old.columns[column] || !is.required || is.filled) continue
      found.push(`${name}.${column} is new and must be given`)
    }
    for (const { definition, columns } of newConstraints(old, now)) {
      if (columns.length > 0 && columns.every((column) => !old.columns[column])) continue
      found.push(`${name} has a new ${definition}`)
    }
    for (const definition of missing(uniqueOf(old), uniqueOf(now))) found.push(`${name} has no ${definition}`)
    for (const definition of missing(uniqueOf(now), uniqueOf(old)))
      found.push(`${name} has a new ${definition}`)
    for (const trigger of missing(now.triggers, old.triggers)) found.push(`${name} has a new ${trigger}`)
    return found
  })
}

/** What a migration in a transaction did that keeps code at work waiting for as long as a table is large. */
export function delays(before: Catalogue, after: Catalogue): string[] {
  return eachKept(before, after, (name, old, now) => {
    if (!now) return []
    const found = now.file === old.file ? [] : [`${name} is written anew`]
    const known = new Set(old.indexes.map(({ id }) => id))
    for (const index of now.indexes) {
      if (!known.has(index.id)) found.push(`${name} cannot be written while ${index.name} is built`)
    }
    for (const { definition, validated } of newConstraints(old, now)) {
      if (validated) found.push(`${name} is read in whole for ${definition}`)
    }
    for (const [column, is] of Object.entries(now.columns)) {
      const was = old.columns[column]
      if (was && is.required && !was.required) found.push(`${name} is read in whole for ${column}`)
    }
    return found
  })
}

function eachKept(
  before: Catalogue,
  after: Catalogue,
  compare: (name: string, old: Table, now: Table | undefined) => string[],
): string[] {
  return Object.entries(before)
    .flatMap(([name, old]) => compare(name, old, after[name]))
    .sort()
}

function newConstraints(old: Table, now: Table): Constraint[] {
  const known = new Set(old.constraints.map(({ definition }) => definition))
  return now.constraints.filter(({ definition }) => !known.has(definition))
}

function uniqueOf({ indexes }: Table): string[] {
  return indexes.filter(({ unique }) => unique).map(({ definition }) => definition)
}

function missing(from: string[], others: string[]): string[] {
  return from.filter((one) => !others.includes(one))
}
