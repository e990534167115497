import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { people } from '../../clients/cli/people.ts'

/**
 * Writes invented people as clean CSV that every contender reads alike: a quote inside an unquoted value, which
 * we take for a character, would open a quoted one for PostgreSQL's COPY. Answers the file's bytes.
 */
export async function writePeople(file: string, rows: number, seed: number): Promise<number> {
  await pipeline(Readable.from(standardQuotes(rows, seed)), createWriteStream(file))
  return (await stat(file)).size
}

function* standardQuotes(rows: number, seed: number): Generator<string> {
  for (const chunk of people({ rows, seed, dirtPerThousand: 0 }).chunks) {
    yield chunk.toString().replaceAll(',5" tall\n', ',"5"" tall"\n')
  }
}
