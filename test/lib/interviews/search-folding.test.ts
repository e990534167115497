import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { foldedText, folding } from '../../../lib/interviews/folding.ts'
import {
  indexTranscript,
  matches,
  refoldTurns,
  searchText,
  searchTurns,
} from '../../../lib/interviews/search.ts'
import type { Sql } from '../../../lib/platform/db.ts'
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts'
import { fc } from '../../support/properties.ts'

let database: TestDatabase
let sql: Sql

beforeAll(async () => {
  database = await freshDatabase()
  sql = database.sql
})
afterAll(() => database.close())

let teams = 0
async function makeTeam(): Promise<{ team: string; interview: string }> {
  const name = `team ${++teams}`
  const [made] = await sql<{ team: string; interview: string }[]>`
    with team as (
      insert into teams (name) values (${name}) returning id
    ), candidate as (
      insert into candidates (team_id, full_name, email) select id, 'Ada', 'ada@example.com' from team
      returning id, team_id
    )
    insert into interviews (team_id, candidate_id, role_title) select team_id, id, 'Engineer' from candidate
    returning team_id as team, id as interview`
  return made!
}

/** A team in one interview of which these turns were said. */
async function said(...contents: string[]): Promise<string> {
  const { team, interview } = await makeTeam()
  const turns = contents.map((content, index) => ({ sequence_no: index + 1, content }))
  await sql.begin((tx) => indexTranscript(tx, team, interview, { turns }))
  return team
}

async function find(team: string, q: string) {
  expect(searchText.safeParse(q).success).toBe(true)
  return (await searchTurns(sql, team, q, { limit: 50 })).hits
}
const numbers = async (team: string, q: string) =>
  (await find(team, q)).map(({ sequence_no }) => sequence_no).sort((a, b) => a - b)
const snippets = async (team: string, q: string) => (await find(team, q)).map(({ snippet }) => snippet)

