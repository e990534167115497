import { join } from 'node:path'
import type { Platform } from './platform.ts'
import { makeCluster, type Postgres, startPostgres } from './postgres.ts'
import { prepareDatabase, setApplicationPasswords, superuserName } from './postgres-roles.ts'
import { prepareStandby } from './postgres-standby.ts'
import type { ClusterRequest } from './resources/services.ts'

export type DatabaseOptions = {
  dataDir: string
  /** Of the writer and of the reader. */
  port: number
  readerPort: number
  platform: Platform
  log(line: string): void
  onLost(error: Error): void
}

/** The one database cluster of the templates; its folder is made at once. */
export type LocalDatabase = {
  /** Starts the server with the cluster's database and master user. Throws at a second cluster. */
  startCluster(request: ClusterRequest): Promise<{ host: string; port: number }>
  /** Starts a streaming standby of the cluster. Throws where there is none yet, or a reader already. */
  startReader(): Promise<{ host: string; port: number }>
  /** Gives the application password to the roles that would use IAM on RDS. */
  refreshLogins(): Promise<void>
  /** Whether this start made the data folder. */
  isNew(): boolean
  /** As the master user. Throws where no cluster was started. */
  url(): string
  /** Of the reader, as the master user. Throws where there is none. */
  readerUrl(): string
  /** The writer alone, as in an outage. */
  stop(): Promise<void>
  /** After stop(). */
  start(): Promise<void>
  stopReader(): Promise<void>
  /** After stopReader(). */
  continueReader(): Promise<void>
  /** Ends every server. */
  close(): Promise<void>
}

export function createDatabase(options: DatabaseOptions): LocalDatabase {
  const { port, readerPort, platform } = options
  let server: Postgres | undefined
  let reader: Postgres | undefined
  let request: ClusterRequest | undefined

  const folderOf = (name: string) => join(options.dataDir, name)
  const superuser = { name: superuserName, password: platform.superuserPassword }
  // Two seconds of a core that what asks for the cluster need not wait for.
  const making = makeCluster({ folder: folderOf('postgres'), superuser })
  let isNew = false
  // Whoever asks for the cluster hears of it.
  making.catch(() => {})

  const run = (name: string, at: number) =>
    startPostgres({
      folder: folderOf(name),
      port: at,
      superuser,
      logFile: join(options.dataDir, 'logs', `${name}.log`),
      log: options.log,
      onLost: options.onLost,
    })
  function urlAt(at: number): string {
    if (!request) throw new Error('The templates have no database cluster')
    const { masterUser, masterPassword, databaseName } = request
    const login = `${encodeURIComponent(masterUser)}:${encodeURIComponent(masterPassword)}`
    return `postgres://${login}@127.0.0.1:${at}/${databaseName}`
  }

  return {
    async startCluster(wanted) {
      if (request) throw new Error('The local cloud runs one database cluster, and the templates have two')
      request = wanted
      isNew = await making
      server = await run('postgres', port)
      const master = { user: wanted.masterUser, password: wanted.masterPassword }
      await prepareDatabase(port, platform.superuserPassword, master, wanted.databaseName)
      return { host: '127.0.0.1', port }
    },
    async startReader() {
      if (!server || reader) throw new Error('The local cloud runs one reader, of one database cluster')
      const { superuserPassword } = platform
      await prepareStandby(folderOf('reader'), { folder: folderOf('postgres'), port, superuserPassword })
      reader = await run('reader', readerPort)
      return { host: '127.0.0.1', port: readerPort }
    },
    async refreshLogins() {
      if (server)
        await setApplicationPasswords(port, platform.superuserPassword, platform.applicationPassword)
    },
    isNew: () => isNew,
    url: () => urlAt(port),
    readerUrl() {
      if (!reader) throw new Error('The templates have no reader')
      return urlAt(readerPort)
    },
    async stop() {
      await server?.stop()
    },
    async start() {
      await server?.start()
    },
    async stopReader() {
      await reader?.stop()
    },
    async continueReader() {
      await reader?.start()
    },
    async close() {
      await making.catch(() => {})
      // In this order: a primary that ends first waits for its standby to have had everything.
      await reader?.stop()
      await server?.stop()
    },
  }
}
