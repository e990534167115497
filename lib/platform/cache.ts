import { LRUCache } from 'lru-cache'
import { countCacheError, sharedRedis } from './redis.ts'

/** What the shared tier is asked of Redis. */
export type SharedCommands = {
  get(key: string): Promise<string | null>
  set(key: string, value: string, unit: 'PX', milliseconds: number): Promise<unknown>
}

/** The tier that all execution environments share. A failure of it is a miss, never an error. */
export type SharedTier = {
  /** What is stored, parsed; undefined where there is nothing, nothing that can be read, or no tier. */
  read(key: string): Promise<unknown>
  /** Begins to store a value, which JSON must be able to hold; see settle(). */
  write(key: string, value: unknown, milliseconds: number): void
  /**
   * Resolves when every write begun so far has ended, within the timeout of a command. To be awaited before an
   * environment may be frozen: a command in flight would be lost, and its timeout end a sound connection when
   * time goes on.
   */
  settle(): Promise<void>
}

/** Characters of an entry at the most, several times a page of the longest names; more stays in memory alone. */
const largestEntry = 256 * 1024

/** The shared tier behind a connection; `prefix` keeps its keys apart from all others. */
export function createSharedTier(
  prefix: string,
  connect: () => Promise<SharedCommands | undefined> = sharedRedis,
): SharedTier {
  const writing = new Set<Promise<void>>()

  async function store(key: string, text: string, milliseconds: number): Promise<void> {
    try {
      await (await connect())?.set(prefix + key, text, 'PX', milliseconds)
    } catch {
      countCacheError()
    }
  }

  return {
    async read(key) {
      try {
        const text = await (await connect())?.get(prefix + key)
        // JSON: a page of 50 takes 29 us to write and 27 to read; in V8's own format 22 and 69.
        return text ? (JSON.parse(text) as unknown) : undefined
      } catch {
        countCacheError()
        return undefined
      }
    },
    write(key, value, milliseconds) {
      const text = JSON.stringify(value)
      if (text.length > largestEntry) return
      const write = store(key, text, milliseconds).finally(() => writing.delete(write))
      writing.add(write)
    },
    async settle() {
      await Promise.all(writing)
    },
  }
}

/** Where a value came from: this environment's memory, the shared tier, or its source. */
export type Origin = 'memory' | 'shared' | 'source'

export type CacheOptions<Value extends object, Context> = {
  /** Sets its keys in the shared tier apart from those of other caches. */
  name: string
  /** Entries in memory, or their sizes together. */
  bound: { max: number } | { maxSize: number; sizeCalculation(value: Value, key: string): number }
  /** Milliseconds that an entry is kept, in either tier. */
  ttl: number
  /** In milliseconds; never goes back. */
  now: () => number
  tier: SharedTier
  /** Whether what the shared tier holds has the shape of a value. */
  fits(found: unknown): found is Value
  /** Whether the shared tier is worth its round trip. Default: always. */
  shares?(context: Context): boolean
  /** Has the value from its source. */
  load(context: Context): Promise<Value>
}

export type Cache<Value, Context> = {
  /** The value of a key; of many that ask at once one looks for it. Rejects as `load` does. */
  get(key: string, context: Context): Promise<{ value: Value; origin: Origin }>
}

/** A cache in memory before one that is shared. A key must mean the same in every environment and for ever. */
export function createCache<Value extends object, Context>(
  options: CacheOptions<Value, Context>,
): Cache<Value, Context> {
  const { name, bound, ttl, now, tier, fits, shares = () => true, load } = options
  type Asked = { context: Context; origin: Origin }

  async function find(key: string, asked: Asked): Promise<Value> {
    const sharing = shares(asked.context)
    const found = sharing ? await tier.read(`${name} ${key}`) : undefined
    if (found !== undefined) {
      if (fits(found)) {
        asked.origin = 'shared'
        return found
      }
      countCacheError()
    }
    const value = await load(asked.context)
    if (sharing) tier.write(`${name} ${key}`, value, ttl)
    return value
  }

  const memory = new LRUCache<string, Value, Asked>({
    ...bound,
    ttl,
    perf: { now },
    ttlResolution: 0,
    // An entry pushed out while it is read is still an answer for those who wait.
    ignoreFetchAbort: true,
    fetchMethod: (key, _stale, { context }) => find(key, context),
  })

  return {
    async get(key, context) {
      const asked: Asked = { context, origin: 'source' }
      const status: LRUCache.Status<string, Value, Asked> = {}
      const value = await memory.forceFetch(key, { context: asked, status })
      return { value, origin: status.fetch === 'hit' ? 'memory' : asked.origin }
    },
  }
}
