import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { LambdaError } from '../../infra/local/lambda/errors.ts'
import { disconnect } from '../../lib/platform/db.ts'
import { errorSchema } from '../../lib/platform/http/index.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { verifyFacets } from '../../lib/profiles/facets.ts'
import { startTestAws, type TestAws, type TestFunction } from '../support/aws.ts'
import { call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startThirdParties, type ThirdParties } from '../support/third-parties.ts'

let database: TestDatabase
let parties: ThirdParties
let key: string
let handler: typeof import('../../functions/profiles.ts').handler
let aws: TestAws

beforeAll(async () => {
  database = await freshDatabase()
  parties = await startThirdParties()
  aws = await startTestAws()
  const variables = {
    ...database.env,
    ...parties.environment,
    ...aws.environment,
    ENRICH_FUNCTION_NAME: 'enrich',
  }
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
  key = (await createKey(database.sql, { role: 'admin', team: 'acme', label: 'admin' })).key
  handler = (await import('../../functions/profiles.ts')).handler
  aws.functions.enrich = (await import('../../functions/enrich.ts')).handler as TestFunction
  return async () => {
    await aws.close()
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
  aws.lambdaAnswers = undefined
})

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
      message: 'Nationalize answered 429',
    })
    expect(await stored()).toBe(before)
    expect((await post({ name: 'Amara Example' })).status).toBe(201)
  })

  it('is not stored while the function that asks is at its limit or dies: 503, with Retry-After', async () => {
    const before = await stored()
    const died = (errorType: string) => ({
      functionError: 'Unhandled' as const,
      payload: JSON.stringify({ errorType, errorMessage: 'Zuri Example' }),
    })
    const limit = new LambdaError('TooManyRequestsException', 'Rate Exceeded.')
    for (const answer of [
      () => Promise.reject(limit),
      async () => died('Runtime.ExitError'),
      async () => died('Sandbox.Timedout'),
    ]) {
      aws.lambdaAnswers = answer
      const { status, headers, text } = await post({ name: 'Zuri Example' })
      expect(status).toBe(503)
      expect(headers['retry-after']).toBe('5')
      expect(text).not.toContain('Zuri')
    }
    aws.lambdaAnswers = async () => died('TypeError')
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
