import postgres from 'postgres'

type Sql = postgres.Sql<{ bigint: number }>
type Transaction = postgres.TransactionSql<{ bigint: number }>
type Reserved = postgres.ReservedSql<{ bigint: number }>
type Settings = postgres.Options<{ bigint: postgres.PostgresType<number> }>

/** What this file needs to know of a statement of postgres.js 3.4, beside its public face. */
type Statement = Promise<unknown> & {
  /** Sends it. */
  handler(statement: Statement): void
  resolve(rows: unknown): void
  reject(error: unknown): void
  options: { onexecute?: (connection: { id: number }) => boolean }
}

function isStatement(value: unknown): value is Statement {
  return value instanceof Promise && 'handler' in value
}

/** Whether an error says that the connection of a statement is gone, rather than that the statement was refused. */
export function connectionLost(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  if ('severity' in error) return error.severity !== 'ERROR'
  // Errors of sockets and those that postgres.js makes of a connection have it; those of its arguments do not.
  return 'errno' in error
}

function connectionCut(): Error {
  const code = 'CONNECTION_CLOSED'
  return Object.assign(new Error('Connection cut'), { code, errno: code })
}

/** What a transaction or a reservation knows of its connection. */
class Session {
  lost: Error | undefined
  /** postgres.js's number of it; undefined until a first statement was sent. */
  connection: number | undefined
  /** Rejects when the connection is lost. */
  readonly whenLost: Promise<never>
  readonly #reject: (error: Error) => void

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>()
    promise.catch(() => {})
    this.whenLost = promise
    this.#reject = reject
  }

  lose(error: Error): void {
    this.lost ??= error
    this.#reject(this.lost)
  }
}

/** One of postgres.js's pools, and what runs on it. */
type Generation = { sql: Sql; reservations: Set<Session>; running: number; retired: boolean }

/**
 * A pool of postgres.js that bears a cut connection. By itself postgres.js 3.4.9
 *
 * - writes what a transaction or a reserved connection sends afterwards, its own rollback included, to a socket that
 *   is null: a TypeError in a callback of setImmediate, which nothing can catch and which ends the process;
 * - or, if that connection was made again meanwhile, sends it there, outside of its transaction;
 * - never writes again on a connection that was cut in the tick of a statement
 *   (https://github.com/porsager/postgres/issues/1193), and takes the error of the old session for one of the next.
 *
 * Here a transaction or reservation whose connection is lost rejects, and so does all that it still asks for: nothing
 * of it reaches postgres.js. Once any statement has found its connection gone, those that follow have another pool of
 * postgres.js, and the old one ends with what runs on it.
 */