describe('a search', () => {
  it.each([
    ['élodie', 'Élodie led it', '**Élodie** led it'],
    ['ELODIE', 'E\u0301lodie led it', '**Élodie** led it'],
    ['elodie', 'ÉLODIE', '**ÉLODIE**'],
    ['straße', 'In der STRASSE', 'In der **STRASSE**'],
    ['strasse', 'In der Straße', 'In der **Straße**'],
    ['istanbul', 'İstanbul', '**İstanbul**'],
    ['ılık', 'ILIK', '**ILIK**'],
    ['isik', 'Işık', '**Işık**'],
    ['smorrebrod', 'Smørrebrød', '**Smørrebrød**'],
    ['lodz', 'Łódź', '**Łódź**'],
    ['oeuvre', 'œuvre', '**œuvre**'],
    ['ﬁle', 'File', '**File**'],
    ['ПРИВЕТ', 'привет всем', '**привет** всем'],
    ['елка', 'Ёлка', '**Ёлка**'],
    ['οδος', 'ΟΔΟΣ', '**ΟΔΟΣ**'],
    ['محمد', 'مُحَمَّد هنا', '**مُحَمَّد** هنا'],
    ['احمد', 'أحمد', '**أحمد**'],
    ['سلام', 'ســلام', '**ســلام**'],
    ['שלום', 'שָׁלוֹם לך', '**שָׁלוֹם** לך'],
    ['می‌خواهم', 'میخواهم', '**میخواهم**'],
    ['हिन्दी', 'मैं हिन्दी', 'मैं **हिन्दी**'],
    ['Ｋａｆｋａ', 'kafka', '**kafka**'],
    ['migration', 'We Migrated', 'We **Migrated**'],
    ['e-mail', 'by E-Mail', 'by **E**-**Mail**'],
    ['C3PO', 'the c3po', 'the **c3po**'],
  ])('for %j finds %j', async (q, content, snippet) => {
    expect(await snippets(await said('nothing of it', content), q)).toEqual([snippet])
  })

  it.each([
    ['京都', '東京都に住んでいます', '東**京都**に住んでいます'],
    ['住', '東京都に住んでいます', '東京都に**住**んでいます'],
    ['す', '東京都に住んでいます', '東京都に住んでいま**す**'],
    ['ﾃﾞｰﾀ', 'データベース', '**データ**ベース'],
    ['支付平台', '我们做了支付平台。', '我们做了**支付平台**。'],
    ['使用Kafka', '我使用Kafka做的', '我**使用Kafka**做的'],
    ['서울', '서울에서 일했어요', '**서울**에서 일했어요'],
    ['ซอฟต์แวร์', 'พัฒนาซอฟต์แวร์มา', 'พัฒนา**ซอฟต์แวร์**มา'],
    ['ភាសា', 'រៀនភាសាខ្មែរ', 'រៀន**ភាសា**ខ្មែរ'],
    ['𠮷野', '𠮷野家で', '**𠮷野**家で'],
    ['"東京 大阪"', '東京、大阪', '**東京**、**大阪**'],
  ])('for %j finds the characters inside %j', async (q, content, snippet) => {
    expect(await snippets(await said('nothing of it', content), q)).toEqual([snippet])
  })

  it('does not take characters that stand apart, or in another order, for what it looks for', async () => {
    const team = await said('京の都', '都京', '京都', 'elo die')
    expect(await numbers(team, '京都')).toEqual([3])
    expect(await numbers(team, 'elodie')).toEqual([])
  })

  it('knows phrases, either and without in every script', async () => {
    const team = await said('東京で Kafka', '大阪で Kafka', '京都', 'Élodie Kafka')
    expect(await numbers(team, '東京 or 大阪')).toEqual([1, 2])
    expect(await numbers(team, 'kafka -東京')).toEqual([2, 4])
    expect(await numbers(team, 'kafka -"élodie kafka"')).toEqual([1, 2])
    expect(await numbers(team, '“elodie kafka”')).toEqual([4])
    expect(await numbers(team, 'or 京都 or')).toEqual([3])
    expect(await numbers(team, '京')).toEqual([1, 3])
  })

  it('finds whatever is cut out of a run of characters', async () => {
    const run = fc.array(fc.constantFrom(...'東京都大阪カナかなแวร์서울𠮷々ー'), {
      minLength: 1,
      maxLength: 30,
    })
    await fc.assert(
      fc.asyncProperty(run, fc.nat(), fc.nat(), async (chars, a, b) => {
        const [from, to] = [a % chars.length, b % chars.length].sort((x, y) => x - y) as [number, number]
        const q = chars.slice(from, to + 1).join('')
        // A mark alone is nothing that anybody looks for, nor does a search begin with one.
        fc.pre(!/^[\p{M}ー]/u.test(q))
        const team = await said(`Go ${chars.join('')} Go`)
        expect(await numbers(team, q)).toEqual([1])
      }),
      { numRuns: 60 },
    )
  })

  it('refuses more than 100 characters of a script without blanks', () => {
    expect(searchText.safeParse('東'.repeat(100)).success).toBe(true)
    expect(searchText.safeParse('東'.repeat(101)).error?.issues).toMatchObject([
      { message: 'must have at most 100 characters of a script without blanks' },
    ])
  })

  it('takes a turn of 100,000 characters of any script, and a word of 300', async () => {
    const team = await said(
      '東京'.repeat(50_000),
      'ж'.repeat(300),
      'слово '.repeat(17_000),
      'Ω'.repeat(100_000),
    )
    expect(await numbers(team, '東京')).toEqual([1])
    expect(await numbers(team, 'ж'.repeat(300))).toEqual([2])
    expect(await numbers(team, 'слово')).toEqual([3])
    const [hit] = await find(team, '京東')
    expect(hit!.snippet.length).toBeLessThan(600)
    expect(hit!.snippet).toContain('**')
  })
})

