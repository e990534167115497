import { describe, expect, it } from 'vitest'
import { readSnapshot } from '../../../lib/interviews/snapshot.ts'
import { buildTranscript, type StoredTurn, turnId } from '../../../lib/interviews/transcript.ts'
import { fc } from '../../support/properties.ts'

const interviewId = '0198f000-0000-7000-8000-000000000001'

function row(sequence_no: number, content: string, more: Partial<StoredTurn> = {}): StoredTurn {
  return {
    sequence_no,
    speaker: sequence_no % 2 ? 'ai' : 'candidate',
    speaker_name: null,
    content,
    timestamp_sec: null,
    is_ai_question: false,
    created_at: new Date('2026-11-01T10:00:00Z'),
    ...more,
  }
}

function element(sequence_no: unknown, content: string, timestamp_sec?: unknown) {
  return { speaker: 'candidate', sequence_no, content, timestamp_sec }
}

const build = (rows: readonly StoredTurn[], json: unknown) =>
  buildTranscript(interviewId, rows, json === null ? null : JSON.stringify(json))

const said = (rows: readonly StoredTurn[], json: unknown) =>
  build(rows, json).turns.map(({ sequence_no, content }) => [sequence_no, content])

const clock = (rows: readonly StoredTurn[], json: unknown) =>
  build(rows, json).turns.map(({ timestamp }) => timestamp)

describe('the id of a turn', () => {
  it('is the UUID v5 that other systems make of it', () => {
    // python3 -c "import uuid; print(uuid.uuid5(uuid.NAMESPACE_DNS, 'meetmind-turn-<id>-1'))"
    expect(turnId(interviewId, 1)).toBe('469a8324-52f0-506f-8082-5eaaa3ca8cd7')
    expect(turnId(interviewId, 2)).not.toBe(turnId(interviewId, 1))
  })
})

describe('a transcript', () => {
  it('is its rows where the session adds nothing', () => {
    const rows = [row(2, 'Six years'), row(1, 'How long?')]
    const json = [element(1, 'How long?'), element(2, 'six')]
    expect(build(rows, json)).toMatchObject({ source: 'turns', skipped_elements: 0 })
    expect(said(rows, json)).toEqual([
      [1, 'How long?'],
      [2, 'Six years'],
    ])
  })

  it('keeps the first of one number', () => {
    expect(said([row(1, 'first'), row(1, 'again')], null)).toEqual([[1, 'first']])
  })

  it('has from the session what no row holds', () => {
    const json = [element(3, 'third'), element(1, 'other words'), element(2, 'second')]
    expect(said([row(1, 'first')], json)).toEqual([
      [1, 'first'],
      [2, 'second'],
      [3, 'third'],
    ])
    expect(build([row(1, 'first')], json).source).toBe('merged')
  })

  it('is all of the session where there are no rows, and empty where nothing is there', () => {
    expect(build([], [element(1, 'first')]).source).toBe('snapshot')
    expect(build([], null)).toEqual({ source: 'turns', turns: [], skipped_elements: 0 })
    expect(buildTranscript(interviewId, [], ' ')).toMatchObject({ turns: [], skipped_elements: 0 })
  })

  it('calls people by what they do, and keeps what the agent called them', () => {
    const speakers = ['ai', 'candidate', 'interviewer', 'constructor']
    const json = speakers.map((speaker) => ({ speaker, content: 'Hello' }))
    expect(build([], json).turns.map(({ speaker, speaker_label }) => [speaker, speaker_label])).toEqual([
      ['ai', 'Interviewer'],
      ['candidate', 'Candidate'],
      ['interviewer', 'Recruiter'],
      ['constructor', 'Unknown'],
    ])
  })

  it('reads a whole element', () => {
    const json = [{ text: 'Why?', speaker_name: 'Ada', is_ai_question: true, timestamp_sec: 1_800_000_000 }]
    expect(build([], { turns: json }).turns).toEqual([
      {
        id: turnId(interviewId, 1),
        corrected_content: null,
        sequence_no: 1,
        speaker: 'unknown',
        speaker_label: 'Unknown',
        speaker_name: 'Ada',
        content: 'Why?',
        timestamp: '00:00:00',
        offset_seconds: 0,
        is_ai_question: true,
        spoken_at: '2027-01-15T08:00:00.000Z',
      },
    ])
  })
})

