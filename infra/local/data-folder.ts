import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/**
 * Makes the data folder if there is none, and closes it to other users with everything that stands in it, also what
 * an earlier version or a copy left open. Only, under root the database runs as another user, who must be able to
 * pass through to its own folder.
 */
export async function openDataFolder(dataDir: string): Promise<void> {
  const made = await mkdir(dataDir, { recursive: true, mode: 0o700 })
  for (const part of ['logs', 's3', 'sqs']) await mkdir(join(dataDir, part), { recursive: true, mode: 0o700 })
  for (const entry of await readdir(dataDir, { withFileTypes: true })) {
    // A link would be followed to what is not ours.
    if (entry.isDirectory()) await close(join(dataDir, entry.name), 0o700)
    else if (entry.isFile()) await close(join(dataDir, entry.name), 0o600)
  }
  const isRoot = process.getuid?.() === 0
  if (!isRoot) {
    // A folder that was given by another user stays as it is: what is in it is closed.
    const { uid } = await stat(dataDir)
    if (uid === process.getuid?.()) await chmod(dataDir, 0o700)
    return
  }
  // The data folder itself too if it was there: what `mktemp -d` makes is closed to everyone else.
  for (let at = dataDir; at.startsWith(made ?? dataDir); at = dirname(at)) await chmod(at, 0o711)
}

async function close(path: string, mode: number): Promise<void> {
  await chmod(path, mode).catch((error: NodeJS.ErrnoException) => {
    // Another start on the folder has taken its lock away meanwhile.
    if (error.code !== 'ENOENT') throw error
  })
}