describe('the index of a search', () => {
  it('is used, and begins with the team', async () => {
    const { team, interview } = await makeTeam()
    const { team: other, interview: theirs } = await makeTeam()
    for (const [owner, of] of [
      [team, interview],
      [other, theirs],
    ] as const) {
      await sql`
        insert into turn_texts (interview_id, team_id, sequence_no, content, tokens, folding)
        select ${of}, ${owner}, n, 'filler', to_tsvector('english', 'filler word' || n), ${folding}
        from generate_series(1, 3000) n`
    }
    await sql.begin((tx) =>
      indexTranscript(tx, team, interview, { turns: [{ sequence_no: 1, content: '東京 Élodie' }] }),
    )
    await sql`analyze turn_texts`
    for (const q of ['elodie', '京', '東京 -kafka', '"elodie kafka" or 東']) {
      const plan = await sql<{ 'QUERY PLAN': string }[]>`explain ${matches(sql, team, q)}`
      const text = plan.map((line) => line['QUERY PLAN']).join('\n')
      expect(text).toMatch(/Bitmap Index Scan on turn_texts_tokens/)
      expect(text).toMatch(/Index Cond: \(\(team_id = .*\) AND \(tokens @@ /)
    }
  })
})

describe('turns of an earlier release', () => {
  it('are made findable batch by batch, and what is folded already is left', async () => {
    const { team, interview } = await makeTeam()
    await sql`
      insert into turn_texts (interview_id, team_id, sequence_no, content)
      select ${interview}, ${team}, n, 'Élodie ' || n from generate_series(1, 450) n`
    expect(await numbers(team, 'elodie')).toEqual([])
    let calls = 0
    expect(await refoldTurns(sql, () => 2 - calls++)).toBe(400)
    expect(await refoldTurns(sql, () => 1)).toBe(50)
    expect(await refoldTurns(sql, () => 1)).toBe(0)
    const [{ count }] = await sql<[{ count: number }]>`
      select count(*) from turn_texts where interview_id = ${interview} and folding = ${folding}`
    expect(count).toBe(450)
    expect(await numbers(team, '"elodie 450"')).toEqual([450])
  })

  it('are left to a later call while another transaction has them', async () => {
    const { team, interview } = await makeTeam()
    await sql`
      insert into turn_texts (interview_id, team_id, sequence_no, content)
      values (${interview}, ${team}, 1, 'Élodie'), (${interview}, ${team}, 2, 'Élodie')`
    const other = await sql.reserve()
    try {
      await other`begin`
      await other`update turn_texts set content = 'x' where interview_id = ${interview} and sequence_no = 1`
      expect(await refoldTurns(sql, () => 1)).toBe(1)
    } finally {
      await other`rollback`
      other.release()
    }
    expect(await refoldTurns(sql, () => 1)).toBe(1)
    expect(await numbers(team, 'elodie')).toEqual([1, 2])
  })

  it('that are written over by code that knows no tokens are folded again', async () => {
    const team = await said('Élodie')
    await sql`update turn_texts set content = 'Zoë' where team_id = ${team}`
    expect(await refoldTurns(sql, () => 1)).toBe(1)
    expect(await numbers(team, 'zoe')).toEqual([1])
    expect(await numbers(team, 'elodie')).toEqual([])
  })
})

describe('a folded text', () => {
  it('is ASCII that PostgreSQL takes for one word a token, whatever it is made of', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.string({ unit: 'binary', maxLength: 60 }),
    )
    await fc.assert(
      fc.asyncProperty(text, async (content) => {
        const folded = foldedText(content)
        expect(folded).toMatch(/^(?:[a-z0-9]+(?: [a-z0-9]+)*)?$/)
        const [row] = await sql<{ words: number }[]>`
          select count(*)::int as words from ts_parse('default', ${folded}) where tokid <> 12`
        expect(row!.words).toBe(folded === '' ? 0 : folded.split(' ').length)
      }),
    )
  })
})
