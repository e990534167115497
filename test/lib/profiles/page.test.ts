import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { encodeCursor, pageParameters, pageRequest, startOfWalk } from '../../../lib/profiles/page.ts'
import type { ProfileRow } from '../../../lib/profiles/profile.ts'
import { decodeFor } from '../../support/profiles.ts'
import { fc } from '../../support/properties.ts'

const schema = z.strictObject(pageParameters)
const request = (query: string, filter = {}) => pageRequest(schema.parse(decodeFor(query)), filter)

const row: ProfileRow = {
  id: '0199c82c-c07b-7000-8000-000000000000',
  name: 'Ada',
  gender: 'female',
  gender_probability: null,
  age: 36,
  country_id: 'GB',
  country_probability: null,
}

describe('a page request', () => {
  it('defaults to the first ten, oldest first', () => {
    expect(request('')).toEqual({ sort: { by: 'created_at', order: 'asc' }, limit: 10, page: 1 })
  })

  it('has its limit clamped to 50, and to 1,000 under a cursor', () => {
    expect(request('limit=1000000')).toMatchObject({ limit: 50 })
    expect(request('limit=1000&cursor=*')).toMatchObject({ limit: 1000 })
    expect(request('limit=1001&cursor=*')).toMatchObject({ limit: 1000 })
    const cursor = encodeCursor(row, {}, { by: 'created_at', order: 'asc' })
    expect(request(`limit=1001&cursor=${cursor}`)).toMatchObject({ limit: 1000, after: { id: row.id } })
  })

  it('begins a walk at page 1 with the cursor *', () => {
    const first = { sort: { by: 'age', order: 'asc' }, limit: 10, page: 1 }
    expect(request('cursor=*&sort_by=age')).toEqual(first)
    expect(() => request('cursor=*&page=1')).toThrow(
      expect.objectContaining({ status: 422, code: 'invalid_value' }),
    )
  })

  it.each([
    'limit=0',
    'limit=-1',
    'limit=1.5',
    'limit=ten',
    'page=0',
    'page=-1',
    'page=1e3',
    'sort_by=name',
    'order=up',
  ])('with %j is refused', (query) => {
    expect(schema.safeParse(decodeFor(query)).success).toBe(false)
  })

  it('may reach row 50,000 and no further', () => {
    expect(request('page=1000&limit=50')).toMatchObject({ page: 1000 })
    expect(() => request('page=1001&limit=50')).toThrow(
      expect.objectContaining({ status: 422, code: 'use_cursor' }),
    )
  })

  it('takes a page or a cursor, not both', () => {
    const cursor = encodeCursor(row, {}, { by: 'created_at', order: 'asc' })
    expect(() => request(`page=1&cursor=${cursor}`)).toThrow(expect.objectContaining({ status: 422 }))
  })
})

describe('a cursor', () => {
  it.each([
    ['created_at', null],
    ['age', 36],
    ['gender_probability', null],
  ] as const)('by %s leads back to its row', (by, value) => {
    const cursor = encodeCursor(row, {}, { by, order: 'desc' })
    expect(request(`cursor=${cursor}&sort_by=${by}&order=desc&limit=5`)).toEqual({
      sort: { by, order: 'desc' },
      limit: 5,
      after: { id: row.id, value },
    })
  })

  const refused = expect.objectContaining({ status: 422, code: 'invalid_cursor' })

  it('of another filter, column or direction is refused', () => {
    const cursor = encodeCursor(row, { gender: 'female' }, { by: 'age', order: 'asc' })
    expect(() => request(`cursor=${cursor}&sort_by=age`)).toThrow(refused)
    expect(() => request(`cursor=${cursor}`, { gender: 'female' })).toThrow(refused)
    expect(() => request(`cursor=${cursor}&sort_by=age&order=desc`, { gender: 'female' })).toThrow(refused)
    expect(request(`cursor=${cursor}&sort_by=age`, { gender: 'female' })).toMatchObject({
      after: { id: row.id },
    })
  })

  it('that is forged is refused, whatever it holds', () => {
    const forged = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map((json) => Buffer.from(json).toString('base64url')),
    )
    const isForged = (cursor: string) => cursor !== startOfWalk
    fc.assert(
      fc.property(forged.filter(isForged), (cursor) => {
        expect(() => pageRequest({ cursor }, {})).toThrow(refused)
      }),
    )
  })
})
