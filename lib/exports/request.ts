import { type Filter, filterKey } from '../profiles/filter.ts'
import type { Sort } from '../profiles/page.ts'
import { extensionOf, type FileForm } from './format.ts'

/** What is asked for: which profiles, in which order, in which form. */
export type ExportRequest = { filter: Filter; sort: Sort } & FileForm

/** A text that is equal for requests of equal meaning, and only for those. */
export function requestKey({ filter, sort, ...form }: ExportRequest): string {
  return `${extensionOf(form)}${form.bom ? ' bom' : ''} ${sort.by} ${sort.order} ${filterKey(filter)}`
}
