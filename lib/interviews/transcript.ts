import { hash } from 'node:crypto'
import type { Sql, Transaction } from '../platform/db.ts'
import { numbersAfter, readSnapshot, type SnapshotTurn, wordsKey } from './snapshot.ts'
import { speakerKey, speakerLabel } from './speakers.ts'
import { clockText, turnClock } from './turn-clock.ts'

/** A row of the table `turns`. */
export type StoredTurn = {
  sequence_no: number
  speaker: string
  speaker_name: string | null
  content: string
  /** Unix seconds or seconds since the start. */
  timestamp_sec: number | null
  is_ai_question: boolean
  created_at: Date
}

export type TranscriptTurn = {
  id: string
  sequence_no: number
  speaker: string
  speaker_label: string
  speaker_name: string | null
  content: string
  /** What the session's JSON has for it, where that is something else than was sent at the time. */
  corrected_content: string | null
  /** HH:MM:SS since the first turn of the interview. */
  timestamp: string
  offset_seconds: number
  is_ai_question: boolean
  /** When it was spoken or else stored, ISO 8601; null where nothing tells. */
  spoken_at: string | null
}

export type Transcript = {
  /** Where the turns are from: rows alone, rows and the session's JSON, or that JSON alone. */
  source: 'turns' | 'merged' | 'snapshot'
  turns: TranscriptTurn[]
  /** Elements of the session's JSON that could not be read, or were there twice. */
  skipped_elements: number
}

const dnsNamespace = Buffer.from('6ba7b8109dad11d180b400c04fd430c8', 'hex')

/** The id of a turn: UUID v5 in the namespace DNS, so that it is the same wherever the turn is read from. */
export function turnId(interviewId: string, sequenceNo: number): string {
  const name = Buffer.from(`meetmind-turn-${interviewId}-${sequenceNo}`)
  const bytes = hash('sha1', Buffer.concat([dnsNamespace, name]), 'buffer').subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x50
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** One turn, from its row, from the session's JSON, or from both. */
type Merged = { row?: StoredTurn; element?: SnapshotTurn }

/**
 * The transcript of an interview: its rows, and what only the session's JSON holds. Where a number is in both,
 * the row counts. Ids, order and clock do not depend on which of the rows are there as long as the JSON has
 * their turns.
 */
export function buildTranscript(
  interviewId: string,
  rows: readonly StoredTurn[],
  transcriptJson: string | null,
): Transcript {
  const snapshot = readSnapshot(transcriptJson)
  const merged = merge(rows, snapshot.turns)
  const clock = turnClock(
    merged.map(([, { row, element }]) => ({
      stamp: row?.timestamp_sec ?? null,
      otherStamp: element?.timestamp_sec ?? null,
      writtenAt: row?.created_at ?? null,
    })),
  )
  const turns = merged.map(([sequence_no, { row, element }], index) => {
    const { speaker, speaker_name, content, is_ai_question } = (row ?? element)!
    const { offsetSeconds, unixSeconds } = clock[index]!
    const spoken = unixSeconds === null ? row?.created_at : new Date(unixSeconds * 1000)
    return {
      id: turnId(interviewId, sequence_no),
      sequence_no,
      speaker,
      speaker_label: speakerLabel(speaker),
      speaker_name,
      content,
      corrected_content: correctionOf(row, element),
      timestamp: clockText(offsetSeconds),
      offset_seconds: offsetSeconds,
      is_ai_question,
      spoken_at: spoken?.toISOString() ?? null,
    }
  })
  return { source: sourceOf(merged), turns, skipped_elements: snapshot.skipped }
}

/** Whether there are turns, all of them readable and with no number missing from the first on. */
export function isComplete({ turns, skipped_elements }: Transcript): boolean {
  const first = turns[0]?.sequence_no ?? Number.POSITIVE_INFINITY
  return skipped_elements === 0 && first <= 1 && turns.at(-1)!.sequence_no - first + 1 === turns.length
}

/** Of one speaker under one number; where the speakers differ it is another turn's number that is wrong. */
function correctionOf(row: StoredTurn | undefined, element: SnapshotTurn | undefined): string | null {
  if (!row || !element?.numbered || speakerKey(row.speaker) !== speakerKey(element.speaker)) return null
  return words(row.content) === words(element.content) ? null : element.content
}

const words = (text: string): string => text.trim().replaceAll(/\s+/g, ' ')

function sourceOf(merged: readonly [number, Merged][]): Transcript['source'] {
  const filledIn = merged.some(([, { row }]) => !row)
  if (!filledIn) return 'turns'
  return merged.some(([, { row }]) => row) ? 'merged' : 'snapshot'
}

function merge(rows: readonly StoredTurn[], elements: readonly SnapshotTurn[]): [number, Merged][] {
  const merged = new Map<number, Merged>()
  for (const row of rows) if (!merged.has(row.sequence_no)) merged.set(row.sequence_no, { row })
  for (const element of elements) {
    if (element.numbered) merged.set(element.sequence_no, { ...merged.get(element.sequence_no), element })
  }
  placeUnnumbered(
    merged,
    elements.filter(({ numbered }) => !numbered),
  )
  return [...merged].sort(([a], [b]) => a - b)
}

/**
 * A number that only the place in the list gave may be off, as where an element before it is lost. Such a turn
 * is the row of its number if that says the same, else another row that does; else it is one that no row holds.
 */
function placeUnnumbered(merged: Map<number, Merged>, elements: readonly SnapshotTurn[]): void {
  const join = (number: number, element: SnapshotTurn) =>
    merged.set(number, { ...merged.get(number), element })
  const elsewhere = elements.filter((element) => {
    const row = merged.get(element.sequence_no)?.row
    if (!row || wordsKey(row) !== wordsKey(element)) return true
    join(element.sequence_no, element)
    return false
  })
  const unclaimed = Map.groupBy(
    [...merged.values()].flatMap(({ row, element }) => (row && !element ? [row] : [])),
    wordsKey,
  )
  const next = numbersAfter(merged)
  const unheard = elsewhere.filter((element) => {
    const row = unclaimed.get(wordsKey(element))?.shift()
    if (row) join(row.sequence_no, element)
    return !row
  })
  const homeless = unheard.filter((element) => {
    if (merged.has(element.sequence_no)) return true
    join(element.sequence_no, element)
    return false
  })
  for (const element of homeless) join(next(), element)
}

type Read = Omit<StoredTurn, 'sequence_no'> & { sequence_no: number | null }

/** The transcript of an interview in one query; an interview that is not there has an empty one. */
export async function readTranscript(sql: Sql | Transaction, interviewId: string): Promise<Transcript> {
  const read = await sql<Read[]>`
    select sequence_no, speaker, speaker_name, content, timestamp_sec, is_ai_question, created_at
    from turns where interview_id = ${interviewId}
    union all
    select null, null, null, transcript_json, null, null, null
    from sessions where interview_id = ${interviewId} and transcript_json is not null`
  const rows = read.filter((row): row is StoredTurn => row.sequence_no !== null)
  const session = read.find((row) => row.sequence_no === null)
  return buildTranscript(interviewId, rows, session?.content ?? null)
}
