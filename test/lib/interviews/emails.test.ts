import { randomBytes, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { interviewOwners } from '../../../lib/interviews/dead-letter.ts'
import {
  applyEmailEvent,
  emailSchema,
  emailsOf,
  inviteCandidate,
  type NewEmail,
  queueEmail,
  sendEmail,
} from '../../../lib/interviews/emails.ts'
import {
  cancelInterview,
  changeInterview,
  createInterview,
  deleteInterview,
  type Interview,
} from '../../../lib/interviews/interviews.ts'
import type { Mail, Mailer } from '../../../lib/interviews/model.ts'
import {
  forgetProviderSuppressions,
  liftSuppression,
  listSuppressions,
  suppressionOf,
  suppressionSchema,
  suppressionView,
} from '../../../lib/interviews/suppressions.ts'
import type { Sql, Transaction } from '../../../lib/platform/db.ts'
import { type DeadLetterOwners, recordDeadLetter, redrive } from '../../../lib/platform/dead-letters.ts'
import { UpstreamRefusedError, UpstreamUnavailableError } from '../../../lib/platform/errors.ts'
import { queues } from '../../../lib/platform/names.ts'
import type { SourceQueue } from '../../../lib/platform/queue.ts'
import { RetryLaterError } from '../../../lib/platform/retry.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'

let database: TestDatabase
let sql: Sql
let owner: { teamId: string; keyId: string }
beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  const [team] = await sql<{ id: string }[]>`insert into teams (name) values ('acme') returning id`
  const [key] = await sql<{ id: string }[]>`
    insert into api_keys (team_id, role, label, hash)
    values (${team!.id}, 'recruiter', 'test', ${randomBytes(32)}) returning id`
  owner = { teamId: team!.id, keyId: key!.id }
})
afterAll(() => database.close())

/** Mails that the fake service has accepted, by their id, as often as they were sent. */
const mails: Mail[] = []
/** What the next calls do before, or instead of, being accepted. */
const script: ((mail: Mail) => void | Promise<void>)[] = []
beforeEach(async () => {
  mails.length = 0
  script.length = 0
  await sql`truncate outbox, suppressed_addresses, dead_letters`
})

/** As Resend's ids: one for each idempotency key, whose content must be the same. */
const providerIdOf = (id: string) => `resend-${id}`
const mailer: Mailer = {
  async send(mail) {
    await script.shift()?.(mail)
    const earlier = mails.find(({ id }) => id === mail.id)
    if (earlier && JSON.stringify(earlier) !== JSON.stringify(mail)) {
      throw new UpstreamRefusedError('Resend', '409 invalid_idempotent_request')
    }
    mails.push(mail)
    return { provider_id: providerIdOf(mail.id) }
  },
}
const fails = (error: Error) => () => {
  throw error
}

const send = (id: string) =>
  sendEmail(
    {
      sql,
      mailer,
      consoleUrl: 'https://console.example.com',
      mailFrom: 'Insighta <interviews@example.com>',
      remainingMs: () => 60_000,
    },
    id,
  )
const begin = <T>(work: (tx: Transaction) => Promise<T>) => sql.begin(work) as Promise<T>

async function anInterview(email = `${randomUUID()}@example.com`): Promise<Interview> {
  const [candidate] = await sql<{ id: string }[]>`
    insert into candidates (team_id, full_name, email) values (${owner.teamId}, 'Ada Obi', ${email}) returning id`
  return begin((tx) =>
    createInterview(tx, owner, {
      candidate_id: candidate!.id,
      role_title: 'Engineer',
      scheduled_at: '2077-01-04T15:00:00Z',
    }),
  )
}

const invite = (interview: Interview, options?: { again?: boolean }) =>
  begin((tx) => inviteCandidate(tx, interview, options))

/** An invitation that waits to be sent. */
async function queued(address?: string): Promise<string> {
  return (await invite(await anInterview(address))).email.id
}

const welcome = (more: Partial<NewEmail> = {}) =>
  ({
    teamId: owner.teamId,
    interviewId: null,
    kind: 'welcome',
    recipient: 'ada@example.com',
    data: { team: 'acme', role: 'recruiter', label: 'Laptop' },
    ...more,
  }) as NewEmail