describe('a damaged session', () => {
  it.each([
    ['no JSON', '[{"content":"cut o'],
    ['no list', '42'],
    ['an object without turns', '{"words":[]}'],
    ['a text that holds none', '"hello"'],
  ])('that is %s counts as one element', (_, text) => {
    expect(buildTranscript(interviewId, [row(1, 'first')], text)).toMatchObject({
      source: 'turns',
      skipped_elements: 1,
      turns: [{ content: 'first' }],
    })
  })

  it('is read as far as it can be', () => {
    const json = [null, 7, 'words', [], {}, { content: '  ' }, { content: 5 }, element(8, 'readable')]
    expect(build([], json)).toMatchObject({ skipped_elements: 7, turns: [{ sequence_no: 8 }] })
  })

  it('may be JSON within JSON', () => {
    expect(said([], JSON.stringify([element(1, 'first')]))).toEqual([[1, 'first']])
  })

  it('loses the characters that PostgreSQL cannot store', () => {
    expect(said([], [element(1, 'a\0b \ud800'), element(2, '\0')])).toEqual([[1, 'ab \ufffd']])
  })

  it('numbers by place what has no number', () => {
    const json = [undefined, 0, -4, 'x', 2.5, 1e12, '7'].map((number, index) =>
      element(number, `words ${index}`),
    )
    expect(said([], json).map(([number]) => number)).toEqual([1, 2, 3, 4, 5, 6, 7])
  })

  it('has a turn once that lost its number to another and comes twice', () => {
    const json = [element(1, 'A'), element(1, 'B'), element(2, 'C'), element(1, 'B'), element(1, ' B ')]
    expect(build([], json).turns.map(({ content }) => content)).toEqual(['A', 'C', 'B'])
    expect(build([], json).skipped_elements).toBe(2)
    const unnumbered = [{ content: 'Yes' }, { content: 'Yes' }]
    expect(build([], unnumbered).turns).toHaveLength(2)
  })

  it("may be LiveKit's chat history, in which not everything is said", () => {
    const items = [
      { id: '1', type: 'message', role: 'system', content: ['Be kind.'] },
      {
        id: '2',
        type: 'message',
        role: 'assistant',
        content: ['Which systems?'],
        created_at: 1_780_000_000.5,
      },
      { id: '3', type: 'function_call', call_id: 'x', name: 'lookup', arguments: '{}' },
      { id: '4', type: 'function_call_output', call_id: 'x', output: 'none', is_error: false },
      {
        id: '5',
        type: 'message',
        role: 'user',
        content: ['Kafka,', { type: 'audio_content', transcript: 'mostly.' }, { type: 'image_content' }],
        created_at: 1_780_000_009,
      },
      { id: '6', type: 'message', role: 'user', content: [] },
    ]
    for (const account of [{ items }, items, { chat_history: { items } }, { history: items }]) {
      expect(build([], account)).toMatchObject({ source: 'snapshot', skipped_elements: 1 })
      expect(
        build([], account).turns.map(({ speaker_label, speaker, content, timestamp }) => [
          speaker_label,
          speaker,
          content,
          timestamp,
        ]),
      ).toEqual([
        ['Interviewer', 'assistant', 'Which systems?', '00:00:00'],
        ['Candidate', 'user', 'Kafka,\nmostly.', '00:00:08'],
      ])
    }
    const rows = [row(1, 'Which systems?'), row(2, 'Kafka,\nmostly.')]
    expect(build(rows, { items })).toMatchObject({ source: 'turns' })
  })

  it('keeps beside a turn what the same speaker is said to have said', () => {
    const rows = [row(1, 'Why?'), row(2, 'I no Go'), row(4, 'Yes.'), row(6, 'No')]
    const json = [
      { sequence_no: 1, speaker: 'ai', content: ' Why? ' },
      { sequence_no: 2, speaker: 'user', content: 'I know Go' },
      { sequence_no: 4, speaker: 'ai', content: 'Sure?' },
    ]
    expect(
      build(rows, json).turns.map(({ content, corrected_content }) => [content, corrected_content]),
    ).toEqual([
      ['Why?', null],
      ['I no Go', 'I know Go'],
      ['Yes.', null],
      ['No', null],
    ])
  })

  it('keeps the first of one number, leaves out the same words, and puts other words at the end', () => {
    const json = [element(1, 'a'), element(2, 'b'), element(2, 'b'), element(2, 'other'), element(4, 'd')]
    expect(said([], json)).toEqual([
      [1, 'a'],
      [2, 'b'],
      [4, 'd'],
      [5, 'other'],
    ])
    expect(build([], json).skipped_elements).toBe(1)
  })

  it('may count from 0', () => {
    expect(said([], [element(0, 'a'), element(1, 'b'), element(2, 'c')])).toEqual([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
    ])
  })

  it('without numbers is known by its words where its places are off', () => {
    const rows = [row(1, 'a', { speaker: 'candidate' }), row(3, 'c', { speaker: 'candidate' })]
    expect(said(rows, [element(0, 'a'), element(0, 'c'), element(0, 'd')])).toEqual([
      [1, 'a'],
      [3, 'c'],
      [4, 'd'],
    ])
  })

  it('never gives a number that a table cannot hold', () => {
    const rows = [row(3, 'other'), row(2_147_483_647, 'last')]
    const json = [element(1, 'a'), element(1, 'b'), element(2, 'c')]
    expect(said(rows, json).map(([number]) => number)).toEqual([1, 2, 3, 4, 2_147_483_647])
  })

  it('has every text once and numbers of its own, whatever its elements are', () => {
    const elements = fc.array(
      fc.record(
        {
          speaker: fc.constantFrom('ai', 'candidate'),
          content: fc.constantFrom('a', 'b', 'c', ' ', ''),
          sequence_no: fc.oneof(fc.integer({ min: -1, max: 6 }), fc.constant('x'), fc.constant(null)),
          timestamp_sec: fc.oneof(fc.double(), fc.constant('12')),
        },
        { requiredKeys: [] },
      ),
    )
    const someRows = fc.uniqueArray(
      fc.tuple(fc.integer({ min: 1, max: 8 }), fc.constantFrom('a', 'b', 'z')),
      { selector: ([number]) => number },
    )
    fc.assert(
      fc.property(elements, someRows, (json, numbered) => {
        const rows = numbered.map(([number, content]) => row(number, content))
        const { turns, skipped_elements } = build(rows, json)
        const numbers = turns.map(({ sequence_no }) => sequence_no)
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
        expect(new Set(turns.map(({ id }) => id)).size).toBe(turns.length)
        const texts = new Set(turns.map(({ content }) => content))
        const { turns: read, skipped } = readSnapshot(JSON.stringify(json))
        expect(read.length + skipped).toBe(json.length)
        expect(skipped_elements).toBe(skipped)
        const replaced = new Set(numbered.map(([number]) => number))
        for (const { content, numbered: own, sequence_no } of read) {
          if (!own || !replaced.has(sequence_no)) expect(texts).toContain(content)
        }
        expect(turns.every(({ offset_seconds }) => offset_seconds >= 0)).toBe(true)
      }),
    )
  })
})

