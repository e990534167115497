import { nameKey } from '../../lib/profiles/profile.ts'
import type { Random } from './random.ts'

/** What the first valid row of a name says: no other row of its file may come into the table. */
export type FirstRow = { row: number; name: string; gender: string; age: number; country_id: string }

/** A file as it was written, with all that an import of it must come to. */
export type FaultFile = {
  bytes: Buffer
  rows: number
  /** Rows that are skipped whatever happens, with their reason. */
  invalid: Map<number, string>
  /** The first valid row of each name, by the name's key. */
  first: Map<string, FirstRow>
}

const sharedNames = 1500
const countries = ['NG', 'KE', 'GH', 'ZA', 'FR', 'BR']

/**
 * Three files that share a part of their names, repeat others within the file, and hold dirt. No two seeds
 * have names in common.
 */
export function makeFiles(seed: number, random: Random): FaultFile[] {
  return ['A', 'B', 'C'].map((letter) => makeFile(`${seed} ${letter}`, `${seed}`, random))
}

function makeFile(own: string, shared: string, random: Random): FaultFile {
  const rows = random.whole(5000, 20_000)
  const file: FaultFile = { bytes: Buffer.alloc(0), rows, invalid: new Map(), first: new Map() }
  const parts: Buffer[] = [Buffer.from('name,gender,age,country_id,gender_probability,notes\n')]
  const used: string[] = []
  for (let row = 1; row <= rows; row++) {
    if (random.chance(0.04)) {
      const { reason, line } = random.pick(dirt)
      file.invalid.set(row, reason)
      parts.push(line(`Zoë Broken ${own} ${row}`))
      continue
    }
    const name = chooseName(own, shared, row, used, random)
    const one = {
      row,
      name,
      gender: random.pick(['male', 'female']),
      age: random.whole(0, 95),
      country_id: random.pick(countries),
    }
    const key = nameKey(name)
    if (!file.first.has(key)) file.first.set(key, one)
    parts.push(Buffer.from(lineOf(one, random)))
  }
  file.bytes = Buffer.concat(parts)
  return file
}

function chooseName(own: string, shared: string, row: number, used: string[], random: Random): string {
  const roll = random.share()
  if (roll < 0.12) return written(`Zoë Shared ${shared} ${random.whole(1, sharedNames)}`, random)
  if (roll < 0.24 && used.length > 0) return written(random.pick(used), random)
  const name = `Zoë Person ${own} ${row}`
  used.push(name)
  return written(name, random)
}

/** The same name in another spelling. */
function written(name: string, random: Random): string {
  return random.pick([name, name, name.toUpperCase(), name.replaceAll(' ', '  '), name.normalize('NFD')])
}

function lineOf({ name, gender, age, country_id }: FirstRow, random: Random): string {
  // A quoted line end, so that no line is a row for certain.
  const notes = random.chance(0.05) ? '"moved\nin 2019, twice"' : ''
  const probability = random.chance(0.5) ? `0.${random.whole(10, 99)}` : ''
  return `${random.chance(0.1) ? `"${name}"` : name},${gender},${age},${country_id},${probability},${notes}\n`
}

const text = (reason: string, line: (name: string) => string) => ({
  reason,
  line: (name: string) => Buffer.from(line(name)),
})

const dirt = [
  text('malformed_row', (name) => `${name},male\n`),
  text('malformed_row', (name) => `"${name}" junior,male,30,NG,,\n`),
  {
    reason: 'broken_encoding',
    line: (name: string) =>
      Buffer.concat([Buffer.from(name), Buffer.from([0xc3, 0x28]), Buffer.from(',male,30,NG,,\n')]),
  },
  text('missing_fields', (name) => `${name},,30,NG,,\n`),
  text('invalid_name', (name) => `${name} ${'x'.repeat(200)},male,30,NG,,\n`),
  text('invalid_gender', (name) => `${name},unknown,30,NG,,\n`),
  text('invalid_age', (name) => `${name},male,151,NG,,\n`),
  text('invalid_country', (name) => `${name},male,30,XX,,\n`),
  text('invalid_probability', (name) => `${name},male,30,NG,1.5,\n`),
]
