import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { canonicalFilter, type Filter, filterParameters } from '../../../../lib/profiles/filter.ts'
import { decodeFor } from '../../../support/profiles.ts'
import { filterOf, outcome, refusal } from '../../../support/questions.ts'

/** Each line is a phrase and the filter it means, as `filterOf` reads it. */
const understood: Record<string, string> = {
  'alternatives that become one range or list': `
    teenagers and young adults | 13-24
    teenagers and young adults in Nigeria | 13-24 NG
    female teenagers and young adults | female 13-24
    young adults and teenagers | 13-24
    teenage girls and young women | female 13-24
    adult women and teenage girls | female 13-59
    children, teenagers and young adults | -24
    kids and teens | -19
    teenagers and twenty-somethings | 13-29
    teens, twenties and thirties | 13-39
    people in their teens, 20s and 30s | 13-39
    women in their fifties or their sixties | female 50-69
    people in their 30s or 40s | 30-49
    Zambian adults and seniors | 20+ ZM
    ages 20-30 or 25-40 | 20-40
    ages 20-30 and 31-40 | 20-40
    aged 20 to 30 and 30 to 40 | 20-40
    women aged 20 or 21-30 | female 20-30
    men aged 20-30 or men aged 31-40 | male 20-40
    between 20 and 30 or over 25 | 20+
    over 18 or over 21 | 18+
    20-30, 31-40 and 41-50 | 20-50
    teens over 15 and adults | 15-59
    adults over 30 or seniors | 30+
    young men in Kenya and young men in Uganda | male 16-24 KE,UG
    women from Kenya, women from Uganda and women from Ghana | female GH,KE,UG
    men under 20 or over 15 | male
    women under 30 or over 30 | female
    teenagers and adults under 30 | 13-30
    adults and seniors under 70 | 20-70
    adults and teenagers over 15 | 15-59
    adults under 30 or teenagers | 13-30
    adults in their 20s or 30s | 20-39
    men over 30 and women over 30 | 30+
    men aged 20-30 and women aged 20-30 | 20-30
    elderly men and elderly women | 60+
    Nigerian women and Ghanaian women | female GH,NG
    women in Nigeria and women in Ghana | female GH,NG
    Kenyan women, Ugandan women and Tanzanian women | female KE,TZ,UG
    Kenyan men over 30 and Ugandan men over 30 | male 30+ KE,UG
    Trinidadian men and Tobagonian men | male TT
    women from both Kenya and Uganda | female KE,UG
    men or women or both | everybody
    men and/or women | everybody
    men/women from Kenya/Ghana | GH,KE
    women over 30 Kenya, Ghana | female 30+ GH,KE
    Sao Tome and Principe and Angola | AO,ST
    Antigua and Barbuda, Saint Kitts and Nevis and Dominica | AG,DM,KN
  `,
  'what is said of a whole list': `
    Kenyan men and women over 30 | 30+ KE
    young men and women | 16-24
    young men and women from Kenya | 16-24 KE
    teen boys and girls from Kenya | 13-19 KE
    men and women over 30 from Ghana and Kenya | 30+ GH,KE
    women and girls over 18 | female 18+
    women and girls aged 15-49 | female 15-49
    young guys and girls | 16-24
    adult males and females from Kenya | 20-59 KE
    elderly women and men in Japan | 60+ JP
    Senegalese, Malian and Ivorian boys | male CI,ML,SN
    Zambian and Malawian seniors | 60+ MW,ZM
    men and women aged 20-30 in Kenya or Uganda who are adults | 20-30 KE,UG
    young men in their 20s | male 20-24
    women over 30 in Kenya and under 40 | female 30-40 KE
    children under 5 and over 3 | 3-5
    people who are male and Kenyan | male KE
    young and female | female 16-24
    women who live in Kenya and are over 30 | female 30+ KE
    women over 30 but not over 40 | female 30-40
    Kenyan but living in Kenya | KE
    male or female over 30 in Kenya | 30+ KE
    Kenyan and Ugandan men and women | KE,UG
    both women and men from either Kenya or Uganda | KE,UG
    kids aged 5, 6, or 7 | 5-7
    (men or women) over 30 | 30+
    men (or women) from Kenya | KE
    women (aged 20-30) from Kenya | female 20-30 KE
  `,
  countries: `
    Congo (Kinshasa) | CD
    Congo (CD) | CD
    United States (USA), Canada (CA) and Mexico (MX) | CA,MX,US
    UNITED STATES (US) AND CANADA | CA,US
    people from italy (it) or france | FR,IT
    NG (Nigeria), GH (Ghana) | GH,NG
    NG - Nigeria | NG
    women (Nigeria) | female NG
    Virgin Islands (British) or Virgin Islands (U.S.) | VG,VI
    women from Iran, Islamic Republic of, over 30 | female 30+ IR
    Moldova, Republic of and Romania | MD,RO
    Korea (the Republic of) or Japan | JP,KR
    Falkland Islands (the) [Malvinas] | FK
    men from the Kingdom of Spain | male ES
    Republic of Ireland | IE
    Niger (the) and Nigeria | NE,NG
    Frenchmen | male FR
    Frenchmen and Frenchwomen | FR
    Irishmen or Frenchmen | male FR,IE
    Dutchwomen aged 20-30 | female 20-30 NL
    Filipina seniors | female 60+ PH
    Kiwis | NZ
    Poles and Danes | DK,PL
    Ceylon women | female LK
    UK-based women over 30 | female 30+ GB
    Kenya and Uganda based women | female KE,UG
    women of Kenyan nationality | female KE
    people with Ghanaian nationality | GH
    women of Senegal | female SN
    citizens of Ghana or Nigeria | GH,NG
    youth of Kenya and Uganda | 13-19 KE,UG
    Nigeria’s children | -12 NG
    Ivory Coast's teens | 13-19 CI
    women from FRA, DEU or ITA | female DE,FR,IT
    people from CAN | CA
    NGA or GHA | GH,NG
    KEN women | female KE
    women from IN, US or GB | female GB,IN,US
    from Kenya, AND Ghana | GH,KE
    MEN AND WOMEN ARE IN NIGERIA | NG
    women from 🇰🇪 or 🇺🇬 | female KE,UG
    Georgia and USA | GE,US
    Georgia, Armenia | AM,GE
    women from any country | female
  `,
  ages: `
    people aged 30 or younger | -30
    women not older than 30 | female -30
    women upwards of 40 | female 40+
    from 18 upwards | 18+
    18 & over | 18+
    30-plus women | female 30+
    over-30 women | female 30+
    the over-60s | 60+
    under-25s in Kenya | -25 KE
    18-24s | 18-24
    18s and over | 18+
    30 years and older women | female 30+
    under-eighteens in Kenya | -18 KE
    the over sixties | 60+
    women in the 18-24 age range | female 18-24
    25-30yrs | 25-30
    30y/o women | female 30-30
    30-yr-old men | male 30-30
    20-something | 20-29
    twenty-something women | female 20-29
    fifty-somethings in Ghana | 50-59 GH
    between 20s and 30s | 20-39
    in their 20s to 40s | 20-49
    18, 19 and 20 year olds | 18-20
    30-year-olds and 31-year-olds | 30-31
    ages 20,21,22 | 20-22
    women who are 20 or 21 | female 20-21
    women who are 20 to 30 | female 20-30
    exactly thirty years old | 30-30
    women over thirty-five and under fifty | female 35-50
    twenty-five to thirty-five year old men | male 25-35
    one hundred and one year olds | 101-101
    at least 30 years old women | female 30+
    between 18 and 25 year old women | female 18-25
    20-30 men | male 20-30
    over 90 women | female 90+
    women over 100 | female 100+
    women 30 or more | female 30+
    women ≥ 30 and ≤ 40 | female 30-40
    women >30 <40 | female 31-39
    age=>30 | 30+
    age < 150 | -149
    aged over 30 under 40 | 30-40
    older Kenyan women | female 60+ KE
    older men over 70 | male 70+
    middle aged men and women | 40-59
    young Kenyan children | -12 KE
    women of any age | female
  `,
  'questions and requests': `
    how many women are there in Nigeria? | female NG
    how many women do we have in Nigeria | female NG
    how many Nigerians are women | female NG
    how many of the women are over 30 | female 30+
    could you please find me men over 40 in Uganda | male 40+ UG
    I’m looking for elderly people in Japan | 60+ JP
    we'd like to see young men in Rwanda, thanks | male 16-24 RW
    what is the number of men in Togo? | male TG
    are there any women in Chad? | female TD
    tell me how many men live in Spain | male ES
    who lives in Nigeria | NG
    which women are in Nigeria | female NG
    those over 30 | 30+
    list of women in Ghana | female GH
    find profiles of Kenyan and Ugandan women | female KE,UG
    women's profiles | female
    hello, can you show me women in Kenya? | female KE
    I'm interested in women from Kenya | female KE
    filter by gender female | female
    women who're under 30 | female -30
    I AM LOOKING FOR WOMEN IN KENYA | female KE
    IS THERE ANYONE IN DE | DE
    give me everyone | everybody
    people of all ages | everybody
  `,
  fields: `
    gender female age > 30 country NG | female 31+ NG
    gender=female&country_id=ng&min_age=20&max_age=45 | female 20-45 NG
    gender = 'female' and country = 'Kenya' | female KE
    sex: F | female
    location: Kenya | KE
    people with gender female and age over 30 | female 30+
    people whose country is Kenya | KE
    nationality Kenyan, female | female KE
    country in (NG, GH) | GH,NG
    country=NG,GH,KE | GH,KE,NG
    age:>30 | 31+
    age > 30 and age < 40 | 31-39
    age = 20 or 21 | 20-21
    women whose age is between 20 and 30 | female 20-30
    min_age: 20, max_age: 45 | 20-45
    age_group: adult or senior | 20+
    women in the senior age group | female 60+
    women, adult, Kenya | female 20-59 KE
    Kenya, women, 20-30 | female 20-30 KE
  `,
  'how a text is written': `
    ＷＯＭＥＮ　ｏｖｅｒ　３０ | female 30+
    "women"   from 'Kenya'!!! | female KE
    women; Kenya; over 30 | female 30+ KE
    women – Kenya | female KE
    wOmEn OvEr ThIrTy | female 30+
  `,
}

