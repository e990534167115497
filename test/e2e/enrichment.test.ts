import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestCloud, type TestCloud } from './cloud.ts'

let cloud: TestCloud
beforeAll(async () => {
  cloud = await startTestCloud()
})
afterAll(() => cloud?.close())

it('a name becomes a profile through the enrich function, and a third party that is down is named', async () => {
  const { call, credentials } = cloud
  const created = await call('POST /api/profiles', { body: { name: 'Ngozi Example' } })
  expect(created).toMatchObject({ status: 201, body: { data: { name: 'Ngozi Example' } } })
  const again = await call('POST /api/profiles', { body: { name: 'ngozi example' } })
  expect(again).toMatchObject({ status: 200, body: { data: created.body.data } })

  const scripted = await fetch(`${credentials.simulators}/faults`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${credentials.simulators_key}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ path: '/agify', status: 500, times: 3 }),
  })
  expect(scripted.status).toBe(201)
  const down = await call('POST /api/profiles', { body: { name: 'Kofi Example' } })
  expect(down).toMatchObject({ status: 503, body: { message: 'Agify answered 500' } })
  expect((await call('POST /api/profiles', { body: { name: 'Kofi Example' } })).status).toBe(201)

  expect(cloud.metric('RetryAttempts', { Call: 'Agify' })).toBe(2)
  expect(cloud.metric('RetryExhaustions', { Call: 'Agify' })).toBe(1)
  const logs = [...(await cloud.logs()).values()].join('\n')
  expect(logs).toMatch(/Attempt 1\/3 failed for Agify: Agify answered 500\. Retrying in \d\.\d\ds\.\.\./)
  expect(logs).not.toMatch(/Ngozi|Kofi/)
})
