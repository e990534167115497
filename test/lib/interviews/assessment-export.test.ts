import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { extractText } from 'unpdf'
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

  it('quotes a long turn in part', async () => {
    const long = turns.map((turn) => ({ ...turn, content: 'word '.repeat(100_000) }))
    const { body } = await exportAssessment('md', report({ turns: long }))
    expect(body.length).toBeLessThan(5000)
    expect(body).toContain('word …')
  })
})

describe('an assessment as PDF', () => {
  it('can be read back, in any of the scripts of its font', async () => {
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
    const { body } = await bundle.exportAssessment('pdf', report())
    expect(await textOf(body)).toBe(await pdfText(report()))
  })
})
