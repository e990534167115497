import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Sqs, startSqs } from '../../infra/local/sqs.ts'
import { disconnect, type Sql } from '../../lib/platform/db.ts'
import type { HttpFunction } from '../../lib/platform/http/index.ts'
import { createKey } from '../../lib/platform/keys.ts'
import { queueVariables } from '../../lib/platform/names.ts'
import { type Access, type Role, type RouteKey, roleNames, routes } from '../../lib/platform/routes.ts'
import { startTestAws, type TestAws } from '../support/aws.ts'
import { type CallResult, call } from '../support/http-event.ts'
import { freshDatabase, type TestDatabase } from '../support/postgres.ts'
import { startStorage } from '../support/storage.ts'
import { webhookKeys } from '../support/webhooks.ts'
import { factories, markOf, type Row, rows } from './authorisation-rows.ts'

/** Each role alone, and those that are given together. */
const roleSets: readonly (readonly Role[])[] = [
  ...roleNames.map((role) => [role]),
  ['admin', 'operator'],
  ['recruiter', 'analyst'],
]

/** Which roles open a route: said here again, so that a change of who may do what has to be meant. */
const opening: Record<Exclude<Access, 'anyone' | 'key'>, readonly Role[]> = {
  analyst: ['analyst', 'admin'],
  recruiter: ['recruiter', 'admin'],
  admin: ['admin'],
  operator: ['operator'],
  'admin or operator': ['admin', 'operator'],
}

type Key = Exclude<RouteKey, '$default'>
const keys = Object.keys(routes).filter((key): key is Key => key !== '$default')

let folder: string
let database: TestDatabase
let bucket: Awaited<ReturnType<typeof startStorage>>
let sqs: Sqs
let aws: TestAws
let sql: Sql
let make: ReturnType<typeof factories>
/** What the other team has from the beginning. */
const foreignIds: string[] = []
const handlers = new Map<string, HttpFunction>()
const apiKeys = new Map<readonly Role[], string>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-test-authorisation-'))
  ;[database, bucket, aws] = await Promise.all([freshDatabase(), startStorage(), startTestAws()])
  sqs = await startSqs({ dataDir: folder, region: bucket.region, credentials: bucket.credentials })
  sql = database.sql
  make = factories(sql)
  aws.functions.gemini = () => ({ status: 'done', result: { answer: 'x', found: false, turn_ids: [] } })
  aws.functions.mailer = () => ({ status: 'done', result: null })
  const environment: Record<string, string> = {
    ...database.env,
    ...aws.environment,
    ...bucket.env,
    AWS_ENDPOINT_URL_SQS: sqs.url,
    UPLOAD_BUCKET: 'uploads',
    GEMINI_FUNCTION_NAME: 'gemini',
    LIVEKIT_FUNCTION_NAME: 'livekit',
    MAILER_FUNCTION_NAME: 'mailer',
  }
  for (const [name, { source, deadLetters }] of Object.entries(queueVariables)) {
    environment[source] = sqs.createQueue(name).url
    environment[deadLetters] = sqs.createQueue(`${name}-dlq`).url
  }
  for (const name of ['agent', 'resend', 'livekit'] as const) {
    const { arn } = await aws.secrets.create(name, undefined, JSON.stringify(webhookKeys[name]))
    environment[`${name.toUpperCase()}_SECRET_ARN`] = arn
  }
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  await createKey(sql, { role: 'admin', team: 'other', label: 'x' })
  for (const roles of roleSets) {
    apiKeys.set(roles, (await createKey(sql, { role: roles, team: 'acme', label: 'x' })).key)
  }
  for (const name of new Set(keys.map((key) => routes[key].function))) {
    handlers.set(name, (await import(`../../functions/${name}.ts`)).handler)
  }
  // What lists would show of the other team.
  for (const kind of [
    'completedImport',
    'export',
    'candidate',
    'assessed',
    'letter',
    'suppression',
  ] as const) {
    foreignIds.push(await make[kind]('other'))
  }
})
afterAll(async () => {
  await disconnect()
  await Promise.all([database.close(), bucket.close(), sqs.close(), aws.close()])
  await rm(folder, { recursive: true, force: true })
  vi.unstubAllEnvs()
})

