import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { choosePorts, DataDirInUseError, lockDataDir, portNames } from '../../../infra/local/ports.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-ports-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

test('ports are remembered, and only one that is taken changes', async () => {
  const first = await choosePorts(folder)
  expect(new Set(Object.values(first)).size).toBe(portNames.length)
  expect(await choosePorts(folder)).toEqual(first)
  const squatter = createServer().listen(first.sqs, '127.0.0.1')
  await once(squatter, 'listening')
  const second = await choosePorts(folder)
  squatter.close()
  expect(second).toEqual({ ...first, sqs: second.sqs })
  expect(second.sqs).not.toBe(first.sqs)
  expect(await choosePorts(folder)).toEqual(second)
  expect((await stat(join(folder, 'ports.json'))).mode & 0o777).toBe(0o600)
})

test('a folder belongs to one process until it is given back', async () => {
  const release = await lockDataDir(folder)
  await expect(lockDataDir(folder)).rejects.toThrow(DataDirInUseError)
  await expect(lockDataDir(folder)).rejects.toThrow(`Process ${process.pid} already runs`)
  await release()
  await (await lockDataDir(folder))()
})

test('the lock of a process that is gone is taken over', async () => {
  const gone = spawn('true')
  await once(gone, 'exit')
  await writeFile(join(folder, `lock.${gone.pid}.1`), '12345')
  await (await lockDataDir(folder))()
})

test.runIf(process.platform === 'linux')(
  'a process that has ended and that its parent has not asked for holds no lock',
  async () => {
    // The child ends once its parent is a program that asks for none: a shell might.
    const parent = spawn('/bin/sh', ['-c', 'cat <&3 & echo $!; exec sleep 60 3<&-'], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    })
    const pid = String((await once(parent.stdout!, 'data'))[0]).trim()
    while ((await readFile(`/proc/${parent.pid}/comm`, 'utf8')).trim() !== 'sleep') await setTimeout(10)
    ;(parent.stdio[3] as Writable).end()
    const stat = async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ')
    while ((await stat())[0] !== 'Z') await setTimeout(10)
    await writeFile(join(folder, `lock.${pid}.1`), (await stat())[19]!)
    await (await lockDataDir(folder))()
    parent.kill()
  },
)

test.runIf(process.platform === 'linux')(
  'a number that now belongs to another process holds no lock',
  async () => {
    await writeFile(join(folder, `lock.${process.pid}.1`), '1')
    await (await lockDataDir(folder))()
    expect(await readdir(folder)).toEqual([])
  },
)

test('of many that find a stale lock at most one gets it', async () => {
  await writeFile(join(folder, 'lock.999999999.1'), '1')
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDir(folder)))
  expect(results.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(1)
})
