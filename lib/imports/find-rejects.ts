import type { Sql } from '../platform/db.ts'
import { ConflictError, UnavailableError } from '../platform/errors.ts'
import { rejectsPrefix } from '../platform/names.ts'
import type { Storage } from '../platform/storage.ts'
import { rowsForm } from './reject-rows.ts'
import { keyOf, type RejectForm, rejectsHeader, storeRejects } from './rejects.ts'
import type { ImportSummary } from './report.ts'
import { findImport } from './store.ts'

export type FindContext = { sql: Sql; storage: Storage }

/**
 * The key of an import's file of skipped rows in a form. One that ended before it was scanned gets a header only.
 * Throws ConflictError while the import has not finished, and if the file is not there; UnavailableError if S3 does
 * not say.
 */
export async function findRejects(
  { sql, storage }: FindContext,
  file: Pick<ImportSummary, 'id' | 'state' | 'rejects_key' | 'finished_at'>,
  form: RejectForm,
): Promise<string> {
  if (!file.finished_at) throw new ConflictError(unfinished(file), 'not_finished')
  try {
    const stored = file.rejects_key ?? (await storeEmpty({ sql, storage }, file.id))
    if (await storage.exists(keyOf(stored, form))) return keyOf(stored, form)
    const old = form === 'rows' && (await storage.exists(keyOf(stored, 'report')))
    throw new ConflictError(
      old ? 'The import is older than this form: import its file again' : 'The file has expired',
      'not_available',
    )
  } catch (error) {
    if (error instanceof ConflictError) throw error
    throw new UnavailableError('The file of skipped rows cannot be looked for now; try again', error)
  }
}

/** Both forms without a row, under keys of the import's own: however often it is asked for, the same objects. */
async function storeEmpty({ sql, storage }: FindContext, id: string): Promise<string> {
  const key = `${rejectsPrefix}${id}/none.csv`
  const file = (await findImport(sql, id))!
  await storeRejects(storage, key, { report: rejectsHeader, rows: rowsForm(file).header })
  return key
}

function unfinished({ state }: Pick<ImportSummary, 'state'>): string {
  if (state === 'cancelled') return 'The import was cancelled, and its last rows are being counted: try again'
  if (state === 'awaiting_upload') return 'The import still waits for its file'
  return `The import has not finished: it is ${state}`
}
