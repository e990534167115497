/** UTF-8 byte order, S3's own. UTF-16 order differs where a surrogate pair meets U+E000 to U+FFFF. */
export function compareKeys(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index += 1) {
    const a = left.charCodeAt(index)
    const b = right.charCodeAt(index)
    if (a !== b) return codeUnitRank(a) - codeUnitRank(b)
  }
  return left.length - right.length
}

function codeUnitRank(unit: number): number {
  const surrogate = unit >= 0xd800 && unit <= 0xdfff
  return surrogate ? unit + 0x10000 : unit
}

/** The index of the first item for which `beyond` holds; the items must be partitioned by it. */
function partition(items: readonly string[], beyond: (item: string) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (beyond(items[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}

/** Keys in S3's order. Adding and removing cost a copy of the tail: 0.1 ms at 100,000 keys. */
export function createSortedKeys(keys: Iterable<string>): {
  keys: readonly string[]
  add(key: string): void
  remove(key: string): void
} {
  const sorted = [...keys].sort(compareKeys)
  const place = (key: string) => partition(sorted, (item) => compareKeys(item, key) >= 0)
  return {
    keys: sorted,
    add(key) {
      const index = place(key)
      if (sorted[index] !== key) sorted.splice(index, 0, key)
    },
    remove(key) {
      const index = place(key)
      if (sorted[index] === key) sorted.splice(index, 1)
    },
  }
}

export type ListQuery = {
  prefix: string
  delimiter: string
  /** Only keys and common prefixes beyond this one; all keys under a common prefix count as it. */
  after: string
  limit: number
}

export type ListPage = { keys: string[]; prefixes: string[]; truncated: boolean; last: string }

/** One page of sorted keys; keys sharing what precedes the delimiter are rolled up into one prefix. */
export function listPage(
  sorted: readonly string[],
  { prefix, delimiter, after, limit }: ListQuery,
): ListPage {
  const page: ListPage = { keys: [], prefixes: [], truncated: false, last: '' }
  if (limit === 0) return page
  const pastGroup = (group: string) =>
    partition(sorted, (key) => compareKeys(key, group) > 0 && !key.startsWith(group))
  const groupOf = (key: string): string | undefined => {
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    return at < 0 ? undefined : key.slice(0, at + delimiter.length)
  }
  let index = partition(sorted, (key) => compareKeys(key, prefix) >= 0 && compareKeys(key, after) > 0)
  if (after !== '' && after.startsWith(prefix) && groupOf(after) === after) {
    index = Math.max(index, pastGroup(after))
  }
  while (index < sorted.length) {
    const key = sorted[index]!
    if (!key.startsWith(prefix)) break
    if (page.keys.length + page.prefixes.length === limit) {
      page.truncated = true
      break
    }
    const group = groupOf(key)
    if (group === undefined) {
      page.keys.push(key)
      index += 1
    } else {
      page.prefixes.push(group)
      index = pastGroup(group)
    }
    page.last = group ?? key
  }
  return page
}
