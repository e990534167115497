import type { SliceRead } from './insert.ts'
import type { UnreadValues } from './report.ts'
import { unreadValues } from './row.ts'
import { type ValueColumn, valueColumns } from './values.ts'

/** Characters of a value that are kept. */
const maxLength = 50
/** Values of a column that a slice keeps, the most frequent: of some tens of slices the report shows fewer. */
const maxValues = 50

/**
 * How often each value of a slice could not be read, in all columns but the name's, whatever else its row was refused
 * for; null if there is none. Broken and malformed rows say nothing.
 */
export function countUnread({ records, layout }: SliceRead): UnreadValues | null {
  const counts = new Map<ValueColumn, Map<string, number>>()
  for (const { fields, broken } of records) {
    if (!fields || broken) continue
    for (const { column, value } of unreadValues(fields, layout)) {
      const ofColumn = counts.get(column) ?? new Map<string, number>()
      const shown = cut(value)
      counts.set(column, ofColumn.set(shown, (ofColumn.get(shown) ?? 0) + 1))
    }
  }
  if (counts.size === 0) return null
  return Object.fromEntries(
    valueColumns.flatMap((column) => {
      const ofColumn = counts.get(column)
      return ofColumn ? [[column, mostFrequent(ofColumn)] as const] : []
    }),
  )
}

function mostFrequent(counts: Map<string, number>): { value: string; count: number }[] {
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count)
    .slice(0, maxValues)
}

/** Its first characters, none of them halved. */
function cut(value: string): string {
  if (value.length <= maxLength) return value
  return [...value.slice(0, maxLength * 2)].slice(0, maxLength).join('')
}
