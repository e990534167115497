import { randomInt } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import * as z from 'zod'
import { loopback } from './hosts.ts'
import { readJsonFile, writePrivateJson } from './private-file.ts'
import { isRunning, startOf } from './processes.ts'

export const portNames = ['s3', 'sqs', 'aws', 'postgres', 'reader', 'simulators', 'cache'] as const
export type PortName = (typeof portNames)[number]
export type Ports = Record<PortName, number>

/**
 * Below the ports that Linux (from 32,768) and macOS (from 49,152) give to outgoing connections, one of which
 * could otherwise hold a remembered port at the next start.
 */
const [lowest, highest] = [20_000, 32_000]

/** Whether the port can be listened on now. */
export function portIsFree(port: number, host: string = loopback): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}

/** A free port below those that the system hands out by itself. */
export async function randomFreePort(): Promise<number> {
  for (;;) {
    const port = randomInt(lowest, highest)
    if (await portIsFree(port)) return port
  }
}

/**
 * The ports of this data folder: those of the last start where they are still free, others where not. They
 * are remembered in `ports.json`, since URLs of queues and of uploads in progress contain them. `host` is what S3
 * listens on; the others are on loopback.
 */
export async function choosePorts(dataDir: string, host: string = loopback): Promise<Ports> {
  const file = join(dataDir, 'ports.json')
  const remembered =
    z.partialRecord(z.enum(portNames), z.int()).safeParse(await readJsonFile(file)).data ?? {}
  const chosen: Partial<Ports> = {}
  for (const name of portNames) {
    const at = name === 's3' ? host : loopback
    let port = remembered[name]
    while (port === undefined || Object.values(chosen).includes(port) || !(await portIsFree(port, at))) {
      port = await randomFreePort()
    }
    chosen[name] = port
  }
  await writePrivateJson(file, chosen)
  return chosen as Ports
}

/** Thrown when a copy of the local cloud already runs on the data folder. */
export class DataDirInUseError extends Error {
  override readonly name = 'DataDirInUseError'
}

/**
 * Takes the data folder for this process; returns what gives it back. A lock whose process has ended, reaped or
 * not, or whose number now belongs to another process, counts for nothing. Throws DataDirInUseError; of two that start in the
 * same moment neither may get it, but never both.
 */
export async function lockDataDir(dataDir: string): Promise<() => Promise<void>> {
  const name = `lock.${process.pid}.${randomInt(2 ** 40)}`
  const file = join(dataDir, name)
  await writeFile(`${file}.tmp`, await startOf(process.pid), { mode: 0o600 })
  // Written in one step, and before looking around: whoever comes later sees it.
  await rename(`${file}.tmp`, file)
  for (const other of await readdir(dataDir)) {
    const pid = Number(/^lock\.(\d+)\.\d+$/.exec(other)?.[1])
    if (!pid || other === name) continue
    const start = await readFile(join(dataDir, other), 'utf8').catch(() => undefined)
    if (start === undefined) continue
    if ((await isRunning(pid)) && start === (await startOf(pid))) {
      await rm(file)
      throw new DataDirInUseError(
        `Process ${pid} already runs the local cloud on ${dataDir}: stop it, or set INSIGHTA_DATA_DIR to another folder`,
      )
    }
    await rm(join(dataDir, other), { force: true })
  }
  return () => rm(file, { force: true })
}