/** Each line is a phrase and, after `|`, a word of the reason. */
const refused: Record<string, string> = {
  'where an alternative would get lost': `
    women in Nigeria and men in Ghana | one group at a time
    Kenyan women, Ugandan men | one group at a time
    women over 30 or men under 20 | one group at a time
    men aged 20-30 and women aged 25-40 | one group at a time
    men over 30 and women | one group at a time
    men, women and seniors | one group at a time
    women and teenage girls | one group at a time
    seniors in Zambia and adults in Malawi | one group at a time
    people of Ghana and women | one group at a time
    women, teenagers | one group at a time
    people in Kenya, women | one group at a time
    30+ and women | one group at a time
    over 60 or seniors | one group at a time
    women or Kenyan men | one group at a time
    men in their 30s and women in their 40s | one group at a time
    young Kenyan men and Ugandan men | one group at a time
    women from Kenya, men from Uganda and women from Ghana | one group at a time
    men from Kenya (KE) and Ugandans | one group at a time
    over 30 from Kenya and Ugandans | one group at a time
    20-somethings from Kenya, men | one group at a time
    under 18 or over 65 | leave out ages 19 to 64
    young or old | leave out ages 25 to 59
    children and adults | leave out ages 13 to 19
    young and middle-aged women | leave out ages 25 to 39
    20s, 40s | leave out ages 30 to 39
    aged 20, 30 or 40 | leaves out ages 21 to 29
    women aged 20 or 25-30 | leave out ages 21 to 24
    age = 20 or 22 | leaves out age 21
    women < 30 or > 40 | leave out ages 30 to 40
    children or seniors over 70 | contradicts
    Kenyans in Kenya or Uganda | "Uganda" contradicts "Kenyans"
    Kenyans and Ugandans from Kenya | "Ugandans" contradicts "from Kenya"
  `,
  'where it is open what belongs together': `
    young teenagers and adults | "young"
    adult men and women over 40 | "over 40"
    teen boys and women | "teen"
    adult males and girls | "adult"
    boys and women over 30 | "over 30"
    men and boys under 18 | "under 18"
    young Kenyan and Ugandan men over 20 | "over 20"
    Nigerian women or Ghanaian women over 30 | one group at a time
    people over 18 and people under 60 | one group at a time
    over 18 and over 21 | "and"
    over 18s and under 30s | "and"
    women over 18 over 21 | "over 18 over 21"
    women 20-30 25-40 | "20-30 25-40"
    ages 20-30 and 25-40 | "and"
    between 20 and 30 and over 25 | "and"
    young, adult women | "and" or "or"
    Nigerians, Ghana | "and" or "or"
    Hong Kong, China | "and" or "or"
    Niger, Nigeria and Ghana | "and" or "or"
    men and (women from Kenya) | "and"
    (young men) and women | "and"
  `,
  'for a number of people': `
    at least 5 Kenyan women | "at least 5"
    at least 5 of the women | "at least 5"
    exactly 5 women | "exactly 5"
    5 or more women | "5 or more"
    no more than 10 people | "no more than 10"
    between 5 and 10 women | "between 5 and 10"
    20 to 30 men | "20 to 30"
    over 100 women | "over 100"
    100+ women | "100+"
    who are 5 women | "who are 5"
    30-year-olds and older women | "30-year-olds and older"
    top 10 | "top"
    ten men | "ten"
    a hundred women | "hundred"
    two Senegalese | "two"
  `,
  'for what it leaves out': `
    women but not Kenyans | "not"
    everyone but Kenyans | "but"
    all but from Nigeria | "but"
    women from all countries but Nigeria | "but"
    neither men nor women | "neither"
    anyone other than men | "other"
    non-Nigerian women | "non"
    women -Kenya | "-"
    women !Kenya | "!"
    age != 30 | "!="
    gender <> female | "<>"
    women without children | "without"
    women outside Nigeria | "outside"
    women who aren't Kenyan | "aren't"
  `,
  'for what no filter says': `
    women with children | "with"
    men with women | "with"
    children of Kenyans | "of"
    the Kenyans' children | "Kenyans'"
    men's children | "men's"
    women looking for men | "looking for"
    women who need Kenyans | "need"
    women by country | "by"
    gender and age of Kenyans | "age"
    country | no value
    gender | no value
    oldest Kenyans | sort_by
    women with high probability | min_gender_probability
    Latin American men | name the countries
    Scottish women | parts of countries
    late twenties | no exact age
    mid-thirties | "mid"
    women around 30 | no exact age
    women 30 | say "aged 30"
    10 years | "years"
    women who are older | older than what
    older teenagers | older than what
    younger Kenyans | younger than what
    Kenyan-American women | contradicts
    Kenya (UG) | contradicts
    Georgia (USA) | contradicts
    Kenya-born men | "born"
    women named Chad | "named"
    British Columbia | "Columbia"
    New Jersey women | "New"
    Mexico City | "City"
    people from 🇽🇰 | 🇽🇰
    men from Malé | "Malé"
    wómen | "wómen"
    wo\u200bmen | U+200B
    women over 3² | "3²"
    people from can | "can"
    us-based men | "us"
    womans | "womans"
  `,
}