type Row = {
  state: string
  failure: { code: string; message: string } | null
  provider_id: string | null
  sent_at: Date | null
  lease: string | null
  attempts: number
  last_error_cause: string | null
}
async function rowOf(id: string): Promise<Row> {
  const [row] = await sql<Row[]>`
    select state, failure, provider_id, sent_at, lease, attempts, last_error_cause from emails where id = ${id}`
  return row!
}
const messages = () => sql<{ id: string; queue: string; body: { email_id: string } }[]>`
  select id, queue, body from outbox order by id`
const expireLease = (id: string) => sql`
  update emails set lease_until = now() - interval '1 second' where id = ${id}`
const suppressions = () => sql<{ address: string; reason: string }[]>`
  select address, reason from suppressed_addresses order by address`

/** What Resend tells of an e-mail of ours. */
const hear = (id: string, type: string, more: object = {}) =>
  begin((tx) =>
    applyEmailEvent(tx, {
      type: `email.${type}`,
      email_id: id,
      provider_id: providerIdOf(id),
      at: new Date(),
      ...more,
    }),
  )

/** Resolves when a session waits for a lock. */
const somebodyWaits = () =>
  vi.waitFor(async () => {
    const waiting = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
    expect(waiting).toHaveLength(1)
  })

describe('queueing an e-mail', () => {
  it('writes it with its message, whose id is answered', async () => {
    const message = await begin((tx) => queueEmail(tx, welcome()))
    const [row] = await messages()
    expect(row).toMatchObject({ id: message, queue: queues.emails })
    expect(await rowOf(row!.body.email_id)).toMatchObject({ state: 'queued', sent_at: null })
  })

  it('is undone with its transaction', async () => {
    const undone = begin(async (tx) => {
      await queueEmail(tx, welcome({ dedupeKey: 'undone' }))
      throw new Error('no')
    })
    await expect(undone).rejects.toThrow('no')
    expect(await messages()).toEqual([])
    expect(await begin((tx) => queueEmail(tx, welcome({ dedupeKey: 'undone' })))).toBeTypeOf('string')
  })

  it('makes one of those that ask under one name, also at once', async () => {
    const ask = () => begin((tx) => queueEmail(tx, welcome({ dedupeKey: 'one' })))
    const answers = await Promise.all([ask(), ask(), ask()])
    expect(answers.filter((message) => message !== undefined)).toHaveLength(1)
    expect(await messages()).toHaveLength(1)
  })

  it('takes no data of another kind', async () => {
    const wrong = welcome({ data: { team: 'acme', role: 'x', label: 'y', key: 'ins_secret' } as never })
    await expect(begin((tx) => queueEmail(tx, wrong))).rejects.toThrow('key')
    expect(await messages()).toEqual([])
  })
})

