import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { smokeTest } from '../../clients/cli/smoke.ts'
import { createPool, databaseUnavailable } from '../../lib/platform/db.ts'
import { startTestCloud, type TestCloud, until } from '../e2e/cloud.ts'

const context = {
  stage: 'prod',
  mailFrom: 'Insighta <interviews@insighta.example>',
  consoleUrl: 'https://console.insighta.example',
}

/** A file with `count` people of one country. */
function people(country: string, count: number): string {
  const rows = Array.from(
    { length: count },
    (_, at) => `${country} ${at},female,${20 + (at % 50)},${country}`,
  )
  return `name,gender,age,country_id\n${rows.join('\n')}\n`
}

describe('the templates of prod on this machine', () => {
  let cloud: TestCloud
  /** The platform's own login at the reader, which alone may pause it. */
  let reader: postgres.Sql

  beforeAll(async () => {
    cloud = await startTestCloud(undefined, context)
    const { superuserPassword } = JSON.parse(await readFile(join(cloud.dataDir, 'platform.json'), 'utf8'))
    const url = new URL(cloud.database.readerUrl())
    const { port } = url
    reader = postgres({
      host: url.hostname,
      port: Number(port),
      database: 'insighta',
      user: 'rdsadmin',
      password: superuserPassword,
      max: 1,
    })
  })
  afterAll(async () => {
    await reader?.end({ timeout: 1 })
    await cloud?.close()
  })

  const totalOf = async (country: string) =>
    (await cloud.call(`GET /api/profiles?country_id=${country}`)).body.total

  it('answer what a new deployment is asked, and ask for nothing that is not there', async () => {
    const lines: string[] = []
    await smokeTest(cloud.url, { key: cloud.credentials.api_key, write: (text) => lines.push(text) })
    expect(lines.join('')).not.toContain('not ok')
    const { body } = await cloud.call('GET /api/health')
    expect(body.dependencies).toMatchObject({ database: { status: 'up' }, reader: { status: 'up' } })
    // What the local cloud names each time, and no type of resource.
    expect(cloud.warnings).toEqual([])
  })

  it('let no function take the reader for the writer, to which its name may lead after a failover', async () => {
    const url = new URL(cloud.database.readerUrl())
    const poolOf = (primary: boolean) =>
      createPool({
        host: url.hostname,
        port: Number(url.port),
        database: 'insighta',
        user: decodeURIComponent(url.username),
        password: () => decodeURIComponent(url.password),
        tls: false,
        max: 1,
        primary,
        transactionTimeoutSeconds: 10,
        applicationName: 'test',
      })
    const [writer, any] = [poolOf(true), poolOf(false)]
    await expect(any`select pg_is_in_recovery() as follows`).resolves.toMatchObject([{ follows: true }])
    const refusal = await writer`select 1`.catch((error: unknown) => error)
    expect(databaseUnavailable(refusal)).toBe(true)
    await Promise.all([writer.end({ timeout: 1 }), any.end({ timeout: 1 })])
  })

  it('have queries read by the reader, which follows an import', async () => {
    const report = await cloud.imports.run(people('TG', 200))
    expect(report).toMatchObject({ state: 'completed', inserted: 200 })
    await until(async () => (await totalOf('TG')) === 200)
    await until(async () => {
      await cloud.call(`GET /api/profiles?country_id=TG&min_age=${20 + Math.floor(Math.random() * 50)}`)
      return cloud.metric('ReaderReads') > 0
    })
    expect(await reader`select count(*)::int as count from profiles`).toEqual([{ count: 200 }])
  })

  it('show a commit after one second though the reader stands still, and what was just written at once', async () => {
    await reader`select pg_wal_replay_pause()`
    await cloud.imports.run(people('BJ', 100))
    // The promise itself: a commit that is over a second old is missed by no answer.
    await setTimeout(1000)
    expect(await totalOf('BJ')).toBe(100)
    const profile = { name: 'One More', gender: 'female', age: 30, country_id: 'BJ' }
    const { status, body } = await cloud.call('POST /api/profiles', { body: profile })
    expect(status).toBe(201)
    expect(await totalOf('BJ')).toBe(101)
    expect((await cloud.call(`GET /api/profiles/${body.data.id}`)).status).toBe(200)
    await until(() => cloud.metric('ReaderBehind') > 0)
    expect(await reader`select count(*)::int as count from profiles`).toEqual([{ count: 200 }])

    await reader`select pg_wal_replay_resume()`
    const before = cloud.metric('ReaderReads')
    await until(async () => {
      await cloud.call('POST /api/profiles', { body: { ...profile, name: `Then ${Math.random()}` } })
      await totalOf('BJ')
      return cloud.metric('ReaderReads') > before
    })
  })

  it('go on without the reader, and with it when it is back', async () => {
    await cloud.database.stopReader()
    const profile = { name: 'While it is away', gender: 'male', age: 40, country_id: 'GW' }
    expect((await cloud.call('POST /api/profiles', { body: profile })).status).toBe(201)
    expect(await totalOf('GW')).toBe(1)
    await until(() => cloud.metric('ReaderFailures') > 0)
    const { status, body } = await cloud.call('GET /api/health')
    expect([status, body.dependencies.reader.status]).toEqual([200, 'down'])
    await cloud.database.continueReader()
    await until(async () => (await cloud.call('GET /api/health')).body.dependencies.reader.status === 'up')
  })
})
