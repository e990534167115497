import { existsSync } from 'node:fs'
import { chown, copyFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asSuperuser, superuserName } from './postgres-roles.ts'
import { type Account, postgresAccount } from './postgres-setup.ts'

export type Primary = { folder: string; port: number; superuserPassword: string }

/** Keeps on the primary what the standby has not had yet, also while that is stopped. */
const slot = 'insighta_reader'

/** What belongs to the server that runs on a folder. */
const ownFiles = new Set(['postmaster.pid', 'postmaster.opts', 'pg_internal.init', 'postgresql.auto.conf'])
const ownFolders = new Set([
  'pg_dynshmem',
  'pg_notify',
  'pg_replslot',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
  'pg_wal',
])

/**
 * Makes `folder` the data of a standby that follows the running primary: that of the last start where it can go
 * on from there, else a copy.
 */
export async function prepareStandby(folder: string, primary: Primary): Promise<void> {
  const write = await writerFor(primary.folder)
  if (!(await canGoOn(folder, primary))) await copyPrimary(folder, primary, write)
  // At every start: the primary may have another port by now.
  await write.file(join(folder, 'postgresql.auto.conf'), settings(primary))
}

async function canGoOn(folder: string, { port, superuserPassword }: Primary): Promise<boolean> {
  if (!existsSync(join(folder, 'standby.signal'))) return false
  return asSuperuser(port, superuserPassword, 'postgres', async (sql) => {
    const [found] = await sql`
      select from pg_replication_slots where slot_name = ${slot} and wal_status in ('reserved', 'extended')`
    return found !== undefined
  })
}

function settings({ port, superuserPassword }: Primary): string {
  const conninfo = `host=127.0.0.1 port=${port} user=${superuserName} password=${superuserPassword}`
  return `primary_conninfo = '${conninfo} application_name=reader'\nprimary_slot_name = '${slot}'\n`
}

/** A base backup: https://www.postgresql.org/docs/18/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP */
async function copyPrimary(folder: string, primary: Primary, write: Writer): Promise<void> {
  // Under another name until it is whole.
  const unfinished = `${folder}.new`
  await rm(unfinished, { recursive: true, force: true })
  await rm(folder, { recursive: true, force: true })
  await asSuperuser(primary.port, primary.superuserPassword, 'postgres', async (sql) => {
    await sql`select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = ${slot}`
    await sql`select pg_create_physical_replication_slot(${slot}, true)`
    await sql`select pg_backup_start('reader', true)`
    await copyFolder(primary.folder, unfinished, write)
    const [backup] = await sql<{ labelfile: string }[]>`select labelfile from pg_backup_stop()`
    await write.file(join(unfinished, 'backup_label'), backup!.labelfile)
  })
  await write.file(join(unfinished, 'standby.signal'), '')
  await rename(unfinished, folder)
}

async function copyFolder(from: string, to: string, write: Writer): Promise<void> {
  await write.folder(to)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (ownFolders.has(entry.name)) await write.folder(target)
    else if (entry.isDirectory()) await copyFolder(source, target, write)
    else if (entry.isFile() && !ownFiles.has(entry.name)) await write.copy(source, target)
  }
}

type Writer = Awaited<ReturnType<typeof writerFor>>

/** Writes what the server's account owns and nobody else reads. */
async function writerFor(folder: string) {
  const account: Account | undefined = await postgresAccount(folder)
  const own = async (path: string) => {
    if (account) await chown(path, account.uid, account.gid)
  }
  return {
    async folder(path: string) {
      await mkdir(path, { mode: 0o700 })
      await own(path)
    },
    async file(path: string, text: string) {
      await writeFile(path, text, { mode: 0o600 })
      await own(path)
    },
    async copy(from: string, to: string) {
      try {
        await copyFile(from, to)
      } catch (error) {
        // The primary goes on working, and its log says what became of the file.
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
        throw error
      }
      await own(to)
    },
  }
}
