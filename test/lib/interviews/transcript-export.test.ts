import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { buildTranscript } from '../../../lib/interviews/transcript.ts'
import {
  exportTranscript,
  type TranscriptFormat,
  transcriptFormats,
} from '../../../lib/interviews/transcript-export.ts'
import { unescapeFormula } from '../../../lib/platform/csv.ts'
import { fc } from '../../support/properties.ts'

const id = '0198f000-0000-7000-8000-000000000001'

type Said = { speaker?: string; speaker_name?: string; content: string; timestamp_sec?: number }

function exported(format: TranscriptFormat, turns: readonly Said[]) {
  return exportTranscript(format, id, buildTranscript(id, [], JSON.stringify(turns)))
}

const talk: Said[] = [
  { speaker: 'ai', content: 'How <b>long</b> --> so far?', timestamp_sec: 3 },
  { speaker: 'candidate', content: 'Six years.\r\n\r\n# And *a* half', timestamp_sec: 64.25 },
]

describe('a transcript as a file', () => {
  it.each([
    ['txt', 'text/plain; charset=utf-8'],
    ['json', 'application/json; charset=utf-8'],
    ['csv', 'text/csv; charset=utf-8; header=present'],
    ['md', 'text/markdown; charset=utf-8'],
    ['vtt', 'text/vtt; charset=utf-8'],
  ] as const)('of the format %s has its name and type', (format, contentType) => {
    const file = exported(format, talk)
    expect(file).toMatchObject({ contentType, filename: `transcript_${id}.${format}` })
    expect(file.body).toContain('Six years.')
  })

  it.each(transcriptFormats)('of the format %s is a file also where nothing was said', (format) => {
    const expected = {
      txt: `Transcript export for interview ${id}\n`,
      json: `{\n  "interview_id": "${id}",\n  "source": "turns",\n  "skipped_elements": 0,\n  "total_turns": 0,\n  "turns": []\n}\n`,
      csv: 'id,sequence_no,timestamp,offset_seconds,speaker,speaker_label,speaker_name,content,is_ai_question,spoken_at,corrected_content\r\n',
      md: `# Transcript export for interview ${id}\n`,
      vtt: 'WEBVTT\n',
    }
    expect(exported(format, []).body).toBe(expected[format])
  })
})

describe('plain text', () => {
  it('has a line for each turn, and indents its further lines', () => {
    const forged = 'Yes.\n[00:09:00] Interviewer: You are hired.'
    expect(exported('txt', [...talk, { content: forged }]).body).toBe(
      [
        '[00:00:00] Interviewer: How <b>long</b> --> so far?',
        '[00:01:01] Candidate: Six years.',
        '  # And *a* half',
        '[00:01:01] Unknown: Yes.',
        '  [00:09:00] Interviewer: You are hired.',
        '',
      ].join('\n'),
    )
  })
})

describe('CSV', () => {
  it('is read back as it was, whatever was said', () => {
    const contents = fc.array(fc.string({ unit: 'binary', minLength: 1 }), { maxLength: 10 })
    fc.assert(
      fc.property(contents, (texts) => {
        const transcript = buildTranscript(id, [], JSON.stringify(texts.map((content) => ({ content }))))
        const { body } = exportTranscript('csv', id, transcript)
        const rows: { content: string }[] = parse(body, { columns: true, record_delimiter: '\r\n' })
        expect(rows.map(({ content }) => unescapeFormula(content))).toEqual(
          transcript.turns.map(({ content }) => content),
        )
      }),
    )
  })

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', "'=1"])(
    'gives a spreadsheet %j as text',
    (content) => {
      const { body } = exported('csv', [{ speaker: content, speaker_name: content, content }])
      const [row] = parse<Record<string, string>>(body, { columns: true, record_delimiter: '\r\n' })
      expect(row).toMatchObject({
        speaker: `'${content}`,
        speaker_name: `'${content}`,
        content: `'${content}`,
      })
    },
  )
})

describe('Markdown', () => {
  it('shows what was said, and takes none of it for markup', () => {
    expect(exported('md', talk).body).toBe(
      [
        `# Transcript export for interview ${id}`,
        '',
        String.raw`**[00:00:00] Interviewer:** How \<b\>long\</b\> --\> so far?`,
        '',
        '**[00:01:01] Candidate:** Six years.\\',
        String.raw`\# And \*a\* half`,
        '',
      ].join('\n'),
    )
    const { body } = exported('md', [{ content: '- a\n1. b\n=====\n![x](y) `z` |_\\' }])
    expect(body).toContain(['\\- a', '1\\. b', '\\=====', '\\!\\[x\\](y) \\`z\\` \\|\\_\\\\'].join('\\\n'))
  })
})

describe('WebVTT', () => {
  it('has a cue for each turn until the next, and nothing in it ends a cue or is a tag', () => {
    expect(exported('vtt', talk).body).toBe(
      [
        'WEBVTT',
        '',
        '1',
        '00:00:00.000 --> 00:01:01.250',
        '<v Interviewer>How &lt;b&gt;long&lt;/b&gt; --&gt; so far?',
        '',
        '2',
        '00:01:01.250 --> 00:01:03.650',
        '<v Candidate>Six years.',
        '# And *a* half',
        '',
      ].join('\n'),
    )
  })

  it('begins cues in their order, and lets each last', () => {
    const cue = /^(\d\d):(\d\d):(\d\d\.\d{3}) --> (\d\d):(\d\d):(\d\d\.\d{3})$/gm
    const turns = fc.array(
      fc.record({ content: fc.constantFrom('a', '-->\n\n1', 'a b c d e f'), timestamp_sec: fc.nat(5000) }),
    )
    fc.assert(
      fc.property(turns, (said) => {
        const { body } = exported('vtt', said)
        const cues = [...body.matchAll(cue)].map((found) => found.slice(1).map(Number))
        expect(cues).toHaveLength(said.length)
        let last = 0
        for (const [hour, minute, second, ...end] of cues) {
          const from = hour! * 3600 + minute! * 60 + second!
          const until = end[0]! * 3600 + end[1]! * 60 + end[2]!
          expect(from).toBeGreaterThanOrEqual(last)
          expect(until).toBeGreaterThan(from)
          last = from
        }
        expect(body.split('\n\n')).toHaveLength(said.length + 1)
      }),
    )
  })
})

describe('a turn that the account of the session corrects', () => {
  const row = {
    sequence_no: 1,
    speaker: 'candidate',
    speaker_name: null,
    content: 'I no Go.',
    timestamp_sec: 0,
    is_ai_question: false,
    created_at: new Date('2026-11-01T10:00:00Z'),
  }
  const account = JSON.stringify([{ sequence_no: 1, role: 'user', content: ['I know *Go*.'] }])
  const transcript = buildTranscript(id, [row], account)
  const body = (format: TranscriptFormat) => exportTranscript(format, id, transcript).body

  it('shows both texts in every format, and its last one as a subtitle', () => {
    expect(body('txt')).toBe('[00:00:00] Candidate: I no Go.\n  (corrected: I know *Go*.)\n')
    expect(body('md')).toContain('I no Go.\n\n*Corrected:* I know \\*Go\\*.\n')
    expect(body('csv')).toMatch(/,I no Go\.,false,.+,I know \*Go\*\.\r\n$/)
    expect(JSON.parse(body('json')).turns[0]).toMatchObject({
      content: 'I no Go.',
      corrected_content: 'I know *Go*.',
    })
    expect(body('vtt')).toContain('<v Candidate>I know *Go*.')
  })
})
