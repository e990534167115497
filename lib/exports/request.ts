import { type Filter, filterKey } from '../profiles/filter.ts'
import type { Sort } from '../profiles/page.ts'
import type { Format } from './format.ts'

/** What is asked for: which profiles, in which order, in which form. */
export type ExportRequest = { filter: Filter; sort: Sort; format: Format }

/** A text that is equal for requests of equal meaning, and only for those. */
export function requestKey({ filter, sort, format }: ExportRequest): string {
  return `${format} ${sort.by} ${sort.order} ${filterKey(filter)}`
}