describe('the clock', () => {
  it('begins with the first turn, in seconds since anything or Unix seconds or milliseconds', () => {
    const expected = ['00:00:00', '00:00:30', '01:02:03', '101:00:00']
    const offsets = [0, 30, 3723, 363_600]
    for (const stamp of [
      (offset: number) => offset,
      (offset: number) => offset + 95,
      (offset: number) => offset + 1_780_000_000.25,
      (offset: number) => (offset + 1_780_000_000) * 1000,
      (offset: number) => String(offset),
    ]) {
      expect(
        clock(
          [],
          offsets.map((offset, index) => element(index + 1, 'x', stamp(offset))),
        ),
      ).toEqual(expected)
    }
  })

  it('is one for turns with a time of day and turns with an offset', () => {
    const json = [
      element(1, 'a', 1_780_000_000),
      element(2, 'b', 5),
      element(3, 'c', 1_780_000_012),
      element(4, 'd', 20),
    ]
    expect(clock([], json)).toEqual(['00:00:00', '00:00:05', '00:00:12', '00:00:20'])
  })

  it('is exact where a turn has both, from its row and from the session', () => {
    const json = [element(1, 'a', 100), element(2, 'b', 107), element(3, 'c', 130)]
    const rows = [row(2, 'b', { timestamp_sec: 1_780_000_007 })]
    const { turns } = build(rows, json)
    expect(turns.map(({ timestamp }) => timestamp)).toEqual(['00:00:00', '00:00:07', '00:00:30'])
    expect(turns[2]!.spoken_at).toBe(new Date(1_780_000_030_000).toISOString())
  })

  it.each([
    ['the first is an offset', [40, 1_780_000_000, 45], [0, 0, 5]],
    ['offsets began before the first turn', [1_780_000_000, 20, 1_780_000_014], [0, 14, 14]],
    ['offsets began after it', [1_780_000_000, 1_780_000_012, 10], [0, 12, 12]],
  ])('keeps turns of both kinds in their order where %s', (_, stamps, offsets) => {
    const json = stamps.map((stamp, index) => element(index + 1, 'x', stamp))
    expect(build([], json).turns.map(({ offset_seconds }) => offset_seconds)).toEqual(offsets)
  })

  it('is never negative, and stands still for a turn without a time', () => {
    const json = [element(1, 'a', 50), element(2, 'b', 20), element(3, 'c'), element(4, 'd', 61)]
    expect(clock([], json)).toEqual(['00:00:00', '00:00:00', '00:00:00', '00:00:11'])
    expect(clock([], [element(1, 'a', 1e300), element(2, 'b', null), element(3, 'c', 1e17)])).toEqual(
      Array(3).fill('00:00:00'),
    )
  })

  it('is that of the rows where nothing else tells the time', () => {
    const at = (seconds: number) => ({ created_at: new Date(1_780_000_000_000 + seconds * 1000) })
    const rows = [row(1, 'a', at(0)), row(2, 'b', at(9.5)), row(4, 'd', at(70))]
    expect(clock(rows, [element(3, 'c')])).toEqual(['00:00:00', '00:00:09', '00:00:09', '00:01:10'])
    expect(clock([], [element(1, 'a'), element(2, 'b')])).toEqual(['00:00:00', '00:00:00'])
  })
})

