import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { portIsFree, randomFreePort } from '../../../infra/local/ports.ts'
import { findRedis, startRedis } from '../../../infra/local/redis.ts'
import { redisBinary } from '../../support/redis.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-redis-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('the server of the cache', () => {
  it('is Valkey before Redis, wherever on the PATH they are, if it can be run', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')]
    await mkdir(one)
    await mkdir(two)
    expect(await findRedis(`${one}::${two}`)).toBeUndefined()
    await writeFile(join(one, 'redis-server'), '')
    expect(await findRedis(`${one}:${two}`)).toBeUndefined()
    await chmod(join(one, 'redis-server'), 0o755)
    expect(await findRedis(`${one}:${two}`)).toBe(join(one, 'redis-server'))
    await writeFile(join(two, 'valkey-server'), '', { mode: 0o755 })
    expect(await findRedis(`${one}:${two}`)).toBe(join(two, 'valkey-server'))
  })

  describe.skipIf(!redisBinary)('on this machine', () => {
    const options = async () => ({
      binary: redisBinary!,
      port: await randomFreePort(),
      password: 'a0b1c2d3',
      logFile: join(folder, 'cache.log'),
      log: () => {},
    })

    it('keeps 64 MB at the most and nothing on disk, and ends when it is told to', async () => {
      const server = await startRedis(await options())
      const redis = new Redis(server.port, '127.0.0.1', { password: 'a0b1c2d3' })
      const settings = await redis.config(
        'GET',
        'maxmemory',
        'maxmemory-policy',
        'save',
        'appendonly',
        'bind',
      )
      redis.disconnect()
      expect(settings).toEqual(
        expect.arrayContaining(['67108864', 'allkeys-lru', 'save', '', 'appendonly', 'no', '127.0.0.1']),
      )
      await server.close()
      expect(server.pid()).toBeUndefined()
      expect(await portIsFree(server.port)).toBe(true)
    })

    it('asks for its password, which is not on its command line', async () => {
      const server = await startRedis(await options())
      const commands = [
        'GET a',
        'SET a 1',
        'INFO',
        'CONFIG GET requirepass',
        'AUTH wrong',
        'AUTH default wrong',
      ]
      const socket = connect(server.port, '127.0.0.1')
      socket.end([...commands, 'QUIT', ''].join('\r\n'))
      const answers = (await text(socket)).trim().split('\r\n')
      expect(answers.slice(0, 4).join()).toMatch(/^(?:-NOAUTH [^\r]*?,?){4}$/)
      expect(answers.slice(4, 6).join()).toMatch(/^(?:-WRONGPASS [^\r]*?,?){2}$/)
      const processes = await promisify(execFile)('ps', ['-ww', '-o', 'args=', '-p', String(server.pid())])
      expect(processes.stdout).toContain('redis')
      expect(processes.stdout).not.toContain('a0b1c2d3')
      await server.close()
    })

    it('says what is wrong where the port is taken', async () => {
      const server = await startRedis(await options())
      await expect(startRedis({ ...(await options()), port: server.port })).rejects.toThrow('did not start')
      await server.close()
    })

    it('ends with the process that started it, even one that is killed', async () => {
      const settings = JSON.stringify(await options())
      const module = JSON.stringify(join(import.meta.dirname, '../../../infra/local/redis.ts'))
      const script = `
        const { startRedis } = await import(${module})
        const { pid } = await startRedis({ ...${settings}, log() {} })
        console.log(pid())
        setInterval(() => {}, 1000)`
      const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [line] = await once(parent.stdout, 'data')
      const pid = Number(line)
      expect(process.kill(pid, 0)).toBe(true)
      parent.kill('SIGKILL')
      await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), 20_000)
    })
  })
})
