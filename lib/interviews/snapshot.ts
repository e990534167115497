import { isItem, isSilent, listOfTurns, turnOfItem } from './chat-items.ts'
import { speakerKey } from './speakers.ts'
import { storable } from './text.ts'

/** A turn as the session's JSON holds it. */
export type SnapshotTurn = {
  sequence_no: number
  /** Whether the number is the element's own; else it comes from its place in the list. */
  numbered: boolean
  speaker: string
  speaker_name: string | null
  content: string
  timestamp_sec: number | null
  is_ai_question: boolean
}

export type Snapshot = {
  turns: SnapshotTurn[]
  /** Elements that are no turn, or the same turn once more; 1 where the whole text cannot be read. */
  skipped: number
}

/** Numbers above it are no numbers of turns: PostgreSQL's integer must hold those that are given after them. */
export const maxSequenceNo = 1_000_000_000

/**
 * The turns of a session's JSON, damaged or not: a list, one under `turns`, LiveKit's chat history, or any of them
 * once more as a JSON text.
 * Of those with one number the first keeps it. Without a number that is free a turn has its place in the list,
 * counted from 1, if nobody has that; else its 0 where the list counts from 0; else a number after all others.
 */
export function readSnapshot(text: string | null): Snapshot {
  const elements = elementsOf(text)
  if (!elements) return { turns: [], skipped: 1 }
  const taken = new Map<number, SnapshotTurn>()
  const displaced = new Set<string>()
  const places: Place[] = []
  let skipped = 0
  for (const [index, element] of elements.entries()) {
    const said = spoken(element)
    if (!said) {
      skipped += 1
      continue
    }
    const own = wholeNumber(said.sequence_no)
    if (own !== undefined && own >= 1 && !taken.has(own)) {
      taken.set(own, { ...said.turn, sequence_no: own, numbered: true })
      continue
    }
    const holder = own === undefined ? undefined : taken.get(own)
    const key = `${own}\n${wordsKey(said.turn)}`
    // One that has lost its number to another is still the same turn if it comes twice.
    if ((holder && wordsKey(holder) === wordsKey(said.turn)) || (own !== undefined && displaced.has(key))) {
      skipped += 1
      continue
    }
    displaced.add(key)
    places.push({ said: said.turn, index, zero: own === 0 })
  }
  const next = numbersAfter(taken)
  const late: Place[] = []
  for (const place of places) {
    const number = [place.index + 1, ...(place.zero ? [0] : [])].find((wish) => !taken.has(wish))
    if (number === undefined) late.push(place)
    else taken.set(number, { ...place.said, sequence_no: number, numbered: false })
  }
  for (const { said } of late) {
    const number = next()
    taken.set(number, { ...said, sequence_no: number, numbered: false })
  }
  return { turns: [...taken.values()].sort((a, b) => a.sequence_no - b.sequence_no), skipped }
}

type Said = Omit<SnapshotTurn, 'sequence_no' | 'numbered'>
type Place = { said: Said; index: number; zero: boolean }

/** Equal for the same words of the same speaker. */
export function wordsKey({ speaker, content }: { speaker: string; content: string }): string {
  return `${speakerKey(speaker)}\n${content.trim()}`
}

/** Gives numbers after all that are taken at the time of the call. */
export function numbersAfter(taken: ReadonlyMap<number, unknown>): () => number {
  let last: number | undefined
  return () => {
    last ??= taken
      .keys()
      .reduce((most, number) => (number <= maxSequenceNo ? Math.max(most, number) : most), 0)
    do last += 1
    while (taken.has(last))
    return last
  }
}

function elementsOf(text: string | null): unknown[] | undefined {
  if (text === null || text.trim() === '') return []
  const value = parseJson(text)
  const inner = typeof value === 'string' ? parseJson(value) : value
  if (inner === null) return []
  return listOfTurns(inner)?.filter((element) => !isSilent(element))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function spoken(item: unknown): { turn: Said; sequence_no: unknown } | undefined {
  if (!isItem(item)) return undefined
  const element = turnOfItem(item)
  const content = filled(element.content) ?? filled(item.text)
  if (content === undefined) return undefined
  const turn = {
    speaker: filled(element.speaker) ?? 'unknown',
    speaker_name: filled(element.speaker_name) ?? null,
    content,
    timestamp_sec: finite(element.timestamp_sec),
    is_ai_question: element.is_ai_question === true,
  }
  return { turn, sequence_no: element.sequence_no }
}

/** A text that says something, as PostgreSQL can store it. */
function filled(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const text = storable(value)
  return text.trim() === '' ? undefined : text
}

/** A number, also one written as text. */
function finite(value: unknown): number | null {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) ? number : null
}

function wholeNumber(value: unknown): number | undefined {
  const number = finite(value)
  return number !== null && Number.isInteger(number) && number <= maxSequenceNo ? number : undefined
}