describe('inviting a candidate', () => {
  it('queues an invitation to the address of the candidate', async () => {
    const interview = await anInterview('ada.obi@example.com')
    const { email, messages: sent } = await invite(interview)
    expect(emailSchema.parse(email)).toMatchObject({ kind: 'invite', state: 'queued', sent_at: null })
    expect(await messages()).toMatchObject([{ id: sent[0], body: { email_id: email.id } }])
    expect(await send(email.id)).toEqual({ outcome: 'done', result: { kind: 'invite', state: 'sent' } })
    expect(mails).toMatchObject([
      { id: email.id, to: 'ada.obi@example.com', subject: 'Your interview: Engineer' },
    ])
    expect(mails[0]!.text).toContain('Monday, 4 January 2077 at 15:00 UTC')
    expect(mails[0]!.text).toContain(`https://console.example.com/join#${interview.id}\n`)
  })

  it('does it once for a time, anew for another one, and again where that is asked for', async () => {
    const interview = await anInterview()
    const first = await invite(interview)
    expect(await invite(interview)).toEqual({ email: first.email, messages: [] })
    const again = await invite(interview, { again: true })
    expect(again.email.id).not.toBe(first.email.id)
    await begin((tx) =>
      changeInterview(tx, owner.teamId, interview.id, { scheduled_at: '2077-01-05T15:00:00Z' }),
    )
    const moved = await invite(interview)
    expect(moved.messages).toHaveLength(1)
    const ids = (await emailsOf(sql, interview.id)).map(({ id }) => id)
    expect(ids).toEqual([first.email.id, again.email.id, moved.email.id])
    await send(moved.email.id)
    expect(mails[0]!.text).toContain('Tuesday, 5 January 2077')
  })

  it('does it once where it is asked for twice at the same time', async () => {
    const interview = await anInterview()
    const both = await Promise.all([invite(interview), invite(interview)])
    expect(both[0]!.email.id).toBe(both[1]!.email.id)
    expect(both.flatMap(({ messages }) => messages)).toHaveLength(1)
  })

  it.each(['cancelled', 'completed'])('is refused where the interview is %s', async (state) => {
    const interview = await anInterview()
    await sql`update interviews set state = ${state} where id = ${interview.id}`
    // Also by those who read it before.
    await expect(invite(interview)).rejects.toMatchObject({ status: 409, code: 'interview_ended' })
    expect(await messages()).toEqual([])
  })

  it('waits for a cancellation that is under way, and is refused', async () => {
    const interview = await anInterview()
    const attempt = await begin(async (tx) => {
      await cancelInterview(tx, owner.teamId, interview.id)
      const answer = invite(interview).catch((error: unknown) => error)
      await Promise.race([answer, somebodyWaits()])
      // In an object, or it would be waited for here.
      return { answer }
    })
    expect(await attempt.answer).toMatchObject({ status: 409, code: 'interview_ended' })
    expect(await messages()).toEqual([])
  })

  it('is not found where the interview was deleted meanwhile', async () => {
    const interview = await anInterview()
    await begin((tx) => deleteInterview(tx, owner, interview.id))
    await expect(invite(interview)).rejects.toMatchObject({ status: 404 })
  })

  it('is refused where nothing is sent to the address, in whatever case it is written', async () => {
    const id = await queued('Once@Example.com')
    await send(id)
    await hear(id, 'bounced', { bounce: { type: 'Permanent' } })
    await sql`update candidates set email = 'x' || email where lower(email) = 'once@example.com'`
    const interview = await anInterview('ONCE@example.com')
    await expect(invite(interview)).rejects.toMatchObject({ status: 409, code: 'address_suppressed' })
  })
})

