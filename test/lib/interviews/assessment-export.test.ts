import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { extractText, getDocumentProxy } from 'unpdf'
import { describe, expect, it } from 'vitest'
import { bundleFunctions } from '../../../infra/bundle.ts'
import type { ModelAssessment } from '../../../lib/interviews/assessment-answer.ts'
import { wholeAssessment } from '../../../lib/interviews/assessment-content.ts'
import { type AssessmentReport, confidentiality } from '../../../lib/interviews/assessment-document.ts'
import { exportAssessment } from '../../../lib/interviews/assessment-export.ts'
import { buildTranscript, turnId } from '../../../lib/interviews/transcript.ts'
import { temporaryFolder } from '../../infra/synthesis.ts'

const id = '0198f000-0000-7000-8000-000000000001'

const { turns } = buildTranscript(
  id,
  [],
  JSON.stringify([
    { speaker: 'ai', content: 'Which systems?', timestamp_sec: 0 },
    { speaker: 'candidate', content: 'Three *Kafka* clusters.\nFor six years.', timestamp_sec: 75 },
  ]),
)

function report(changes: Partial<AssessmentReport> = {}): AssessmentReport {
  return {
    interview: { id, role_title: 'Platform engineer', completed_at: new Date('2026-11-01T10:00:00Z') },
    candidateName: 'Zoë Łukasz Ωμέγα Дмитрий',
    completedAt: new Date('2026-11-02T10:00:00Z'),
    turns,
    content: content(),
    verdict: null,
    otherVerdicts: [],
    ...changes,
  }
}

const rubric = [
  { id: 'systems', title: 'Distributed systems', weight: 3 },
  { id: 'go', title: 'Go', weight: 1 },
]

function content(changes: Partial<ModelAssessment> = {}) {
  return wholeAssessment(
    {
      summary: 'Knows what *she* does.',
      recommendation: 'strong_yes',
      criteria: [
        {
          id: 'systems',
          score: 90,
          confidence: 0.75,
          justification: 'Ran them herself',
          evidence: [
            { turn_id: turnId(id, 2), reason: 'names her work' },
            { turn_id: turnId(id, 9), reason: 'was there once' },
          ],
        },
        {
          id: 'go',
          score: null,
          confidence: null,
          justification: 'Nobody asked about *Go*',
          evidence: [],
        },
      ],
      strengths: ['Clear', 'Calm'],
      weaknesses: ['Little Go'],
      highlights: [],
      red_flags: [],
      ...changes,
    },
    rubric,
    turns,
  )
}

async function pdfText(given: AssessmentReport): Promise<string> {
  const { body } = await exportAssessment('pdf', given)
  return textOf(body as Uint8Array)
}

async function textOf(pdf: Uint8Array): Promise<string> {
  const { text } = await extractText(new Uint8Array(pdf), { mergePages: true })
  return text.replaceAll(/\s+/g, ' ')
}

type Box = {
  page: number
  text: string
  left: number
  right: number
  bottom: number
  top: number
}

/** The pieces of text of all pages and where they stand, in points from the bottom left of their page. */
async function boxes(given: AssessmentReport): Promise<Box[]> {
  const { body } = await exportAssessment('pdf', given)
  const pdf = await getDocumentProxy(new Uint8Array(body as Uint8Array))
  const found: Box[] = []
  for (let number = 1; number <= pdf.numPages; number++) {
    const { items } = await (await pdf.getPage(number)).getTextContent()
    for (const item of items) {
      if (!('str' in item) || item.str.trim() === '') continue
      const [, , , , left, bottom] = item.transform as number[]
      found.push({
        text: item.str,
        page: number,
        left: left!,
        right: left! + item.width,
        bottom: bottom!,
        top: bottom! + item.height,
      })
    }
  }
  return found
}

/** The first and the last point of the column across the page: A4 less its margins. */
const column = { left: 56, right: 595.28 - 56 }

const fiveScripts = 'Zoë Дмитрий 山田太郎 محمد علي שרה'
const emoji = Array.from({ length: 40 }, (_, i) => String.fromCodePoint(0x1f600 + i)).join('')

