import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { people, peopleHeader } from '../../../clients/cli/people.ts'
import { readHeader } from '../../../lib/imports/header.ts'
import { readRows } from '../../../lib/imports/insert.ts'
import { readSlice } from '../../../lib/imports/records.ts'

const { layout } = readHeader(peopleHeader.trimEnd(), ',')

/** What an import makes of a file of invented people, its header left out. */
async function outcome(file: Buffer) {
  const body = Readable.from([file.subarray(peopleHeader.length)])
  const records = await readSlice(body, { first_row: 1, first_line: 2 }, layout, 'utf-8')
  const { rows, rejects } = readRows({ records, layout })
  const reasons: Record<string, number> = {}
  for (const { reason } of rejects) reasons[reason] = (reasons[reason] ?? 0) + 1
  return { total_rows: records.length, inserted: rows.length, skipped: rejects.length, reasons }
}

// Names are drawn from all alphabets of the lists, so that one seed proves little.
test('whatever the seed, a file of invented people holds what it says it holds', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const { chunks, expected } = people({ rows: 1000, seed, dirtPerThousand: 500 })
    expect({ seed, ...(await outcome(await buffer(Readable.from(chunks)))) }).toEqual({ seed, ...expected })
  }
})
