import { join } from 'node:path'
import type { Platform } from './platform.ts'
import { type Postgres, startPostgres } from './postgres.ts'
import { prepareDatabase, setApplicationPasswords, superuserName } from './postgres-roles.ts'
import type { ClusterRequest } from './resources/services.ts'

export type DatabaseOptions = {
  dataDir: string
  port: number
  platform: Platform
  log(line: string): void
  onLost(error: Error): void
}

/** The one database cluster of the templates. */
export type LocalDatabase = {
  /** Starts the server with the cluster's database and master user. Throws at a second cluster. */
  startCluster(request: ClusterRequest): Promise<{ host: string; port: number }>
  /** Gives the application password to the roles that would use IAM on RDS. */
  refreshLogins(): Promise<void>
  /** Whether this start made the data folder. */
  isNew(): boolean
  /** As the master user. Throws where no cluster was started. */
  url(): string
  stop(): Promise<void>
  /** After stop(). */
  start(): Promise<void>
}

export function createDatabase(options: DatabaseOptions): LocalDatabase {
  const { port, platform } = options
  let server: Postgres | undefined
  let request: ClusterRequest | undefined

  return {
    async startCluster(wanted) {
      if (request) throw new Error('The local cloud runs one database cluster, and the templates have two')
      request = wanted
      server = await startPostgres({
        folder: join(options.dataDir, 'postgres'),
        port,
        superuser: { name: superuserName, password: platform.superuserPassword },
        logFile: join(options.dataDir, 'logs', 'postgres.log'),
        log: options.log,
        onLost: options.onLost,
      })
      const master = { user: wanted.masterUser, password: wanted.masterPassword }
      await prepareDatabase(port, platform.superuserPassword, master, wanted.databaseName)
      return { host: '127.0.0.1', port }
    },
    async refreshLogins() {
      if (server)
        await setApplicationPasswords(port, platform.superuserPassword, platform.applicationPassword)
    },
    isNew: () => server?.isNew ?? false,
    url() {
      if (!request) throw new Error('The templates have no database cluster')
      const { masterUser, masterPassword, databaseName } = request
      const login = `${encodeURIComponent(masterUser)}:${encodeURIComponent(masterPassword)}`
      return `postgres://${login}@127.0.0.1:${port}/${databaseName}`
    },
    async stop() {
      await server?.stop()
    },
    async start() {
      await server?.start()
    },
  }
}