describe('a transcript whose rows were lost, doubled or out of order', () => {
  const turn = fc.record({
    speaker: fc.constantFrom('ai', 'candidate'),
    content: fc.constantFrom('Yes.', 'No.', 'Why?', 'Because.'),
    gap: fc.integer({ min: 0, max: 4000 }),
    numbered: fc.boolean(),
    unix: fc.boolean(),
  })

  it('has the ids, the order, the words and the clock of the full one', () => {
    fc.assert(
      fc.property(
        fc.array(turn, { minLength: 1, maxLength: 30 }),
        fc.infiniteStream(fc.nat(2)),
        fc.infiniteStream(fc.nat()),
        fc.boolean(),
        (spoken, copies, order, mixed) => {
          let offset = 0
          const rows = spoken.map(({ speaker, content, gap, unix }, index) => {
            offset += gap
            const timestamp_sec = mixed && !unix ? offset : 1_780_000_000 + offset
            return row(index + 1, content, { speaker, timestamp_sec })
          })
          const json = rows.map(({ created_at: _, sequence_no, ...rest }, index) => ({
            ...rest,
            ...(spoken[index]!.numbered && { sequence_no }),
          }))
          const kept = rows
            .flatMap((kept) => Array<StoredTurn>(copies.next().value!).fill(kept))
            .map((kept) => ({ kept, place: order.next().value! }))
            .sort((a, b) => a.place - b.place)
            .map(({ kept }) => kept)
          const view = (from: readonly StoredTurn[], text: unknown) =>
            build(from, text).turns.map(({ spoken_at: _, ...rest }) => rest)
          expect(view(kept, json)).toEqual(view(rows, null))
        },
      ),
      { numRuns: 300 },
    )
  })
})
