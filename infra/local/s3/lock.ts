/** Runs work one after another for each key, and for different keys side by side. */
export type KeyedLock = <T>(key: string, work: () => Promise<T>) => Promise<T>

export function createKeyedLock(): KeyedLock {
  const tails = new Map<string, Promise<void>>()
  return async (key, work) => {
    const before = tails.get(key)
    const { promise: tail, resolve } = Promise.withResolvers<void>()
    tails.set(key, tail)
    await before
    try {
      return await work()
    } finally {
      if (tails.get(key) === tail) tails.delete(key)
      resolve()
    }
  }
}