function rowOf(key: Key): Row {
  const row: Row | undefined = rows[key]
  if (!row) throw new Error(`${key} has no row in authorisation-rows.ts that says whose it is`)
  return row
}

function ask(route: Key, id: string, roles: readonly Role[] | undefined, key?: string): Promise<CallResult> {
  const { query, body } = rowOf(route)
  const path = route.replace('{id}', id).replace('{queue}', 'exports')
  return call(handlers.get(routes[route].function)!, `${path}${query ? `?${query}` : ''}`, {
    ...(key !== undefined && { key }),
    ...(roles && { key: apiKeys.get(roles)! }),
    ...(body && { body: body(id, roles ?? []) }),
  })
}

const opens = (roles: readonly Role[], access: Access) =>
  access === 'anyone' || access === 'key' || opening[access].some((role) => roles.includes(role))

/** Whatever the database holds. */
async function everything(): Promise<string> {
  const tables = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`
  const texts: string[] = []
  for (const { name } of tables) {
    const [row] = await sql<{ text: string | null }[]>`
      select string_agg(t::text, ' ' order by t::text) as text from ${sql(name)} as t`
    texts.push(`${name}: ${row!.text}`)
  }
  return texts.join('\n')
}

/** A response but for what differs from request to request. */
function withoutRequest({ status, body }: CallResult): object {
  const { request_id: _, ...rest } = body ?? {}
  return { status, rest }
}

describe('who may do what', () => {
  it('is said of every route, and of no other', () => {
    expect(Object.keys(rows).sort()).toEqual([...keys].sort())
    for (const key of keys) if (key.includes('{id}')) expect(rowOf(key).object, key).toBeDefined()
  })

  describe.each(keys)('%s', (route) => {
    const { access }: { access: Access } = routes[route]
    const row = () => rowOf(route)
    const objectOf = (team: string) => {
      const { object } = row()
      return object ? make[object](team) : Promise.resolve('')
    }

    if (access === 'anyone') {
      it('asks for no key', async () => {
        expect((await ask(route, '', undefined)).status).toBe(row().own)
        expect((await ask(route, '', undefined, 'ins_wrong')).status).toBe(row().own)
      })
      return
    }

    it('is 401 without a key that is known', async () => {
      const id = await objectOf('acme')
      const before = await everything()
      for (const key of [undefined, 'ins_wrong', `ins_${'x'.repeat(43)}`]) {
        expect((await ask(route, id, undefined, key)).status).toBe(401)
      }
      expect(await everything()).toBe(before)
    })

    const closed = roleSets.filter((roles) => !opens(roles, access))
    it.runIf(closed.length > 0)(
      `is 403 for ${closed.map((roles) => roles.join('+')).join(', ')}`,
      async () => {
        const ids = [await objectOf('acme'), await objectOf('other'), randomUUID()]
        const before = await everything()
        for (const roles of closed) {
          const seen = await Promise.all(ids.map((id) => ask(route, id, roles)))
          expect(seen.map(({ status }) => status)).toEqual([403, 403, 403])
          expect(new Set(seen.map((result) => JSON.stringify(withoutRequest(result)))).size).toBe(1)
        }
        expect(await everything()).toBe(before)
      },
    )

    it.each(
      roleSets.filter((roles) => opens(roles, access)).map((roles) => [roles.join('+'), roles] as const),
    )('does it for %s, with what is theirs only', async (_, roles) => {
      const own = await ask(route, await objectOf('acme'), roles)
      expect(own.status).toBe(row().own)
      expect(own.text).not.toContain(markOf('other'))
      const everyTeams =
        row().belongsTo === 'everyone' ||
        (row().belongsTo === 'team, and operators' && roles.includes('operator'))
      if (!everyTeams) expect(foreignIds.filter((id) => own.text.includes(id))).toEqual([])
      if (!row().object) return
      const foreign = await objectOf('other')
      if (everyTeams) {
        expect((await ask(route, foreign, roles)).status).toBe(row().own)
        return
      }
      const before = await everything()
      const refused = await ask(route, foreign, roles)
      expect(refused.status).toBe(404)
      expect(withoutRequest(refused)).toEqual(withoutRequest(await ask(route, randomUUID(), roles)))
      expect(await everything()).toBe(before)
    })
  })
})