const linesOf = (table: Record<string, string>) =>
  Object.entries(table).flatMap(([kind, lines]) =>
    lines
      .trim()
      .split('\n')
      .map((line): [string, string, string] => {
        const [query = '', expected = ''] = line.split(' | ')
        return [kind, query.trim(), expected]
      }),
  )

describe('phrases that are understood', () => {
  it.each(linesOf(understood))('%s: %j', (_, query, short) => {
    expect(outcome(query)).toEqual(filterOf(short))
  })

  it('have blanks, line breaks and invisible characters at either end', () => {
    for (const end of ['\n', '\r\n', '\t', ' ', '\u00a0', '\u200b', '\ufeff', '\u2060', '\u202c', '\u3000']) {
      for (const query of [`${end}women from Kenya`, `women from Kenya${end}`, `women${end} from Kenya`]) {
        expect(outcome(query), JSON.stringify(query)).toEqual(filterOf('female KE'))
      }
    }
  })
})

describe('phrases that are refused', () => {
  it.each(linesOf(refused))('%s: %j', (_, query, reason) => {
    const { status, details } = refusal(query)
    expect([400, 422]).toContain(status)
    expect(details.join('; ')).toContain(reason)
  })

  it('say what is understood instead', () => {
    const { details } = refusal('rich women')
    expect(details).toEqual([
      '"rich" is not understood',
      expect.stringMatching(/^Understood are .*docs\/querying/),
    ])
    expect(outcome(/"(.*)"/.exec(details[1]!)![1]!)).toEqual(filterOf('female 20-45 NG'))
  })
})

