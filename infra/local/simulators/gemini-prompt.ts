import { jsonOf } from './simulator.ts'

/** One turn of a transcript as prompts write it: `[<id>] <speaker>: <text>`. */
export type PromptTurn = { id: string; speaker: string; text: string }

/** A line of a rubric: `- <id>: <title>`, with ` (weight <number>)` where weights differ. */
export type Criterion = { id: string; title: string; weight: number }

/** What a simulated model finds in a prompt. */
export type Prompt = {
  turns: readonly PromptTurn[]
  rubric: readonly Criterion[]
  /** The lines between `<plan>` tags, each a question. */
  planned: readonly string[]
  /** What stands between `<question>` tags. */
  question: string
  /** What stands between `<resume>` tags. */
  resume: string
  /** What stands between `<assessment>` tags, each text of it with its field: `strengths: …`. */
  assessment: readonly string[]
}

const turnLine = /^\[([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\] ([^:\n]{1,80}): (.*)$/gim
const rubricLine = /^- ([^\s:]{1,80}): (.+)$/gm

/** Reads a prompt without what the model is told to be: that speaks of the tags, too. */
export function readPrompt(text: string): Prompt {
  const turns = [...text.matchAll(turnLine)].map(([, id = '', speaker = '', said = '']) => ({
    id: id.toLowerCase(),
    speaker,
    // A tag in what was said is made harmless there.
    text: said.replaceAll('&lt;', '<').trim(),
  }))
  const rubric = tagged(text, 'rubric') || withoutBlocks(text)
  const criteria = [...rubric.matchAll(rubricLine)].map(([, id = '', line = '']) => {
    const [, title = line, weight = '1'] =
      /^(.*) \(weight (\d{1,3}(?:\.\d{1,20})?)\)$/.exec(line.trim()) ?? []
    return { id, title: title.trim(), weight: Number(weight) }
  })
  return {
    turns,
    rubric: criteria,
    planned: [...tagged(text, 'plan').matchAll(/^- (.+)$/gm)].map(([, question = '']) => question.trim()),
    question: tagged(text, 'question'),
    resume: tagged(text, 'resume'),
    assessment: assessmentLines(tagged(text, 'assessment')),
  }
}

/** Whether the candidate says it. */
export function isAnswer({ speaker }: PromptTurn): boolean {
  return speaker.startsWith('Candidate')
}

function tagged(text: string, tag: string): string {
  return new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(text)?.[1]?.trim() ?? ''
}

function assessmentLines(text: string): string[] {
  const fields = Object.entries(Object(jsonOf(Buffer.from(text))) as object)
  return fields.flatMap(([field, value]) =>
    [value as unknown]
      .flat()
      .filter((each) => typeof each === 'string')
      .map((each) => `${field.replaceAll('_', ' ')}: ${each}`),
  )
}

/** People write lists as rubrics are written: those of a job description or a résumé stand in blocks. */
function withoutBlocks(text: string): string {
  return text.replace(/<(\w+)>[\s\S]*?<\/\1>/g, '')
}
