import { describe, expect, it } from 'vitest'
import { download } from '../../../../lib/platform/http/download.ts'

const address = { url: 'https://bucket.example/file?signature', expires_at: '2026-11-01T12:05:00.000Z' }

const asked = (accept?: string, type = 'text/csv; charset=utf-8') =>
  download({ headers: accept === undefined ? {} : { accept } }, type, address)

describe('the way to a stored file', () => {
  it.each([
    ['application/json'],
    ['Application/JSON; charset=utf-8'],
    // What axios sends, and openapi-fetch.
    ['application/json, text/plain, */*'],
    ['application/json, text/csv;q=0.9'],
    ['application/json;q=0.5, */*;q=0.1'],
    ['application/json;q=0.2, text/html'],
    ['application/json;q=0.2, text/csv;q=0'],
    ['application/*'],
    ['nonsense;q=, application/json;q=1.000'],
  ])('is an address in JSON for Accept: %s', (accept) => {
    expect(asked(accept)).toEqual({
      status: 200,
      headers: { 'cache-control': 'no-store', vary: 'Accept' },
      body: { status: 'success', ...address },
    })
  })

  it.each([
    [undefined],
    [''],
    ['*/*'],
    // What Chromium sends for a page.
    ['text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8'],
    ['text/csv'],
    ['text/csv, application/json'],
    ['text/csv, application/json;q=0.9'],
    ['application/json;q=0.8, */*'],
    ['application/json;q=0, */*'],
    ['application/json;q=0'],
    ['application/json;q=2'],
    ['application/json;q=0.1234'],
    ['application/jsonl'],
    ['application'],
    ['image/png'],
    [`${'application/json;q=0.1,'.repeat(400)}*/*`],
  ])('is a redirect for Accept: %s', (accept) => {
    expect(asked(accept)).toEqual({
      status: 302,
      headers: { 'cache-control': 'no-store', vary: 'Accept', location: address.url },
    })
  })

  it('is a redirect to a file of the family that is asked for', () => {
    expect(asked('application/*', 'application/jsonl').status).toBe(302)
    expect(asked('application/json, application/*', 'application/jsonl').status).toBe(200)
  })
})
