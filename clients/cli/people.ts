/**
 * Invented people as a CSV file would bring them: a deterministic stream of lines with realistic dirt, and the
 * count of what an import must make of them. The same options give the same bytes.
 */

export type PeopleOptions = {
  rows: number
  /** Other seeds give other people: two have names in common only if their files happen to overlap. */
  seed: number
  /** Dirty rows in a thousand, spread over all reasons; 0 for a clean file. */
  dirtPerThousand: number
}

export type Expected = {
  total_rows: number
  inserted: number
  skipped: number
  reasons: Record<string, number>
}

const givenFemale = words(
  'Ada Amara Chioma Ngozi Wanjiku Achieng Akinyi Abena Akosua Esi Thandiwe Nomsa Lerato Zanele Fatou Aïssatou',
  'Aminata Mariama Selam Hiwot Zoë Chloé Inès Léa María Núria Ángela Giulia Françoise Anaïs Søren-Ida Åsa Maja',
  'Zofia Łucja Šárka Jūratė Ilze Katja Aylin Ayşe Leyla Parisa Noor Priya Ananya Mei Yuki Linh Ngọc Sofia Lúcia',
)
const givenMale = words(
  'Emeka Chidi Obinna Tunde Kwame Kofi Yaw Kojo Mwangi Otieno Kamau Baraka Sipho Thabo Themba Moussa Ousmane',
  'Cheikh Abebe Dawit Yonas José Íñigo Jürgen Björn Håkon Łukasz Tomáš Žiga Đorđe Andrei Mihály Georgios Emre',
  'Çağlar Omar Youssef Arjun Rohan Wei Hiroshi Minh Đức Rafael João Luís André Noël Théo Loïc Seán Pádraig Rhys',
)
const middle = words(
  'Adaeze Bola Chinwe Dayo Efe Folake Grace Hope Ifeoma Joy Kemi Lola Mercy Nneka Ola Peace Queen Rose Simi Tola',
  'Uche Vera Wale Yemi Zainab Abdul Ben Caleb Daniel Elijah Felix Gideon Hassan Isaac James Kelvin Leo Moses',
  'Nathan Oscar Peter Reuben Samuel Titus Uriel Victor William Xavier Yusuf Zachary Anne Beth Claire Dawn Eve Faith',
  'Gift Hannah Irene Jane Kate Lily Mary Nora Olive Paula Ruth Sarah Tessa Una Violet Wendy Yara Zoe Amin Basil',
)
const family = words(
  'Okafor Obi Adeyemi Balogun Eze Nwosu Okonkwo Abiola Danjuma Bello Mensah Owusu Boateng Asante Appiah Osei Kamau',
  'Njoroge Wanjala Omondi Odhiambo Mutua Kiptoo Cheruiyot Dlamini Nkosi Khumalo Mokoena Naidoo Botha Diop Ndiaye',
  'Traoré Koné Keïta Diallo Camara Tesfaye Bekele Haile Girma García Fernández Peña Müller Schröder Weiß Dubois',
  "Lefèvre Rossi D'Angelo O'Brien Ó Murchú Nowak Wójcik Novák Kovács Popescu Ivanov Yılmaz Şahin Demir Haddad Nasser",
  'Sharma Patel Reddy Chen Wang Tanaka Suzuki Nguyễn Trần Silva Conceição Araújo Hansen Sørensen Lindström Virtanen',
)
const countries = words(
  'NG KE ET GH ZA BJ SN ML CI CM TZ UG RW EG MA DZ TN AO MZ ZM ZW BW NA US GB FR DE ES IT PT NL BE SE NO DK FI PL CZ',
  'HU RO GR TR IN CN JP VN BR MX AR CL CO PE AU NZ CA IE',
)

function words(...lines: string[]): string[] {
  return lines.flatMap((line) => line.split(' '))
}

/** A small generator of uniform 32-bit numbers (Marsaglia's xorshift), since Math.random takes no seed. */
function random(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 88_172_645) >>> 0 || 1
  return () => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
}

const given = [...givenFemale, ...givenMale]
const names = given.length * middle.length * middle.length * family.length

type Person = { name: string; gender: string; age: number; country: string }

/** The person of a number: no two below `names` have one name. The step is prime, so it visits every name. */
function person(number: number, next: () => number): Person {
  // Below 2^53, so that it is exact.
  let at = ((number % names) * 7_368_787) % names
  const take = (list: readonly string[]): string => {
    const word = list[at % list.length]!
    at = Math.floor(at / list.length)
    return word
  }
  const first = take(given)
  const name = `${first} ${take(middle)} ${take(middle)} ${take(family)}`
  const gender = givenFemale.includes(first) ? 'female' : 'male'
  // A population with more young than old people, and a few countries that hold most of it.
  const age = Math.floor(95 * (next() / 2 ** 32) ** 1.3)
  const country = countries[Math.floor(countries.length * (next() / 2 ** 32) ** 2)]!
  return { name, gender, age, country }
}

