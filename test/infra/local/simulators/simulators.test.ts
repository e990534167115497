import { afterAll, beforeAll, expect, it } from 'vitest'
import { startThirdParties, type ThirdParties } from '../../../support/third-parties.ts'

let parties: ThirdParties
beforeAll(async () => {
  parties = await startThirdParties()
})
afterAll(() => parties.close())

const get = async (path: string) => {
  const response = await fetch(parties.url + path)
  const body: ReturnType<typeof JSON.parse> = await response.json()
  return { status: response.status, headers: response.headers, body }
}

it('tells the functions where each of them is', () => {
  expect(parties.environment).toEqual({
    GENDERIZE_URL: `${parties.url}/genderize`,
    AGIFY_URL: `${parties.url}/agify`,
    NATIONALIZE_URL: `${parties.url}/nationalize`,
    GEMINI_URL: `${parties.url}/gemini`,
    RESEND_URL: `${parties.url}/resend`,
    LIVEKIT_URL: `${parties.url}/livekit`,
  })
})

it('answers in the formats of Genderize, Agify and Nationalize, the same for the same name', async () => {
  const [gender, age, country] = await Promise.all(
    ['genderize', 'agify', 'nationalize'].map((service) => get(`/${service}?name=Ada%20Obi`)),
  )
  expect(gender?.body).toEqual({
    name: 'Ada Obi',
    gender: expect.stringMatching(/^(fe)?male$/),
    probability: expect.any(Number),
    count: expect.any(Number),
  })
  expect(age?.body).toEqual({ name: 'Ada Obi', age: expect.any(Number), count: expect.any(Number) })
  expect(country?.body.country).toHaveLength(3)
  expect(country?.body.country[0]).toEqual({
    country_id: expect.stringMatching(/^[A-Z]{2}$/),
    probability: expect.any(Number),
  })
  expect((await get('/agify?name=Ada%20Obi')).body).toEqual(age?.body)
})

it('knows nothing of the names that say so', async () => {
  expect((await get('/genderize?name=Nogender%20Obi')).body).toMatchObject({ gender: null, count: 0 })
  expect((await get('/agify?name=noage')).body).toMatchObject({ age: null })
  expect((await get('/nationalize?name=Nocountry')).body).toMatchObject({ country: [] })
  expect((await get('/agify?name=Nobody')).body).toMatchObject({ age: null })
  expect((await get('/agify?name=Noagenda')).body.age).toEqual(expect.any(Number))
  expect((await get('/agify')).status).toBe(422)
  expect((await get('/nobody')).status).toBe(404)
})

it('fails as scripted, as often, in turn, and then no more', async () => {
  await parties.fault({ path: '/agify', status: 429, times: 2, retry_after: 7 })
  await parties.fault({ path: '/agify', status: 200, body: { age: 'old' } })
  const first = await get('/agify?name=a')
  expect([first.status, first.headers.get('retry-after')]).toEqual([429, '7'])
  expect((await get('/genderize?name=a')).status).toBe(200)
  expect((await get('/agify?name=a')).status).toBe(429)
  expect((await get('/agify?name=a')).body).toEqual({ age: 'old' })
  expect((await get('/agify?name=a')).status).toBe(200)
  expect(await parties.unmet()).toEqual([])
})

it('fails for a method of Google, which stands behind a colon', async () => {
  await parties.fault({ path: '/gemini/v1/models/gemini-x', status: 503 })
  expect((await get('/gemini/v1/models/gemini-xy:generateContent')).status).toBe(400)
  expect((await get('/gemini/v1/models/gemini-x:generateContent')).status).toBe(503)
  expect(await parties.unmet()).toEqual([])
})

it('refuses a script that it does not understand, and one that a web page could send', async () => {
  const post = (body: string, type = 'application/json') =>
    fetch(`${parties.url}/faults`, {
      method: 'POST',
      headers: { authorization: `Bearer ${parties.key}`, 'content-type': type },
      body,
    })
  expect((await post('{"path":"/agify"}')).status).toBe(422)
  expect((await post('{"path":"/agify","status":500,"often":2}')).status).toBe(422)
  expect((await post('nonsense')).status).toBe(422)
  expect((await post('{"path":"/agify","status":500}', 'text/plain')).status).toBe(415)
  expect(await parties.unmet()).toEqual([])
})

it.each([
  ['GET', '/faults'],
  ['POST', '/faults'],
  ['DELETE', '/faults'],
  ['GET', '/resend/outbox'],
  ['POST', '/livekit/send'],
  ['POST', '/livekit/agent'],
  ['GET', '/livekit/rooms'],
])('asks for its key before %s %s, and takes no other one', async (method, path) => {
  const statusWith = async (authorization?: string) =>
    (await fetch(parties.url + path, { method, headers: { ...(authorization && { authorization }) } })).status
  for (const wrong of [undefined, 'Bearer', 'Bearer x', `Basic ${parties.key}`, `Bearer ${parties.key}x`]) {
    expect(await statusWith(wrong)).toBe(401)
  }
  expect(await statusWith(`Bearer ${parties.key}`)).not.toBe(401)
})
