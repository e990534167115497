import { execFile } from 'node:child_process'
import { chmod, chown, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../../..')

/**
 * What a small machine has. No compiler, make, cmake or Python: whatever would build something while it is
 * installed must fail here.
 */
const tools = [
  ...[
    'awk',
    'basename',
    'bash',
    'cat',
    'chmod',
    'cp',
    'cut',
    'date',
    'dirname',
    'echo',
    'env',
    'expr',
    'false',
  ],
  ...[
    'find',
    'git',
    'grep',
    'gzip',
    'head',
    'hostname',
    'id',
    'kill',
    'ln',
    'ls',
    'mkdir',
    'mktemp',
    'mv',
    'ps',
  ],
  ...[
    'readlink',
    'realpath',
    'rm',
    'rmdir',
    'sed',
    'seq',
    'sh',
    'sleep',
    'sort',
    'tail',
    'tar',
    'tee',
    'test',
  ],
  ...['touch', 'tr', 'true', 'uname', 'wc', 'which', 'xargs', 'curl'],
]

/** The user `nobody` of Debian and others; what runs as it owns nothing but its own folder. */
export const plainUser = { uid: 65534, gid: 65534 }

export type Workshop = {
  folder: string
  /** Downloads a Node and an npm from the registry, once each, and returns a folder with both as programs. */
  programs(node: string, npm: string): Promise<{ bin: string; node: string; npm: string }>
  /** A clean copy of the project with a home folder beside it, owned by the user. */
  copy(
    name: string,
    owner: { uid: number; gid: number } | undefined,
  ): Promise<{ project: string; home: string }>
  /** PATH of the small machine, behind `bin`. */
  path(bin: string): string
}

export async function openWorkshop(folder: string): Promise<Workshop> {
  // The user's own folders are in it.
  await chmod(folder, 0o755)
  const small = join(folder, 'tools')
  await mkdir(small)
  for (const tool of tools) {
    const { stdout } = await run('/bin/sh', ['-c', 'command -v -- "$1"', 'sh', tool]).catch(() => ({
      stdout: '',
    }))
    const found = stdout.trim()
    if (found.startsWith('/')) await symlink(found, join(small, tool))
  }
  const download = once(async (name: string) => {
    const target = join(folder, 'packages', name.replaceAll('/', '-'))
    await mkdir(target, { recursive: true })
    const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', target, name], {
      cwd: folder,
    })
    await run('tar', ['-xzf', join(target, stdout.trim().split('\n').at(-1)!), '-C', target])
    const { version } = JSON.parse(await readFile(join(target, 'package/package.json'), 'utf8'))
    return { folder: join(target, 'package'), version: (version as string).replace(/^v/, '') }
  })
  return {
    folder,
    async programs(node, npm) {
      const [runtime, manager] = [
        await download(`node-${process.platform}-${process.arch}@${node}`),
        await download(`npm@${npm}`),
      ]
      const bin = join(folder, 'bin', `${runtime.version}-${manager.version}`)
      await mkdir(bin, { recursive: true })
      await symlink(join(runtime.folder, 'bin/node'), join(bin, 'node')).catch(() => {})
      for (const name of ['npm', 'npx']) {
        const script = join(manager.folder, `bin/${name}-cli.js`)
        await writeFile(join(bin, name), `#!/bin/sh\nexec "${bin}/node" "${script}" "$@"\n`, { mode: 0o755 })
      }
      return { bin, node: runtime.version, npm: manager.version }
    },
    async copy(name, owner) {
      const [project, home] = [join(folder, name, 'insighta'), join(folder, name, 'home')]
      await mkdir(home, { recursive: true })
      const { stdout } = await run('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
        cwd: root,
      })
      for (const file of stdout.split('\0').filter(Boolean)) {
        // A file that was removed and is not committed as such yet is listed still.
        await cp(join(root, file), join(project, file)).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error
        })
      }
      if (owner) await giveTo(join(folder, name), owner)
      return { project, home }
    },
    path: (bin) => [bin, small].join(delimiter),
  }
}

async function giveTo(folder: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  await chown(folder, uid, gid)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    await chown(join(entry.parentPath, entry.name), uid, gid)
  }
}

function once<Value>(work: (name: string) => Promise<Value>): (name: string) => Promise<Value> {
  const done = new Map<string, Promise<Value>>()
  return (name) => {
    const known = done.get(name) ?? work(name)
    done.set(name, known)
    return known
  }
}
