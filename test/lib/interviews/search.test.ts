import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { indexTranscript, searchText, searchTurns, type TurnHit } from '../../../lib/interviews/search.ts'
import { buildTranscript, readTranscript, turnId } from '../../../lib/interviews/transcript.ts'
import type { Sql } from '../../../lib/platform/db.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { fc } from '../../support/properties.ts'

let database: TestDatabase
let sql: Sql
let teams: string[]

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
  teams = [await makeTeam('one'), await makeTeam('other')]
})
afterAll(() => database.close())

async function makeTeam(name: string): Promise<string> {
  const [team] = await sql<{ id: string }[]>`insert into teams (name) values (${name}) returning id`
  return team!.id
}

async function makeInterview(team: string, transcriptJson: string | null = null): Promise<string> {
  const [interview] = await sql<{ id: string }[]>`
    with candidate as (
      insert into candidates (team_id, full_name, email)
      values (${team}, 'Ada Lovelace', uuidv7() || '@example.com') returning id
    )
    insert into interviews (team_id, candidate_id, role_title)
    select ${team}, id, 'Engineer' from candidate returning id`
  await sql`insert into sessions (interview_id, transcript_json) values (${interview!.id}, ${transcriptJson})`
  return interview!.id
}

async function storeTurns(interview: string, contents: readonly string[]): Promise<void> {
  for (const [index, content] of contents.entries()) {
    await sql`
      insert into turns (interview_id, sequence_no, speaker, content, timestamp_sec)
      values (${interview}, ${index + 1}, 'candidate', ${content}, ${index * 1.5})`
  }
}

async function index(team: string, contents: readonly string[]): Promise<string> {
  const interview = await makeInterview(team)
  const json = JSON.stringify(contents.map((content) => ({ content })))
  await sql.begin((tx) => indexTranscript(tx, team, interview, buildTranscript(interview, [], json)))
  return interview
}

async function find(q: string, team = teams[0]!): Promise<TurnHit[]> {
  return (await searchTurns(sql, team, q, { limit: 50 })).hits
}

describe('a transcript in the database', () => {
  it('is of its rows and its session', async () => {
    const json = [
      { sequence_no: 2, content: 'other words', timestamp_sec: 1.5 },
      { sequence_no: 3, content: 'third', timestamp_sec: 61 },
    ]
    const interview = await makeInterview(teams[0]!, JSON.stringify(json))
    await storeTurns(interview, ['first', 'second'])
    const transcript = await readTranscript(sql, interview)
    expect(transcript).toMatchObject({ source: 'merged', skipped_elements: 0 })
    expect(transcript.turns.map(({ content, timestamp }) => [content, timestamp])).toEqual([
      ['first', '00:00:00'],
      ['second', '00:00:01'],
      ['third', '00:01:01'],
    ])
    const [first] = transcript.turns
    expect(Date.parse(first!.spoken_at!)).toBeGreaterThan(Date.now() - 60_000)
    await sql`delete from turns where interview_id = ${interview} and sequence_no = 1`
    const [second] = (await readTranscript(sql, interview)).turns
    expect(second).toMatchObject({ id: turnId(interview, 2), content: 'second' })
  })

  it('is its rows alone before the session ends, and empty where no interview is', async () => {
    const interview = await makeInterview(teams[0]!)
    await storeTurns(interview, ['first'])
    expect(await readTranscript(sql, interview)).toMatchObject({
      source: 'turns',
      turns: [{ sequence_no: 1 }],
    })
    expect((await readTranscript(sql, teams[0]!)).turns).toEqual([])
  })
})

