import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createResendMailer, type ResendOptions } from '../../../lib/interviews/resend.ts'
import type { RefusalSubject } from '../../../lib/platform/errors.ts'
import { watchRetries } from '../../support/retries.ts'
import { startThirdParties, type ThirdParties } from '../../support/third-parties.ts'
import { startWire, type Wire, type WireAnswer } from '../../support/wire.ts'

const retries = watchRetries()
let wire: Wire
let parties: ThirdParties
beforeAll(async () => {
  wire = await startWire()
  parties = await startThirdParties()
})
afterAll(async () => {
  await wire.close()
  await parties.close()
})
beforeEach(() => wire.reset())

function mailer(options: Partial<ResendOptions> = {}) {
  return createResendMailer({
    apiKey: async () => 're_key',
    from: 'Insighta <interviews@example.com>',
    baseUrl: wire.url,
    ...options,
    retry: { jitter: 'none', clock: retries.clock, ...options.retry },
  })
}

const mail = {
  id: '0199c1d2-0000-7000-8000-000000000001',
  to: 'ada@example.com',
  subject: 'Your interview',
  html: '<p>Hello</p>',
  text: 'Hello',
}
const sent: WireAnswer = { body: { id: 'sent-1' } }
const fails = (statusCode: number, name: string, headers?: object): WireAnswer => ({
  status: statusCode,
  headers: { 'content-type': 'application/json', ...headers },
  body: { statusCode, name, message: 'ada@example.com is odd' },
})

describe('an e-mail', () => {
  it('is sent under its id, with that as a tag', async () => {
    wire.answers.push(sent)
    expect(await mailer().send(mail)).toEqual({ provider_id: 'sent-1' })
    const [request] = wire.requests
    expect(request).toMatchObject({
      path: '/emails',
      headers: { authorization: 'Bearer re_key', 'idempotency-key': mail.id },
    })
    expect(JSON.parse(request?.body ?? '')).toEqual({
      from: 'Insighta <interviews@example.com>',
      to: mail.to,
      subject: mail.subject,
      html: mail.html,
      text: mail.text,
      tags: [{ name: 'email_id', value: mail.id }],
    })
  })

  it.each<[string, WireAnswer, string]>([
    ['a 500', fails(500, 'internal_server_error'), 'Resend answered 500 (internal_server_error)'],
    ['a 429', fails(429, 'rate_limit_exceeded'), 'Resend answered 429 (rate_limit_exceeded)'],
    [
      'its first attempt still under way',
      fails(409, 'concurrent_idempotent_requests'),
      'Resend answered 409 (concurrent_idempotent_requests)',
    ],
    ['a page of a proxy', { status: 502, body: '<html>' }, 'Resend answered 502 (application_error)'],
    ['an answer without a form', { status: 503, body: { error: 'busy' } }, 'Resend does not answer'],
    ['an answer that is cut off', { body: '{"id"' }, 'Resend does not answer'],
    ['no id', { body: {} }, 'Resend answered without an id'],
    ['silence', { hangs: true }, 'Resend did not answer within 0.20s'],
  ])('is sent again after %s, under the same id', async (_what, answer, message) => {
    wire.answers.push(answer, answer, sent)
    expect(await mailer({ timeout: 200 }).send(mail)).toEqual({ provider_id: 'sent-1' })
    expect(wire.requests.map(({ headers }) => headers['idempotency-key'])).toEqual([
      mail.id,
      mail.id,
      mail.id,
    ])
    expect(retries.warned).toEqual([
      `Attempt 1/3 failed for Send e-mail: ${message}. Retrying in 2.00s...`,
      `Attempt 2/3 failed for Send e-mail: ${message}. Retrying in 4.00s...`,
    ])
    expect(retries.counted.at(-1)).toBe('RetryRecoveries Call=Send e-mail')
  })

  it('is given up after three attempts', async () => {
    wire.answers.push(fails(500, 'internal_server_error'))
    await expect(mailer().send(mail)).rejects.toMatchObject({ name: 'UpstreamUnavailableError' })
    expect(wire.requests).toHaveLength(3)
    expect(retries.failed).toEqual(['All 3 attempts failed for Send e-mail'])
  })

  it('waits as long as Retry-After says', async () => {
    wire.answers.push(fails(429, 'rate_limit_exceeded', { 'retry-after': '11' }), sent)
    await mailer().send(mail)
    expect(retries.waits).toEqual([11_000])
  })

  it.each<[WireAnswer, string, RefusalSubject?]>([
    [fails(400, 'validation_error'), '400 validation_error'],
    [fails(401, 'missing_api_key'), '401 missing_api_key', 'account'],
    [fails(403, 'invalid_api_key'), '403 invalid_api_key', 'account'],
    [fails(429, 'daily_quota_exceeded'), '429 daily_quota_exceeded', 'account'],
    [{ status: 403, body: '<html>' }, '403 application_error', 'account'],
    [fails(409, 'invalid_idempotent_request'), '409 invalid_idempotent_request'],
    [fails(422, 'validation_error'), '422 validation_error'],
    [fails(422, 'ada@example.com'), '422 unnamed'],
  ])('is refused at once by %j, without an address', async (answer, reason, about = 'request') => {
    wire.answers.push(answer)
    const error = await mailer()
      .send(mail)
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      name: 'UpstreamRefusedError',
      service: 'Resend',
      reason,
      about,
      retryable: false,
    })
    expect(String(error)).not.toContain('ada@')
    expect(wire.requests).toHaveLength(1)
    expect(retries.warned).toEqual([])
  })

  it('is left for later while Resend is known to be dead', async () => {
    wire.answers.push(fails(500, 'internal_server_error'))
    const dead = mailer()
    await dead.send(mail).catch(() => {})
    await expect(dead.send(mail)).rejects.toMatchObject({ name: 'RetryLaterError' })
    const calls = wire.requests.length
    await expect(dead.send(mail)).rejects.toMatchObject({ name: 'RetryLaterError' })
    expect(wire.requests).toHaveLength(calls)
  })

  it('is one, however often it is sent to the simulator', async () => {
    const mails = mailer({ baseUrl: parties.environment.RESEND_URL })
    expect(await mails.send(mail)).toEqual(await mails.send(mail))
  })
})

describe('the list of Resend', () => {
  it('loses an address, also one that is not on it', async () => {
    wire.answers.push({ body: { object: 'suppression', id: 's1', deleted: true } }, fails(404, 'not_found'))
    for (let time = 0; time < 2; time++) await mailer().remove('jürgen+cv@xn--bcher-kva.example')
    expect(wire.requests[0]).toMatchObject({
      path: `/suppressions/${encodeURIComponent('jürgen+cv@xn--bcher-kva.example')}`,
      headers: { authorization: 'Bearer re_key' },
    })
    expect(wire.requests).toHaveLength(2)
  })

  it('is refused to a key that may only send', async () => {
    wire.answers.push(fails(401, 'restricted_api_key'))
    await expect(mailer().remove('ada@example.com')).rejects.toMatchObject({ code: 'refused_by_provider' })
  })
})

describe('a refusal of the address', () => {
  it('is said in our words, without it', async () => {
    const message = 'Invalid `to` field: jürgen@example.com'
    wire.answers.push({
      ...fails(422, 'validation_error'),
      body: { statusCode: 422, name: 'validation_error', message },
    })
    await expect(mailer().send(mail)).rejects.toMatchObject({
      code: 'refused',
      message: 'Resend refused the call: 422 validation_error: it does not take the address',
    })
  })
})
