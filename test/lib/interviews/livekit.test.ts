import { hash } from 'node:crypto'
import { AccessToken, TokenVerifier } from 'livekit-server-sdk'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { joinToken, verifyLivekitWebhook } from '../../../lib/interviews/livekit.ts'

const keys = { apiKey: 'APIkey', apiSecret: 'a-secret-that-is-long-enough-to-sign-with' }
const now = Date.parse('2026-11-20T12:00:00Z')

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a join token', () => {
  const join = { ...keys, room: 'interview-1', identity: 'candidate-1', name: 'Ada', ttlSeconds: 600 }

  it('lets one person speak and listen in one room, for a while', async () => {
    const claims = await new TokenVerifier(keys.apiKey, keys.apiSecret).verify(await joinToken(join))
    expect(claims).toMatchObject({
      iss: keys.apiKey,
      sub: 'candidate-1',
      name: 'Ada',
      exp: now / 1000 + 600,
      video: { roomJoin: true, room: 'interview-1', canPublish: true, canSubscribe: true },
    })
    expect(Object.keys(claims.video ?? {}).sort()).toEqual(['canPublish', 'canSubscribe', 'room', 'roomJoin'])
  })

  it('is good for two hours at the most', async () => {
    const token = await joinToken({ ...join, ttlSeconds: 86_400 })
    const { exp } = await new TokenVerifier(keys.apiKey, keys.apiSecret).verify(token)
    expect(exp).toBe(now / 1000 + 7200)
  })
})

describe('a webhook of LiveKit', () => {
  const bodyAt = (createdAt: number) =>
    JSON.stringify({ event: 'room_finished', id: 'EV_1', createdAt, room: { name: 'interview-1' }, newer: 1 })
  const body = bodyAt(now / 1000)

  /** As LiveKit signs: a token over the hash of the body. */
  async function signed(text: string, { apiKey, apiSecret } = keys): Promise<string> {
    const token = new AccessToken(apiKey, apiSecret, { ttl: '5m' })
    token.sha256 = hash('sha256', text, 'base64')
    return token.toJwt()
  }

  it('is taken with its signature, whatever fields are new in it', async () => {
    const event = await verifyLivekitWebhook(body, await signed(body), keys)
    expect(event).toMatchObject({ event: 'room_finished', id: 'EV_1', room: { name: 'interview-1' } })
  })

  it.each<[string, string, () => Promise<string | undefined>]>([
    ['without a signature', body, async () => undefined],
    ['with an empty signature', body, async () => ''],
    ['with nonsense for one', body, async () => 'abc.def.ghi'],
    [
      'with another secret',
      body,
      () => signed(body, { ...keys, apiSecret: 'another-secret-of-good-length' }),
    ],
    ['with another key', body, () => signed(body, { ...keys, apiKey: 'APIother' })],
    ['of another body', body.replace('finished', 'started'), () => signed(body)],
    [
      'without a hash',
      body,
      () => joinToken({ ...keys, room: 'a', identity: 'b', name: 'c', ttlSeconds: 60 }),
    ],
    ['that is no JSON, of another body', 'hello', () => signed('hallo')],
    ['of six minutes ago', bodyAt(now / 1000 - 360), () => signed(bodyAt(now / 1000 - 360))],
    ['of six minutes ahead', bodyAt(now / 1000 + 360), () => signed(bodyAt(now / 1000 + 360))],
    ['of no time', '{"event":"room_finished"}', () => signed('{"event":"room_finished"}')],
  ])('is refused %s', async (_how, text, authorization) => {
    const token = await authorization()
    await expect(verifyLivekitWebhook(text, token, keys)).rejects.toMatchObject({ status: 401 })
  })

  it.each(['hello', '', '[]', '{"room":7}'])(
    'that LiveKit signed but no one can read is 422: %s',
    async (text) => {
      await expect(verifyLivekitWebhook(text, await signed(text), keys)).rejects.toMatchObject({
        status: 422,
        details: [{ field: 'body', message: 'is no event of LiveKit' }],
      })
    },
  )

  it('is refused with a token that has run out', async () => {
    const token = await signed(body)
    vi.setSystemTime(now + 6 * 60_000)
    await expect(verifyLivekitWebhook(body, token, keys)).rejects.toMatchObject({ status: 401 })
  })
})
