import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { LambdaError } from '../../infra/local/lambda/errors.ts'
import type { InvokeResult, Lambda } from '../../infra/local/lambda/functions.ts'
import { serveInvokeApi } from '../../infra/local/lambda/invoke-api.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { errorSchema } from '../../lib/platform/http/index.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { verifyFacets } from '../../lib/profiles/facets.ts'
import { call, lambdaContext } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startThirdParties, type ThirdParties } from '../support/third-parties.ts'

let database: TestDatabase
let parties: ThirdParties
let key: string
let handler: typeof import('../../functions/profiles.ts').handler
let enrich: (event: unknown, context: ReturnType<typeof lambdaContext>) => unknown
let lambdaAnswers: (() => Promise<InvokeResult>) | undefined

beforeAll(async () => {
  database = await freshDatabase()
  parties = await startThirdParties()
  const api = await lambdaApi()
  const variables = {
    ...database.env,
    ...parties.environment,
    ENRICH_FUNCTION_NAME: 'enrich',
    AWS_ENDPOINT_URL_LAMBDA: api.url,
    AWS_ACCESS_KEY_ID: 'TESTTESTTESTTESTTEST',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_MAX_ATTEMPTS: '1',
  }
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  key = (await createKey(database.sql, { role: 'admin', team: 'acme', label: 'admin' })).key
  handler = (await import('../../functions/profiles.ts')).handler
  enrich = (await import('../../functions/enrich.ts')).handler as typeof enrich
  return async () => {
    await api.close()
    await parties.close()
  }
})
afterAll(async () => {
  await disconnect()
  await database.close()
  vi.unstubAllEnvs()
})
beforeEach(() => {
  parties.asked.clear()
  lambdaAnswers = undefined
})

/** Lambda's HTTP API in front of the enrich function in this process. */
async function lambdaApi(): Promise<{ url: string; close(): Promise<void> }> {
  const lambda: Pick<Lambda, 'names' | 'arnOf' | 'invoke'> = {
    names: () => ['enrich'],
    arnOf: (name) => name,
    invoke: async (_name, payload) =>
      lambdaAnswers
        ? lambdaAnswers()
        : {
            payload: JSON.stringify(await enrich(JSON.parse(payload), lambdaContext(12_000))),
          },
  }
  const api = serveInvokeApi(lambda as Lambda)
  const server = createServer((request, response) => void api.handle(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      api.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const post = (body: object) => call(handler, 'POST /api/profiles', { key, body })

async function stored(): Promise<number> {
  const [row] = await database.sql<{ count: number }[]>`select count(*) from profiles`
  return row?.count ?? Number.NaN
}

describe('a profile of a name alone', () => {
  it('is created with what the three services say, and found again without asking them', async () => {
    const created = await post({ name: '  Ngozi Example ' })
    expect(created.status).toBe(201)
    const { data } = created.body
    expect(data).toMatchObject({
      name: 'Ngozi Example',
      gender: expect.stringMatching(/^(fe)?male$/),
      gender_probability: expect.any(Number),
      age: expect.any(Number),
      country_probability: expect.any(Number),
    })
    expect(created.headers.location).toBe(`/api/profiles/${data.id}`)
    expect((await call(handler, `GET /api/profiles/${data.id}`, { key })).body.data).toEqual(data)
    expect([...parties.asked.values()]).toEqual([1, 1, 1])

    const again = await post({ name: 'NGOZI  example' })
    expect(again).toMatchObject({ status: 200, body: { message: 'Profile already exists', data } })
    expect([...parties.asked.values()]).toEqual([1, 1, 1])
    expect(await verifyFacets(database.sql)).toEqual([])
  })

  it('is one profile, however many ask for it at once', async () => {
    const answers = await Promise.all(Array.from({ length: 4 }, () => post({ name: 'Kofi Example' })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201])
    expect(new Set(answers.map(({ body }) => body.data.id)).size).toBe(1)
    expect(await verifyFacets(database.sql)).toEqual([])
  })

  it.each([
    ['Nogender Example', 'Genderize'],
    ['Noage Example', 'Agify'],
    ['Nocountry Example', 'Nationalize'],
  ])('is not stored for %s: 502 names %s', async (name, service) => {
    const before = await stored()
    const { status, body } = await post({ name })
    expect(status).toBe(502)
    expect(errorSchema.parse(body)).toMatchObject({
      code: 'upstream_invalid',
      message: `${service} returned an invalid response`,
    })
    expect(await stored()).toBe(before)
  })

  it('is not stored while a service is down: 503 names it, with Retry-After', async () => {
    const before = await stored()
    await parties.fault({ path: '/nationalize', status: 429, retry_after: 120 })
    const { status, body, headers } = await post({ name: 'Amara Example' })
    expect(status).toBe(503)
    expect(headers['retry-after']).toBe('120')
    expect(errorSchema.parse(body)).toMatchObject({
      code: 'unavailable',
      message: 'Nationalize does not answer',
    })
    expect(await stored()).toBe(before)
    expect((await post({ name: 'Amara Example' })).status).toBe(201)
  })

  it('is 503 where Lambda is at its limit, and 500 where the function died', async () => {
    const before = await stored()
    lambdaAnswers = () => Promise.reject(new LambdaError('TooManyRequestsException', 'Rate Exceeded.'))
    expect((await post({ name: 'Zuri Example' })).status).toBe(503)
    lambdaAnswers = async () => ({
      functionError: 'Unhandled',
      payload: '{"errorType":"Runtime.ExitError","errorMessage":"Zuri Example"}',
    })
    const { status, text } = await post({ name: 'Zuri Example' })
    expect(status).toBe(500)
    expect(text).not.toContain('Zuri')
    expect(await stored()).toBe(before)
  })
})

describe('a profile of more than a name', () => {
  const ada = { name: 'Ada Example', gender: 'female', age: 36, country_id: 'gb' }

  it('is stored as it is, and nobody is asked', async () => {
    expect(await post(ada)).toMatchObject({
      status: 201,
      body: { data: { ...ada, country_id: 'GB', gender_probability: null } },
    })
    expect(parties.asked.size).toBe(0)
  })

  it.each([
    [{ name: 'B', gender: 'male' }, 400, ['age', 'country_id']],
    [{ name: 'B', age: 5, country_id: 'NG' }, 400, ['gender']],
    [{ name: 'B', gender_probability: 0.5 }, 400, ['gender', 'age', 'country_id']],
    [{ name: 'B', gender: 'robot' }, 400, ['age', 'country_id', 'gender']],
    [{ name: 'B', gender: '', age: 5, country_id: 'NG' }, 400, ['gender']],
    [{ gender: 'male', age: 5, country_id: 'NG' }, 400, ['name']],
    [{}, 400, ['name']],
    [{ name: '' }, 400, ['name']],
    [{ name: 'B', nickname: 'C' }, 400, ['nickname']],
    [{ name: 5 }, 422, ['name']],
    [{ name: 'B', gender: 5, age: 5, country_id: 'NG' }, 422, ['gender']],
  ])('like %j is refused with %i, naming %j', async (body, status, fields) => {
    const answer = await post(body)
    expect(answer.status).toBe(status)
    expect(answer.body.details.map(({ field }: { field: string }) => field).sort()).toEqual(fields.sort())
    expect(parties.asked.size).toBe(0)
  })
})