describe('sending', () => {
  it('stores that it was sent, and shows it', async () => {
    const interview = await anInterview()
    const { email } = await invite(interview)
    await send(email.id)
    expect(await rowOf(email.id)).toMatchObject({
      state: 'sent',
      provider_id: providerIdOf(email.id),
      sent_at: expect.any(Date),
      lease: null,
    })
    const [shown] = await emailsOf(sql, interview.id)
    expect(emailSchema.parse(shown)).toEqual({
      id: email.id,
      kind: 'invite',
      state: 'sent',
      created_at: expect.any(String),
      sent_at: expect.any(String),
    })
  })

  it('is done once however often the message comes', async () => {
    const id = await queued()
    await send(id)
    expect(await send(id)).toEqual({ outcome: 'ignored' })
    expect(mails).toHaveLength(1)
  })

  it('is done by one of two workers', async () => {
    const id = await queued()
    script.push(async () => void (await expect(send(id)).rejects.toThrow(RetryLaterError)))
    expect(await send(id)).toMatchObject({ outcome: 'done' })
    expect(mails).toHaveLength(1)
  })

  it('is repeated with the same id and content after a kill between sending and storing', async () => {
    const id = await queued()
    const accepted = Promise.withResolvers<void>()
    script.push((mail) => {
      mails.push(mail)
      accepted.resolve()
      return new Promise(() => {})
    })
    void send(id)
    await accepted.promise
    await expect(send(id)).rejects.toThrow(RetryLaterError)
    await expireLease(id)
    expect(await send(id)).toMatchObject({ outcome: 'done' })
    expect(mails).toHaveLength(2)
    expect(mails[0]).toEqual(mails[1])
    expect(await rowOf(id)).toMatchObject({ state: 'sent', provider_id: providerIdOf(id) })
  })

  it('changes nothing where another worker has taken over', async () => {
    const id = await queued()
    script.push(async () => {
      await expireLease(id)
      await send(id)
      await sql`update emails set provider_id = 'of the second', sent_at = '2026-01-01T00:00:00Z' where id = ${id}`
    })
    await send(id)
    expect(await rowOf(id)).toMatchObject({
      state: 'sent',
      provider_id: 'of the second',
      sent_at: new Date('2026-01-01T00:00:00Z'),
    })
  })

  it('is failed at once by a refusal, with the reason', async () => {
    const interview = await anInterview()
    const { email } = await invite(interview)
    script.push(fails(new UpstreamRefusedError('Resend', '422 validation_error')))
    const message = 'Resend refused the call: 422 validation_error'
    const failure = { code: 'refused', message, service: 'resend' }
    expect(await send(email.id)).toEqual({ outcome: 'failed', failure })
    expect(await emailsOf(sql, interview.id)).toMatchObject([{ state: 'failed', failure }])
    expect(await send(email.id)).toEqual({ outcome: 'ignored' })
    expect(mails).toEqual([])
  })

  it('waits again after an outage, and is done once that is over', async () => {
    const id = await queued()
    script.push(
      fails(new UpstreamUnavailableError('Resend answered 500')),
      fails(new RetryLaterError('Send e-mail', 7, undefined)),
    )
    await expect(send(id)).rejects.toThrow('Resend answered 500')
    await expect(send(id)).rejects.toMatchObject({ waitSeconds: 7 })
    expect(await rowOf(id)).toMatchObject({ state: 'queued', attempts: 2, last_error_cause: 'dependency' })
    expect(await send(id)).toMatchObject({ outcome: 'done' })
    expect(mails).toHaveLength(1)
  })

  it('is not done where nothing is sent to the address any more', async () => {
    const id = await queued('gone@example.com')
    await sql`
      insert into suppressed_addresses (team_id, address, reason, created_at)
      values (${owner.teamId}, 'gone@example.com', 'bounced', now())`
    expect(await send(id)).toEqual({ outcome: 'done', result: { kind: 'invite', state: 'suppressed' } })
    expect(await rowOf(id)).toMatchObject({ state: 'suppressed', sent_at: null, lease: null })
    expect(await send(id)).toEqual({ outcome: 'ignored' })
    expect(mails).toEqual([])
  })

  it('is not done where the interview was cancelled first', async () => {
    const interview = await anInterview()
    const { email } = await invite(interview)
    await begin((tx) => cancelInterview(tx, owner.teamId, interview.id))
    expect(await send(email.id)).toMatchObject({ outcome: 'failed', failure: { code: 'interview_ended' } })
    expect(mails).toEqual([])
  })

  it('is no work where the e-mail was deleted, before or in between', async () => {
    const interview = await anInterview()
    const { email } = await invite(interview)
    script.push(async () => void (await begin((tx) => deleteInterview(tx, owner, interview.id))))
    await send(email.id)
    expect(await send(email.id)).toEqual({ outcome: 'ignored' })
    expect(await send(randomUUID())).toEqual({ outcome: 'ignored' })
    expect(mails).toHaveLength(1)
  })

  it('exhausted is failed with the reason, and done after its redrive', async () => {
    const id = await queued()
    const owners = interviewOwners(2) as unknown as DeadLetterOwners
    for (let delivery = 0; delivery < 2; delivery++) {
      script.push(fails(new UpstreamUnavailableError('Resend does not answer')))
      await expect(send(id)).rejects.toThrow()
    }
    const sentAt = new Date()
    await recordDeadLetter(sql, queues.emails, owners[queues.emails], {
      id: randomUUID(),
      body: JSON.stringify({ email_id: id }),
      attributes: {},
      receiveCount: 2,
      sentAt,
    })
    expect(await rowOf(id)).toMatchObject({
      state: 'failed',
      failure: { code: 'email_failed', message: 'Resend does not answer' },
    })
    const bodies: string[] = []
    const source: SourceQueue = {
      sendBodies: async (some) => void bodies.push(...some),
      depth: async () => ({ ready: 0, in_flight: 0, delayed: 0 }),
    }
    await redrive({ sql, queues: { [queues.emails]: source } as never, owners }, queues.emails, 'every', {
      all: true,
    })
    expect(bodies.map((body) => JSON.parse(body))).toEqual([{ email_id: id }])
    expect(await send(id)).toMatchObject({ outcome: 'done' })
    expect(await rowOf(id)).toMatchObject({ state: 'sent', failure: null })
  })
})

