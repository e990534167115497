import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { OutsideOptions } from '../../../lib/platform/outside.ts'
import { createEnrichment, type Enrichment } from '../../../lib/profiles/enrichment.ts'
import type { Enricher } from '../../../lib/profiles/name-facts.ts'
import { watchRetries } from '../../support/retries.ts'
import { type Fault, startThirdParties, type ThirdParties } from '../../support/third-parties.ts'

const { warned, failed, waits, clock } = watchRetries()
let parties: ThirdParties
beforeAll(async () => {
  parties = await startThirdParties()
  return () => parties.close()
})
beforeEach(() => parties.asked.clear())
afterEach(async () => {
  expect(await parties.unmet()).toEqual([])
})

/** Over real HTTP, with a clock that does not wait. */
function enrichment(
  settings: Pick<OutsideOptions, 'timeout'> = {},
  urls: Partial<Record<Enricher, string>> = {},
): Enrichment {
  const { GENDERIZE_URL = '', AGIFY_URL = '', NATIONALIZE_URL = '' } = parties.environment
  return createEnrichment(
    { Genderize: GENDERIZE_URL, Agify: AGIFY_URL, Nationalize: NATIONALIZE_URL, ...urls },
    {
      ...settings,
      retry: { initialDelay: 250, maxDelay: 5000, clock },
    },
  )
}

const name = 'Ada Obi'

describe('the facts of a name', () => {
  it('come from all three, with the likeliest country', async () => {
    const facts = await enrichment().enrich(name)
    expect(facts).toEqual({
      gender: expect.stringMatching(/^(fe)?male$/),
      gender_probability: expect.any(Number),
      age: expect.any(Number),
      country_id: expect.stringMatching(/^[A-Z]{2}$/),
      country_probability: expect.any(Number),
    })
    expect(await enrichment().enrich(name)).toEqual(facts)
    expect([...parties.asked.keys()].sort()).toEqual(['/agify', '/genderize', '/nationalize'])
  })

  it('name the country of the highest probability, whatever its place, among those that exist', async () => {
    const country = [
      { country_id: 'NG', probability: 0.2 },
      { country_id: 'XK', probability: 0.9 },
      { country_id: 'KE', probability: 0.5 },
      { country_id: 'GH', probability: 0.5 },
    ]
    await parties.fault({ path: '/nationalize', status: 200, body: { country } })
    expect(await enrichment().enrich(name)).toMatchObject({ country_id: 'KE', country_probability: 0.5 })
  })

  it('come after a 429, once the time that it asks for is over', async () => {
    await parties.fault({ path: '/agify', status: 429, retry_after: 3 })
    expect((await enrichment().enrich(name)).age).toEqual(expect.any(Number))
    expect(waits).toEqual([3000])
    expect(warned).toEqual(['Attempt 1/3 failed for Agify: Agify answered 429. Retrying in 3.00s...'])
    expect(parties.asked.get('/agify')).toBe(2)
  })

  it('come after an answer that took too long', async () => {
    await parties.fault({ path: '/genderize', delay_ms: 20_000 })
    expect((await enrichment({ timeout: 150 }).enrich(name)).gender).toEqual(expect.any(String))
    expect(warned).toEqual([
      'Attempt 1/3 failed for Genderize: Genderize did not answer within 0.15s. Retrying in 0.25s...',
    ])
  })

  it.each<[string, Fault | undefined, string]>([
    ['no gender', undefined, 'Nogender Obi'],
    [
      'no count',
      { path: '/genderize', status: 200, body: { gender: 'male', probability: 1, count: 0 } },
      name,
    ],
    ['no age', undefined, 'Noage Obi'],
    ['no country', undefined, 'Nocountry Obi'],
    ['only unknown countries', nationalize([{ country_id: 'XX', probability: 1 }]), name],
    [
      'a wrong gender',
      { path: '/genderize', status: 200, body: { gender: 'x', probability: 1, count: 1 } },
      name,
    ],
    ['a wrong age', { path: '/agify', status: 200, body: { age: '40' } }, name],
    ['an impossible age', { path: '/agify', status: 200, body: { age: 400 } }, name],
    ['a wrong shape', { path: '/nationalize', status: 200, body: { countries: [] } }, name],
    ['no JSON', { path: '/nationalize', status: 200, body: '<html>busy</html>' }, name],
    ['a refusal', { path: '/agify', status: 402, body: { error: 'Subscription is not active' } }, name],
  ])('are refused without a second call for %s', async (_what, fault, asked) => {
    if (fault) await parties.fault(fault)
    const service = { g: 'Genderize', a: 'Agify', n: 'Nationalize' }[
      fault?.path[1] ?? asked.toLowerCase()[2] ?? ''
    ]
    await expect(enrichment().enrich(asked)).rejects.toMatchObject({
      code: 'upstream_invalid',
      status: 502,
      message: `${service ?? 'Nationalize'} returned an invalid response`,
    })
    expect(Math.max(...parties.asked.values())).toBe(1)
    expect(warned).toEqual([])
  })

  it('are given up after three 500s, the service named', async () => {
    await parties.fault({ path: '/nationalize', status: 500, times: 3 })
    await expect(enrichment().enrich(name)).rejects.toMatchObject({
      status: 503,
      message: 'Nationalize answered 500',
      headers: { 'Retry-After': '5' },
    })
    expect(waits).toEqual([250, 500])
    expect(failed).toEqual(['All 3 attempts failed for Nationalize'])
  })

  it('are not waited for longer than a person waits', async () => {
    await parties.fault({ path: '/agify', status: 503, retry_after: 3600 })
    await expect(enrichment().enrich(name)).rejects.toMatchObject({
      status: 503,
      message: 'Agify answered 503',
      headers: { 'Retry-After': '3600' },
    })
    expect(waits).toEqual([])
  })

  it('end before the deadline of the function', async () => {
    await parties.fault({ path: '/agify', status: 500 })
    const remainingMs = () => 1100
    await expect(enrichment().enrich(name, { remainingMs })).rejects.toMatchObject({ status: 503 })
    expect(waits).toEqual([])
  })

  it('are not to be had from a dead host, which is then left in peace', async () => {
    const gone = await startThirdParties()
    await gone.close()
    const asking = enrichment({}, { Agify: gone.url })
    for (let i = 0; i < 2; i++) {
      await expect(asking.enrich(name)).rejects.toMatchObject({ message: 'Agify does not answer' })
    }
    expect(warned[0]).toBe('Attempt 1/3 failed for Agify: Agify does not answer. Retrying in 0.25s...')
    // The fifth failure in a row opens the circuit: the last attempt and the next caller make no call.
    const attempts = warned.length
    await expect(asking.enrich(name)).rejects.toMatchObject({ status: 503, message: 'Agify does not answer' })
    expect(warned).toHaveLength(attempts)
  })

  it('are called off by the caller', async () => {
    await parties.fault({ path: '/agify', delay_ms: 20_000 })
    const off = new AbortController()
    const asked = enrichment().enrich(name, { signal: off.signal })
    await vi.waitUntil(() => parties.asked.has('/agify'))
    off.abort(new Error('gone'))
    await expect(asked).rejects.toThrow('gone')
    expect(warned).toEqual([])
  })
})

function nationalize(country: object[]): Fault {
  return { path: '/nationalize', status: 200, body: { country } }
}
