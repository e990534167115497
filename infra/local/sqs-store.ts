import { findPackageJSON } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { buildApp } from 'fauxqs'

type Stores = NonNullable<NonNullable<Parameters<typeof buildApp>[0]>['stores']>
type SqsStore = Stores['sqsStore']
export type SqsQueue = ReturnType<SqsStore['createQueue']>
export type StoredMessage = Parameters<SqsQueue['enqueue']>[0]

/** The part of fauxqs's PersistenceManager that is used here; `db` is private only to the compiler. */
type Persistence = NonNullable<SqsStore['persistence']>
type PersistenceInternals = {
  db: {
    exec(sql: string): void
    prepare(sql: string): { run(...values: unknown[]): unknown }
  }
}

type MessageAttributes = StoredMessage['messageAttributes']
type SqsStoreClass = {
  new (): SqsStore
  createMessage(body: string, attributes: MessageAttributes, delaySeconds: number | undefined): StoredMessage
}

export type LoadedStores = Stores & {
  createMessage: SqsStoreClass['createMessage']
  /** Resolves when a message may have become visible, at `until` (Unix milliseconds), or on abort. */
  change(queue: SqsQueue, until: number, signal: AbortSignal | undefined): Promise<void>
  close(): void
}

/**
 * The stores that `buildApp` takes, kept in `<dataDir>/fauxqs.db`. Only startFauxqs wires persistence by itself,
 * and it listens on 0.0.0.0; the classes are not exported, so they are taken from the files of the package.
 * `restore` reads what was kept, giving the queues URLs under `endpoint`.
 */
export async function loadStore(
  dataDir: string,
): Promise<{ stores: LoadedStores; restore(endpoint: string): void }> {
  const description = findPackageJSON('fauxqs', import.meta.url)
  if (description === undefined) throw new Error('fauxqs is not installed')
  const load = (file: string) => import(new URL(file, pathToFileURL(description)).href)
  const { SqsStore: Store } = (await load('./dist/sqs/sqsStore.js')) as { SqsStore: SqsStoreClass }
  const { SnsStore } = (await load('./dist/sns/snsStore.js')) as { SnsStore: new () => Stores['snsStore'] }
  const { S3Store } = (await load('./dist/s3/s3Store.js')) as { S3Store: new () => Stores['s3Store'] }
  const { PersistenceManager } = (await load('./dist/persistence.js')) as {
    PersistenceManager: new (dataDir: string) => Persistence
  }
  const { INVALID_MESSAGE_BODY_CHAR } = (await load('./dist/sqs/sqsTypes.js')) as {
    INVALID_MESSAGE_BODY_CHAR: RegExp
  }
  allowWholeUnicode(INVALID_MESSAGE_BODY_CHAR)

  const persistence = new PersistenceManager(dataDir)
  const { db } = persistence as unknown as PersistenceInternals
  // With the write-ahead log a killed process loses nothing; only a power failure may cost the last
  // messages. The default waits for the disk on every message: 167 sends per second instead of thousands.
  db.exec('PRAGMA synchronous = NORMAL')
  // fauxqs 2.4.1 writes NULL into the NOT NULL receive count when a message is made visible at once, which
  // throws after the message has left the memory.
  const makeReady = db.prepare(
    'UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?',
  )
  persistence.updateMessageReady = (messageId) => void makeReady.run(messageId)

  const waiters = new WeakMap<SqsQueue, Set<() => void>>()

  const store = new Store()
  const createQueue = store.createQueue.bind(store)
  store.createQueue = (...details) => wakeOnChange(createQueue(...details))

  /** A long poll has to look again when a deadline moves, not only when a message arrives. */
  function wakeOnChange(queue: SqsQueue): SqsQueue {
    const waiting = new Set<() => void>()
    waiters.set(queue, waiting)
    const wake = () => {
      for (const resolve of [...waiting]) resolve()
    }
    const { enqueue, changeVisibility, dequeue } = queue
    queue.enqueue = (message) => {
      enqueue.call(queue, message)
      wake()
    }
    queue.changeVisibility = (handle, seconds) => {
      changeVisibility.call(queue, handle, seconds)
      wake()
    }
    queue.dequeue = (...details) => {
      const received = dequeue.call(queue, ...details)
      if (received.length > 0) wake()
      return received
    }
    return queue
  }

  const stores: LoadedStores = {
    sqsStore: store,
    snsStore: new SnsStore(),
    s3Store: new S3Store(),
    createMessage: Store.createMessage,
    change(queue, until, signal) {
      return new Promise((resolve) => {
        const waiting = waiters.get(queue)
        const done = () => {
          clearTimeout(timer)
          waiting?.delete(done)
          signal?.removeEventListener('abort', done)
          resolve()
        }
        const timer = setTimeout(done, Math.max(0, Math.min(until, nextDeadline(queue)) - Date.now()))
        waiting?.add(done)
        signal?.addEventListener('abort', done)
      })
    },
    close() {
      // Its own preClose hook has ended the long polls by now.
      ;(persistence as unknown as { close(): void }).close()
    },
  }

  return {
    stores,
    restore(endpoint) {
      db.prepare("UPDATE sqs_queues SET url = ? || '/000000000000/' || name").run(endpoint)
      // In this order: writing while reading would delete the rows it reads.
      persistence.loadSqsAndSns(store, stores.snsStore)
      store.persistence = persistence
      for (const queue of store.allQueues()) queue.persistence = persistence
    },
  }
}

/** When the next message in flight or delayed becomes visible by itself, in Unix milliseconds. */
function nextDeadline(queue: SqsQueue): number {
  let deadline = Infinity
  for (const { visibilityDeadline } of queue.inflightMessages.values()) {
    deadline = Math.min(deadline, visibilityDeadline)
  }
  for (const { delayUntil } of queue.delayedMessages) deadline = Math.min(deadline, delayUntil ?? Infinity)
  return deadline
}

/**
 * fauxqs looks at UTF-16 units and so refuses every character beyond U+FFFF, an emoji for example; SQS allows
 * them and refuses only lone surrogates. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
 */
function allowWholeUnicode(pattern: RegExp) {
  const refused = /[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u
  pattern.test = (text) => refused.test(text)
}