export function guardedPool(settings: Settings): Sql {
  const retired = new Set<Generation>()
  let current = generation()
  let ended: Promise<unknown> | undefined

  function generation(): Generation {
    const reservations = new Set<Session>()
    const onclose = (id: number) => {
      for (const session of reservations) if ((session.connection ?? id) === id) session.lose(connectionCut())
    }
    const sql = postgres({ ...settings, onclose }) as unknown as Sql
    return { sql, reservations, running: 0, retired: false }
  }

  function retire(own: Generation): void {
    if (own.retired || ended) return
    own.retired = true
    retired.add(own)
    current = generation()
    endIfIdle(own)
  }

  function begun(own: Generation): () => void {
    let running = true
    own.running++
    return () => {
      if (running) own.running--
      running = false
      endIfIdle(own)
    }
  }

  function endIfIdle(own: Generation): void {
    if (own.running > 0 || !retired.delete(own)) return
    // Nobody is left to hear of a failure to close.
    own.sql.end({ timeout: 1 }).catch(() => {})
  }

  /** Has a statement tell of a lost connection, and refuses to send it if its session has lost its own. */
  function armed<T>(statement: T, own: Generation, session?: Session): T {
    if (!isStatement(statement)) return statement
    const { handler, resolve, reject } = statement
    let done = () => {}
    statement.resolve = (rows) => {
      resolve(rows)
      done()
    }
    // Called while the socket tells of its end: before anything that waits for the statement goes on.
    statement.reject = (error) => {
      reject(error)
      if (connectionLost(error)) {
        session?.lose(error)
        retire(own)
      }
      done()
    }
    statement.handler = () => {
      if (session?.lost) {
        // As in a transaction of postgres.js one that nobody waits for is no unhandled rejection.
        Promise.prototype.catch.call(statement, () => {})
        reject(session.lost)
        return
      }
      done = begun(own)
      handler(statement)
    }
    if (session && own.reservations.has(session)) {
      statement.options.onexecute = ({ id }) => {
        session.connection = id
        return true
      }
    }
    return statement
  }

  /** The statements of a session. */
  function guarded<S extends Sql | Transaction>(sql: S, own: Generation, session: Session): S {
    const tag = (...values: unknown[]) => armed(Reflect.apply(sql, undefined, values), own, session)
    const unsafe = (...values: unknown[]) => armed(Reflect.apply(sql.unsafe, undefined, values), own, session)
    // A savepoint's own statements would not be guarded, and nothing here sets one.
    return Object.assign(tag, sql, { unsafe, savepoint: undefined }) as unknown as S
  }

  type Work = (tx: Transaction) => unknown

  /** Work that never ends once its connection is lost: postgres.js would send a commit or a rollback after it. */
  function held(work: Work, own: Generation, session: Session): (tx: Transaction) => Promise<unknown> {
    const forever = new Promise(() => {})
    return async (tx) => {
      try {
        const result = work(guarded(tx, own, session))
        const value = await (Array.isArray(result) ? Promise.all(result) : result)
        return session.lost ? forever : value
      } catch (error) {
        if (session.lost) return forever
        throw error
      }
    }
  }

  async function begin(...values: unknown[]): Promise<unknown> {
    const own = current
    const session = new Session()
    const done = begun(own)
    const work = held(values.pop() as Work, own, session)
    let thrown: unknown
    const transaction: Promise<unknown> = Reflect.apply(own.sql.begin, undefined, [
      ...values,
      (tx: Transaction) =>
        work(tx).catch((error) => {
          thrown = error
          throw error
        }),
    ])
    try {
      return await Promise.race([transaction, session.whenLost])
    } catch (error) {
      // What the work threw may be of another connection, such as that to S3.
      if (error !== thrown && connectionLost(error)) {
        session.lose(error)
        retire(own)
      }
      throw error
    } finally {
      done()
    }
  }

  /**
   * Waits for a statement first, again if its connection was dead already: of a pool without an open connection
   * postgres.js never makes a reservation.
   */
  async function reserve(): Promise<Reserved> {
    const own = current
    try {
      await armed(own.sql`select 1`, own)
    } catch (error) {
      if (!connectionLost(error) || own === current) throw error
      await armed(current.sql`select 1`, current)
      return reservation(current)
    }
    return reservation(own)
  }

  async function reservation(own: Generation): Promise<Reserved> {
    const session = new Session()
    own.reservations.add(session)
    const done = begun(own)
    session.whenLost.catch(() => {
      own.reservations.delete(session)
      done()
    })
    const waiting = own.sql.reserve()
    try {
      const reserved = await Promise.race([waiting, session.whenLost])
      const release = () => {
        if (!own.reservations.delete(session)) return
        reserved.release()
        done()
      }
      return Object.assign(guarded(reserved, own, session), { release })
    } catch (error) {
      session.lose(error as Error)
      // postgres.js makes the connection again for whoever waits to reserve it, and then lets nobody have it.
      retire(own)
      waiting.then((late) => late.release()).catch(() => {})
      throw error
    }
  }

  function end(options?: { timeout?: number }): Promise<unknown> {
    ended ??= Promise.all([current, ...retired].map(({ sql }) => sql.end(options)))
    return ended
  }

  const own: Record<string | symbol, unknown> = {
    unsafe: (...values: unknown[]) => armed(Reflect.apply(current.sql.unsafe, undefined, values), current),
    begin,
    reserve,
    end,
  }
  return new Proxy((() => {}) as unknown as Sql, {
    apply: (_target, _this, values) => armed(Reflect.apply(current.sql, undefined, values), current),
    get: (_target, name) => (Object.hasOwn(own, name) ? own[name] : Reflect.get(current.sql, name)),
  })
}