describe('what Resend tells', () => {
  it.each([
    ['sent', 'sent'],
    ['delivery_delayed', 'delayed'],
    ['delivered', 'delivered'],
    ['bounced', 'bounced'],
    ['complained', 'complained'],
    ['suppressed', 'suppressed'],
  ])('by %s makes it %s, before its worker has stored that it was sent', async (type, state) => {
    const id = await queued()
    const at = new Date('2026-11-01T10:00:00Z')
    script.push(async () => expect(await hear(id, type, { at })).toBe('applied'))
    expect(await send(id)).toMatchObject({ outcome: 'done' })
    const sent_at = state === 'suppressed' ? null : at
    expect(await rowOf(id)).toMatchObject({ state, sent_at, provider_id: providerIdOf(id), lease: null })
    // Nobody sends it again, though its worker never stored that it had.
    expect(await send(id)).toEqual({ outcome: 'ignored' })
    expect(mails).toHaveLength(1)
  })

  it('is found by its own id where ours is not told', async () => {
    const id = await queued()
    await send(id)
    expect(await hear(id, 'delivered', { email_id: undefined })).toBe('applied')
    expect(await hear(id, 'complained', { email_id: randomUUID() })).toBe('applied')
    expect((await rowOf(id)).state).toBe('complained')
  })

  it('of an e-mail that is not here is unmatched, and of no known kind ignored', async () => {
    expect(await hear(randomUUID(), 'delivered')).toBe('unmatched')
    expect(await hear(await queued(), 'clicked')).toBe('ignored')
  })

  it('ends in the same state in whatever order it comes', async () => {
    const orders = [
      ['sent', 'delivered', 'bounced'],
      ['sent', 'bounced', 'delivered'],
      ['delivered', 'sent', 'bounced'],
      ['delivered', 'bounced', 'sent'],
      ['bounced', 'sent', 'delivered'],
      ['bounced', 'delivered', 'sent'],
    ]
    for (const types of orders) {
      const id = await queued()
      await send(id)
      for (const type of types) await hear(id, type)
      expect((await rowOf(id)).state, types.join()).toBe('bounced')
      expect(await hear(id, 'bounced')).toBe('ignored')
    }
  })

  it('knows better than whoever gave the e-mail up here', async () => {
    const id = await queued()
    script.push(fails(new UpstreamRefusedError('Resend', '409 invalid_idempotent_request')))
    await send(id)
    expect(await hear(id, 'delivered')).toBe('applied')
    expect(await rowOf(id)).toMatchObject({ state: 'delivered', failure: null })
  })

  it('may be that it could not be sent, which stays so', async () => {
    const interview = await anInterview()
    const { email } = await invite(interview)
    await send(email.id)
    await hear(email.id, 'failed')
    expect(await hear(email.id, 'sent')).toBe('ignored')
    expect(await emailsOf(sql, interview.id)).toMatchObject([
      { state: 'failed', failure: { code: 'not_sent' } },
    ])
  })

  it('suppresses an address that refuses for good, once, also where it is heard late', async () => {
    const id = await queued('Ada@Example.com')
    await send(id)
    expect(await hear(id, 'bounced', { bounce: { type: 'Transient' } })).toBe('applied')
    expect(await suppressions()).toEqual([])
    expect(await hear(id, 'bounced', { bounce: { type: 'Permanent' } })).toBe('applied')
    await hear(id, 'bounced', { bounce: { type: 'Permanent' } })
    expect(await suppressions()).toEqual([{ address: 'ada@example.com', reason: 'bounced' }])
  })

  it('suppresses the address of whoever complains: nothing more is sent to it', async () => {
    const [first, second] = [await queued('eve@example.com'), await queuedTo('EVE@example.com')]
    await send(first)
    await hear(first, 'complained')
    expect(await suppressions()).toEqual([{ address: 'eve@example.com', reason: 'complained' }])
    await send(second)
    expect((await rowOf(second)).state).toBe('suppressed')
    expect(mails).toHaveLength(1)
  })
})