describe('the tables of docs/querying.md', () => {
  const docs = readFileSync(resolve(import.meta.dirname, '../../../../docs/querying.md'), 'utf8')
  const section = docs.slice(docs.indexOf('## Plain English'), docs.indexOf('## Statistics'))
  const rows = section
    .split('\n')
    .filter((line) => /^\| (?!-|said|asked)/.test(line))
    .map((line) => line.slice(2, -2).split(' | '))
  const phrases = rows.flatMap(([said = '', ...cells]) =>
    said.split('; ').map((phrase) => [phrase.trim(), ...cells.map((cell) => cell.trim())]),
  )

  it('show what each phrase means', () => {
    const examples = phrases.filter(({ length }) => length === 2)
    expect(examples.length).toBeGreaterThan(80)
    for (const [phrase = '', meant = ''] of examples) {
      const parameters = z.object(filterParameters).parse(decodeFor(/^`(.*)`$/.exec(meant)?.[1] ?? ''))
      expect(meant === 'everybody' || meant.startsWith('`'), meant).toBe(true)
      expect(outcome(phrase), phrase).toEqual(canonicalFilter(parameters))
    }
  })

  it('show what is refused', () => {
    const refusals = phrases.filter(({ length }) => length === 3)
    expect(refusals.length).toBeGreaterThan(20)
    for (const [phrase = '', status] of refusals) expect(refusal(phrase).status, phrase).toBe(Number(status))
  })
})

/** Phrases with the filter each means, that come with the specification and not with this repository. */
const casesFile = resolve(import.meta.dirname, '../../../../../shared/cases/phrases.json')
const present = existsSync(casesFile)
if (!present) console.warn(`${casesFile} is not there: its tests are skipped`)
type Case = { q: string; expect: Filter | { refuse: true } }

describe.runIf(present)('the phrases of the specification', () => {
  const cases: Case[] = present ? JSON.parse(readFileSync(casesFile, 'utf8')) : []

  it('are many', () => {
    expect(cases.length).toBeGreaterThan(300)
  })

  it.each(cases)('$q', ({ q, expect: expected }) => {
    if ('refuse' in expected) expect([400, 422]).toContain(refusal(q).status)
    else expect(outcome(q)).toEqual(expected)
  })
})