describe('a search', () => {
  it('finds words in their forms, phrases, and turns without a word', async () => {
    const interview = await index(teams[0]!, [
      'We migrated Kafka clusters in Lagos',
      'The cluster in Lagos was migrating slowly',
      'Nothing of it',
    ])
    const hits = await find('migration')
    expect(hits.map(({ turn_id }) => turn_id).sort()).toEqual([1, 2].map((n) => turnId(interview, n)).sort())
    expect(hits[0]).toMatchObject({
      interview_id: interview,
      role_title: 'Engineer',
      candidate_name: 'Ada Lovelace',
    })
    expect((await find('"kafka clusters"')).map(({ snippet }) => snippet)).toEqual([
      'We migrated **Kafka** **clusters** in Lagos',
    ])
    expect((await find('lagos -kafka')).map(({ sequence_no }) => sequence_no)).toEqual([2])
    expect(await find('"clusters kafka"')).toEqual([])
  })

  it('sees only the interviews of the team', async () => {
    await index(teams[1]!, ['A word as rare as obsidian'])
    expect(await find('obsidian')).toEqual([])
    expect(await find('obsidian', teams[1])).toHaveLength(1)
  })

  it('puts the better turn first, and its pages hold each turn once', async () => {
    await index(teams[0]!, ['granite', 'granite granite granite', ...Array(9).fill('granite')])
    await index(teams[0]!, Array(12).fill('about granite'))
    const whole = await find('granite')
    expect(whole).toHaveLength(23)
    expect(whole[0]!.sequence_no).toBe(2)
    for (const limit of [1, 4, 23]) {
      const paged: TurnHit[] = []
      let cursor: string | undefined
      do {
        const page = await searchTurns(sql, teams[0]!, 'granite', { limit, cursor })
        paged.push(...page.hits)
        cursor = page.next_cursor ?? undefined
      } while (cursor)
      expect(paged).toEqual(whole)
    }
  })

  it('refuses a cursor of another search', async () => {
    const { next_cursor } = await searchTurns(sql, teams[0]!, 'granite', { limit: 1 })
    for (const cursor of [next_cursor!, 'nonsense', Buffer.from('[1,2]').toString('base64url')]) {
      await expect(searchTurns(sql, teams[0]!, 'marble', { limit: 1, cursor })).rejects.toMatchObject({
        code: 'invalid_cursor',
        status: 422,
      })
    }
  })

  it.each(['', '\0', 'the', '"', ')(&|!:*', "'; drop table turns; --", '\\'])(
    'for %j finds nothing',
    async (q) => {
      expect(await find(q)).toEqual([])
    },
  )

  it.each([
    ['-'.repeat(100), []],
    [`dolerite ${'- '.repeat(100)}syenite`, [1]],
    [`${'-!&|() '.repeat(60)}syenite dolerite`, [1]],
  ])('counts the hyphens of %j as one', async (q, found) => {
    await index(teams[1]!, ['dolerite', 'dolerite and syenite'])
    const hits = await find(q, teams[1])
    expect([...new Set(hits.map(({ sequence_no }) => sequence_no))]).toEqual(found)
  })

  it('takes whatever operators come, in any order', async () => {
    const part = fc.constantFrom(
      '-',
      '"',
      ' or ',
      ' ',
      '(',
      ')',
      '!',
      '&',
      '|',
      ':*',
      '\\',
      "'",
      '<->',
      'x',
      'é',
      '.',
      '/',
      '@',
      '\0',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 150 }), async (parts) => {
        await find(parts.join(''))
      }),
    )
  })

  it('takes 32 words and 500 characters, and names the limit beyond', () => {
    const words = (count: number) => Array.from({ length: count }, (_, n) => `w${n}`).join(' ')
    expect(searchText.safeParse(words(32)).success).toBe(true)
    expect(searchText.safeParse(words(33)).error?.issues).toMatchObject([
      { message: 'must have at most 32 words' },
    ])
    expect(searchText.safeParse('a-'.repeat(20).concat('a.b/'.repeat(7))).success).toBe(false)
  })

  it('shows the place in a long turn where the words are', async () => {
    const filler = 'nothing to see in here '
    const long = (place: number) => `${filler.repeat(5000).slice(0, place)} pink marble ${filler.repeat(300)}`
    for (const place of [0, 1795, 1999, 50_000, 70_000]) {
      await index(teams[1]!, [long(place)])
    }
    const hits = await find('"pink marble"', teams[1])
    expect(hits).toHaveLength(5)
    for (const { snippet } of hits) expect(snippet).toContain('**pink** **marble**')
  })

  it('marks what it found in a text that holds marks of its own', async () => {
    await index(teams[0]!, ['Not \u0002this\u0003 but basalt'])
    const [hit] = await find('basalt')
    expect(hit!.snippet).toBe('Not this but **basalt**')
  })

  it('follows a turn that changes, and bears being told twice', async () => {
    const interview = await index(teams[0]!, ['quartz'])
    const changed = buildTranscript(interview, [], '[{"content":"feldspar"}]')
    for (const transcript of [changed, changed]) {
      await sql.begin((tx) => indexTranscript(tx, teams[0]!, interview, transcript))
    }
    expect(await find('quartz')).toEqual([])
    expect(await find('feldspar')).toHaveLength(1)
  })

  it('takes turns of any length and any characters', async () => {
    const words = Array.from({ length: 400_000 }, (_, n) => `w${n.toString(36)}`).join(' ')
    await index(teams[0]!, ['gneiss 😀', `😀 gneiss ${words}`, `g${'😀'.repeat(60_000)}`])
    expect(await find('gneiss')).toHaveLength(2)
  })
})