describe('why an e-mail did not arrive', () => {
  it.each<[string, object, string, object]>([
    [
      'bounced',
      { bounce: { type: 'Permanent', subType: 'General', message: '550 <Ada@example.com>: user\nunknown' } },
      'bounced',
      { code: 'bounced', message: 'The mailbox refused it (Permanent, General): 550 [address] user unknown' },
    ],
    ['bounced', {}, 'bounced', { code: 'bounced', message: 'The mailbox refused it' }],
    ['complained', {}, 'complained', { code: 'complained', message: 'The reader called it spam' }],
    [
      'failed',
      { failed: { reason: 'reached_daily_quota' } },
      'failed',
      { code: 'not_sent', message: 'Resend could not send the e-mail: reached_daily_quota' },
    ],
    [
      'suppressed',
      { suppressed: { type: 'OnAccountSuppressionList', message: 'It is on the list' } },
      'suppressed',
      {
        code: 'suppressed_by_provider',
        message: 'Resend sends nothing to this address (OnAccountSuppressionList): It is on the list',
        service: 'resend',
      },
    ],
    [
      'bounced',
      { bounce: { type: 'Permanent', subType: 'Suppressed', message: 'On a list' } },
      'suppressed',
      {
        code: 'suppressed_by_provider',
        message: 'Resend sends nothing to this address (Suppressed): On a list',
        service: 'resend',
      },
    ],
  ])('is shown of %s with %j', async (type, detail, state, failure) => {
    const interview = await anInterview()
    const { email } = await invite(interview)
    await send(email.id)
    expect(await hear(email.id, type, detail)).toBe('applied')
    const [shown] = await emailsOf(sql, interview.id)
    expect(emailSchema.parse(shown)).toMatchObject({ state, failure })
  })

  it('is cut, and holds no address and nothing that cannot be stored', async () => {
    const interview = await anInterview()
    const { email } = await invite(interview)
    await send(email.id)
    const message = `ada@example.com ada%40example.com \0${'é\ud800 '.repeat(600)}`
    await hear(email.id, 'bounced', { bounce: { type: 'Permanent', message } })
    const [shown] = await emailsOf(sql, interview.id)
    expect(shown!.failure!.message).not.toContain('example.com')
    expect(shown!.failure!.message.length).toBeLessThan(600)
    expect(shown!.failure!.message.isWellFormed()).toBe(true)
  })
})