export const peopleHeader = 'Name,Gender,Age,Country_ID,gender_probability,country_probability,notes\n'

/** Writes the file piece by piece (about 64 KB each); `expected` is complete when the last has been taken. */
export function people(options: PeopleOptions): { chunks: Generator<Buffer>; expected: Expected } {
  const expected: Expected = { total_rows: options.rows, inserted: 0, skipped: 0, reasons: {} }
  return { chunks: chunksOf(options, expected), expected }
}

function* chunksOf({ rows, seed, dirtPerThousand }: PeopleOptions, expected: Expected): Generator<Buffer> {
  const next = random(seed)
  const first = seed * 2_000_003
  let parts: Buffer[] = [Buffer.from(peopleHeader)]
  let size = 0
  /** The last name that went in, for the duplicates. */
  let before: Person | undefined
  for (let row = 0; row < rows; row++) {
    const one = person(first + row, next)
    const dirty = before !== undefined && next() % 1000 < dirtPerThousand
    const dirt = dirty ? kinds[next() % kinds.length]! : undefined
    const part = dirt ? dirt.line(one, before!) : cleanLine(one, next)
    if (dirt) {
      expected.skipped++
      expected.reasons[dirt.reason] = (expected.reasons[dirt.reason] ?? 0) + 1
    } else {
      expected.inserted++
      before = one
    }
    parts.push(part)
    size += part.length
    if (size >= 65_536 || row === rows - 1) {
      yield Buffer.concat(parts)
      parts = []
      size = 0
    }
  }
}

function cleanLine(one: Person, next: () => number): Buffer {
  const roll = next() % 100
  const [given, ...rest] = one.name.split(' ')
  // Quoted commas, quoted line ends, blanks, lower case, a quote inside a value: dirt that is none.
  const name = roll < 5 ? `"${one.name}"` : roll < 8 ? `  ${one.name} ` : one.name
  const notes =
    roll < 10 ? `"${rest.join(' ')}, ${given}"` : roll < 12 ? '"moved\nin 2019"' : roll < 14 ? '5" tall' : ''
  const country = roll % 7 === 0 ? one.country.toLowerCase() : one.country
  const gender = roll % 11 === 0 ? one.gender.toUpperCase() : one.gender
  const probability = roll % 3 === 0 ? '' : (0.5 + (next() % 50) / 100).toFixed(2)
  return Buffer.from(`${name},${gender},${one.age},${country},${probability},${probability},${notes}\n`)
}

/** In capitals, but for ı: its capital is that of i, which is another letter in a name. */
function shouted(name: string): string {
  return name.replaceAll(/[^ı]+/g, (part) => part.toUpperCase())
}

type Dirt = { reason: string; line(one: Person, before: Person): Buffer }

const text = (reason: string, line: (one: Person, before: Person) => string): Dirt => ({
  reason,
  line: (one, before) => Buffer.from(line(one, before)),
})

const kinds: Dirt[] = [
  text('malformed_row', ({ name, gender }) => `${name},${gender}\n`),
  text('malformed_row', ({ name }) => `"${name},male,20,NG,,,\n`),
  text('malformed_row', ({ name }) => `"${name}" junior,male,20,NG,,,\n`),
  {
    reason: 'broken_encoding',
    line: ({ name }) =>
      Buffer.concat([Buffer.from(name), Buffer.from([0xc3, 0x28]), Buffer.from(',male,20,NG,,,\n')]),
  },
  text('missing_fields', ({ name, age, country }) => `${name},,${age},${country},,,\n`),
  text('missing_fields', ({ gender, age, country }) => ` ,${gender},${age},${country},,,\n`),
  text('invalid_name', ({ name }) => `${name} ${'a'.repeat(200)},male,20,NG,,,\n`),
  text('invalid_gender', ({ name, age }) => `${name},unknown,${age},NG,,,\n`),
  text('invalid_age', ({ name, gender }) => `${name},${gender},-4,NG,,,\n`),
  text('invalid_age', ({ name, gender }) => `${name},${gender},forty,NG,,,\n`),
  text('invalid_country', ({ name, gender, age }) => `${name},${gender},${age},XX,,,\n`),
  text('invalid_probability', ({ name, gender, age }) => `${name},${gender},${age},NG,1.2,,\n`),
  text('duplicate_name', (_, { name }) => `${shouted(name)},male,20,NG,,,\n`),
  text('duplicate_name', (_, { name }) => `"  ${name.replaceAll(' ', '  ')}",female,21,GH,,,again\n`),
]