describe('an assessment as Markdown', () => {
  it('says everything, with the turns that its scores stand on', async () => {
    const file = await exportAssessment('md', report())
    expect(file).toMatchObject({
      contentType: 'text/markdown; charset=utf-8',
      filename: `assessment_${id}.md`,
    })
    expect(file.body).toBe(`# Assessment of Zoë Łukasz Ωμέγα Дмитрий

- **Role:** Platform engineer
- **Interview:** ${id}
- **Interviewed:** 2026-11-01
- **Assessed:** 2026-11-02
- **Recommendation:** None, since not every criterion was assessed
- **Overall score:** 90 of 100
- **Coverage:** 1 of 2 criteria assessed (75 % of the weight)
- **Not assessed:** Go
- **Thin evidence:** The candidate says little that supports: Distributed systems

*${confidentiality}*

## Verdict of a person

None yet.

## Summary

Knows what \\*she\\* does.

## Strengths

- Clear
- Calm

## Weaknesses

- Little Go

## Highlights

None.

## Red flags

None.

## Criteria

### Distributed systems

- **Score:** 90 of 100
- **Confidence:** 75 %
- **Evidence:** Thin: the candidate says very little in these turns

Ran them herself

> **\\[00:01:15\\] Candidate** (names her work)\\
> Three \\*Kafka\\* clusters.\\
> For six years.

> **A turn that is no longer in the transcript** (was there once)

### Go

- **Score:** Not assessed

Nobody asked about \\*Go\\*
`)
  })

  it('says what the model was not shown of a long transcript', async () => {
    const cut = { ...content(), left_out: { turns: 12, shortened: 3 } }
    const { body } = await exportAssessment('md', report({ content: cut }))
    expect(body).toContain(
      '- **Not read:** The transcript is too long for the model: it was not shown 12 turns from the middle, and the end of 3 turns',
    )
    expect((await exportAssessment('md', report())).body).not.toContain('Not read')
  })

  it('quotes a long turn in part', async () => {
    const long = turns.map((turn) => ({ ...turn, content: 'word '.repeat(100_000) }))
    const { body } = await exportAssessment('md', report({ turns: long }))
    expect(body.length).toBeLessThan(5000)
    expect(body).toContain('word …')
  })
})