describe('a suppression', () => {
  const removed: string[] = []
  const list = { remove: async (address: string) => void removed.push(address) }
  beforeEach(() => void removed.splice(0))
  const refused = async (
    address: string,
    type = 'bounced',
    detail: object = { bounce: { type: 'Permanent' } },
  ) => {
    const interview = await anInterview(address)
    const { email } = await invite(interview)
    await send(email.id)
    await hear(email.id, type, detail)
    return interview
  }
  const held = async (address: string, teamId = owner.teamId) => suppressionOf(sql, teamId, address)

  it("is the team's, with the reason, and another team writes to the address", async () => {
    const interview = await refused('Kai@Example.com')
    const found = await held('KAI@example.com')
    expect(suppressionSchema.parse(suppressionView(found!))).toMatchObject({
      address: 'kai@example.com',
      reason: 'bounced',
      message: 'The mailbox refused it (Permanent)',
      interview_id: interview.id,
    })
    const { teamId } = await anotherTeam()
    expect(await held('kai@example.com', teamId)).toBeUndefined()
    const page = { limit: 10, offset: 0 }
    expect(await listSuppressions(sql, owner.teamId, page)).toEqual({ rows: [found], total: 1 })
    expect(await listSuppressions(sql, teamId, page)).toEqual({ rows: [], total: 0 })
  })

  it('that is lifted lets the team invite again, is off the list of Resend, and is written down', async () => {
    const interview = await refused('lea@example.com')
    await expect(invite(interview, { again: true })).rejects.toMatchObject({ code: 'address_suppressed' })
    const { id } = (await held('lea@example.com'))!
    const other = await anotherTeam()
    await expect(liftSuppression({ sql, list }, other, id)).rejects.toMatchObject({ status: 404 })
    expect(await liftSuppression({ sql, list }, owner, id)).toEqual({ clear: true })
    expect(removed).toEqual(['lea@example.com'])
    expect((await invite(interview, { again: true })).messages).toHaveLength(1)
    await expect(liftSuppression({ sql, list }, owner, id)).rejects.toMatchObject({ status: 404 })
    const [record] = await sql`select subject, requested_by from deletions where subject_id = ${id}`
    expect(record).toEqual({ subject: 'suppression', requested_by: owner.keyId })
  })

  it('stays on the list of Resend if an e-mail of another team was refused there, or our key may not', async () => {
    await refused('max@example.com')
    const { teamId } = await anotherTeam()
    await sql`
      insert into suppressed_addresses (team_id, address, reason, created_at)
      values (${teamId}, 'max@example.com', 'complained', now())`
    const { id } = (await held('max@example.com'))!
    expect(await liftSuppression({ sql, list }, owner, id)).toEqual({ clear: false })
    expect(removed).toEqual([])
    await refused('ned@example.com')
    const restricted = {
      remove: () => Promise.reject(new UpstreamRefusedError('Resend', '401 restricted_api_key', 'account')),
    }
    const second = (await held('ned@example.com'))!
    expect(await liftSuppression({ sql, list: restricted }, owner, second.id)).toEqual({ clear: false })
    expect(await held('ned@example.com')).toBeUndefined()
  })

  it('stays if Resend does not answer', async () => {
    await refused('oda@example.com')
    const { id } = (await held('oda@example.com'))!
    const away = { remove: () => Promise.reject(new UpstreamUnavailableError('Resend does not answer')) }
    await expect(liftSuppression({ sql, list: away }, owner, id)).rejects.toMatchObject({ status: 503 })
    expect(await held('oda@example.com')).toMatchObject({ id })
  })

  it('by the word of Resend alone goes when Resend lifts it; a bounce stays', async () => {
    await refused('pia@example.com', 'suppressed', {})
    await refused('rex@example.com')
    for (const address of ['Pia@example.com', 'rex@example.com']) {
      await begin((tx) => forgetProviderSuppressions(tx, address))
    }
    expect(await held('pia@example.com')).toBeUndefined()
    expect(await held('rex@example.com')).toMatchObject({ reason: 'bounced' })
  })

  it('names the reason of the mailbox once that is known', async () => {
    await refused('sol@example.com', 'suppressed', {})
    expect(await held('sol@example.com')).toMatchObject({ reason: 'provider' })
    await sql`update candidates set email = 'x' || email where lower(email) = 'sol@example.com'`
    const id = (await sql<{ id: string }[]>`select id from emails where recipient = 'sol@example.com'`)[0]!.id
    await hear(id, 'complained')
    expect(await held('sol@example.com')).toMatchObject({ reason: 'complained' })
  })
})

async function anotherTeam(): Promise<{ teamId: string; keyId: string }> {
  const [team] = await sql<{ id: string }[]>`insert into teams (name) values (${randomUUID()}) returning id`
  return { teamId: team!.id, keyId: owner.keyId }
}

/** An e-mail of another kind. */
async function queuedTo(recipient: string): Promise<string> {
  const message = await begin((tx) => queueEmail(tx, welcome({ recipient })))
  return (await messages()).find(({ id }) => id === message)!.body.email_id
}