describe('an assessment as PDF', () => {
  it('can be read back', async () => {
    const { contentType, filename } = await exportAssessment('pdf', report())
    expect({ contentType, filename }).toEqual({
      contentType: 'application/pdf',
      filename: `assessment_${id}.pdf`,
    })
    const text = await pdfText(report())
    for (const part of [
      'Assessment of Zoë Łukasz Ωμέγα Дмитрий',
      'Role: Platform engineer',
      'Recommendation: None, since not every criterion was assessed',
      'Overall score: 90 of 100 Coverage: 1 of 2 criteria assessed (75 % of the weight) Not assessed: Go',
      'Thin evidence: The candidate says little that supports: Distributed systems',
      'Score: Not assessed Nobody asked about *Go*',
      'Knows what *she* does.',
      '• Little Go',
      'Score: 90 of 100',
      '[00:01:15] Candidate (names her work) Three *Kafka* clusters. For six years.',
      confidentiality,
      '1 of 2',
    ]) {
      expect(text).toContain(part)
    }
  })

  it('has the words of a line from right to left in their order', async () => {
    const text = await pdfText(report({ candidateName: 'محمد علي الحسن' }))
    expect(text).toContain('Assessment of محمد علي الحسن Role')
  })

  it('leaves no heading alone at the foot of a page, and no bullet alone in its line', async () => {
    const { content } = report()
    for (let lines = 0; lines < 8; lines++) {
      const strengths = [...Array<string>(lines).fill('Clear'), 'x'.repeat(300)]
      const found = await boxes(
        report({ content: { ...content, strengths, weaknesses: [], highlights: [], red_flags: [] } }),
      )
      const heading = found.find(({ text }) => text === 'Criteria')
      const first = found[found.indexOf(heading!) + 1]
      expect(first, `${lines} lines`).toMatchObject({ text: 'Distributed systems', page: heading!.page })
      const bullet = found.findLast(({ text }) => text.startsWith('•'))!
      const beside = found.filter(({ page, bottom }) => page === bullet.page && bottom === bullet.bottom)
      expect(beside.map(({ text }) => text).join('').length, `${lines} lines`).toBeGreaterThan(10)
    }
  })

  it('keeps a name in five scripts, a word of 300 characters and 40 emoji inside the page', async () => {
    const { content } = report()
    const given = report({
      candidateName: fiveScripts,
      content: {
        ...content,
        summary: `${'x'.repeat(300)} ${'س'.repeat(300)} ${'字'.repeat(300)}`,
        strengths: [emoji, 'ผู้สมัครอธิบายระบบ'.repeat(20), 'हिन्दी '.repeat(60)],
      },
    })
    const found = await boxes(given)
    for (const { left, right, bottom, top, text } of found) {
      expect(left, text).toBeGreaterThanOrEqual(column.left - 1)
      expect(right, text).toBeLessThanOrEqual(column.right + 1)
      expect(bottom, text).toBeGreaterThan(20)
      expect(top, text).toBeLessThan(841.89 - 40)
    }
    const letters = found.map(({ text }) => text.replaceAll(/\s/g, '')).join('')
    for (const letter of 'xس字') expect(letters.split(letter).length - 1).toBeGreaterThanOrEqual(300)
    expect(letters).toContain(emoji)
  })

  it('can be copied in the order in which it is read, whatever the direction', async () => {
    const { content } = report()
    const summary = 'היא הפעילה 3 אשכולות בין 2019-2024 עם Kafka 3.6'
    const text = await pdfText(report({ candidateName: fiveScripts, content: { ...content, summary } }))
    // pdf.js loses blanks where the next text stands to the left.
    const closed = (some: string) => some.replaceAll(' ', '')
    expect(closed(text)).toContain(closed(summary))
    expect(closed(text)).toContain(closed(`Assessment of ${fiveScripts} Role`))
  })

  it('begins lines from right to left at the right', async () => {
    const { content } = report()
    const summary = 'שרה הסבירה היטב מערכות מבוזרות ויש לה ניסיון רב. '.repeat(6)
    const found = await boxes(report({ content: { ...content, summary } }))
    const hebrew = found.filter(({ text }) => /\p{Script=Hebrew}/u.test(text))
    expect(hebrew.length).toBeGreaterThan(2)
    for (const { right } of hebrew) expect(right).toBeCloseTo(column.right, 0)
    expect(Math.min(...hebrew.slice(0, -1).map(({ left }) => left))).toBeLessThan(column.left + 60)
  })

  it('says in place what its fonts have not, which the Markdown has', async () => {
    const given = report({ candidateName: 'Ada ខ្មែរ' })
    expect(await pdfText(given)).toContain('Assessment of Ada [5 Khmer characters: see the Markdown export]')
    expect((await exportAssessment('md', given)).body).toContain('# Assessment of Ada ខ្មែរ')
  })

  it('numbers its pages', async () => {
    const { content } = report()
    const summary = 'A sentence that goes on. '.repeat(150)
    const text = await pdfText(report({ content: { ...content, summary } }))
    expect(text).toMatch(/1 of 2.*2 of 2/)
    expect(text.split(confidentiality)).toHaveLength(4)
  })

  it('shows no control characters, and is the same for the same assessment', async () => {
    const text = await pdfText(report({ candidateName: 'A\u0007da\tLove\r\nlace' }))
    expect(text).toContain('Assessment of A da Love lace')
    const [one, other] = [await exportAssessment('pdf', report()), await exportAssessment('pdf', report())]
    expect(Buffer.compare(one.body as Uint8Array, other.body as Uint8Array)).toBe(0)
  })

  it('is the same from a bundle, which brings its fonts', async () => {
    await using folder = await temporaryFolder()
    const source = join(folder.path, 'source.ts')
    const module = resolve('lib/interviews/assessment-export.ts')
    await writeFile(source, `export { exportAssessment } from ${JSON.stringify(module)}`)
    await bundleFunctions({ outDir: folder.path, entries: { interviews: source } })
    const bundle = await import(pathToFileURL(join(folder.path, 'interviews/index.mjs')).href)
    const given = report({ candidateName: `${fiveScripts} 김민수 さくら हिन्दी ผู้ ہے 🙂` })
    const { body } = await bundle.exportAssessment('pdf', given)
    expect(await textOf(body)).toBe(await pdfText(given))
  })
})
