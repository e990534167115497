import { csvText } from '../platform/csv.ts'
import { filledLines } from './lines.ts'
import { markdownText } from './markdown.ts'
import type { Transcript, TranscriptTurn } from './transcript.ts'
import { clockText } from './turn-clock.ts'

export const transcriptFormats = ['txt', 'json', 'csv', 'md', 'vtt'] as const
export type TranscriptFormat = (typeof transcriptFormats)[number]

/** A file to download. */
export type ExportFile<Body = string> = { contentType: string; filename: string; body: Body }

type Writer = { contentType: string; write(interviewId: string, transcript: Transcript): string }

const writers: Record<TranscriptFormat, Writer> = {
  txt: { contentType: 'text/plain; charset=utf-8', write: plainText },
  json: { contentType: 'application/json; charset=utf-8', write: jsonText },
  csv: { contentType: 'text/csv; charset=utf-8; header=present', write: csv },
  md: { contentType: 'text/markdown; charset=utf-8', write: markdown },
  vtt: { contentType: 'text/vtt; charset=utf-8', write: webVtt },
}

/** A transcript as a file: `transcript_<interview id>.<format>`. An empty one is a file without turns. */
export function exportTranscript(
  format: TranscriptFormat,
  interviewId: string,
  transcript: Transcript,
): ExportFile {
  const { contentType, write } = writers[format]
  return {
    contentType,
    filename: `transcript_${interviewId}.${format}`,
    body: write(interviewId, transcript),
  }
}

function titleOf(interviewId: string): string {
  return `Transcript export for interview ${interviewId}`
}

/** Further lines of a turn are indented: what begins with a clock is a turn. */
function plainText(interviewId: string, { turns }: Transcript): string {
  if (turns.length === 0) return `${titleOf(interviewId)}\n`
  return turns
    .map(({ timestamp, speaker_label, content, corrected_content }) => {
      const corrected = filledLines(corrected_content ?? '').join('\n  ')
      const after = corrected === '' ? '' : `  (corrected: ${corrected})\n`
      return `[${timestamp}] ${speaker_label}: ${filledLines(content).join('\n  ')}\n${after}`
    })
    .join('')
}

function jsonText(interviewId: string, { source, skipped_elements, turns }: Transcript): string {
  const whole = {
    interview_id: interviewId,
    source,
    skipped_elements,
    total_turns: turns.length,
    turns,
  }
  return `${JSON.stringify(whole, null, 2)}\n`
}

const csvColumns = {
  id: ({ id }) => id,
  sequence_no: ({ sequence_no }) => String(sequence_no),
  timestamp: ({ timestamp }) => timestamp,
  offset_seconds: ({ offset_seconds }) => String(offset_seconds),
  speaker: ({ speaker }) => csvText(speaker),
  speaker_label: ({ speaker_label }) => speaker_label,
  speaker_name: ({ speaker_name }) => csvText(speaker_name ?? ''),
  content: ({ content }) => csvText(content),
  is_ai_question: ({ is_ai_question }) => String(is_ai_question),
  spoken_at: ({ spoken_at }) => spoken_at ?? '',
  corrected_content: ({ corrected_content }) => csvText(corrected_content ?? ''),
} satisfies Record<string, (turn: TranscriptTurn) => string>

/** RFC 4180; the first line names the columns. */
function csv(_interviewId: string, { turns }: Transcript): string {
  const fields = Object.values(csvColumns)
  const lines = turns.map((turn) => fields.map((field) => field(turn)).join(','))
  return [Object.keys(csvColumns).join(','), ...lines].map((line) => `${line}\r\n`).join('')
}

function markdown(interviewId: string, { turns }: Transcript): string {
  const paragraphs = turns.map(({ timestamp, speaker_label, content, corrected_content }) => {
    const after = corrected_content === null ? '' : `\n*Corrected:* ${markdownText(corrected_content)}\n`
    return `**[${timestamp}] ${speaker_label}:** ${markdownText(content)}\n${after}`
  })
  return [`# ${titleOf(interviewId)}\n`, ...paragraphs].join('\n')
}

/** Words a second of somebody who speaks without haste. */
const wordsPerSecond = 2.5

/**
 * https://www.w3.org/TR/webvtt1/: a cue for each turn, which lasts until the next one begins, or as long as it
 * takes to say. Cues have to begin in their order.
 */
function webVtt(_interviewId: string, { turns }: Transcript): string {
  let start = 0
  const starts = turns.map(({ offset_seconds }) => {
    start = Math.max(start, offset_seconds)
    return start
  })
  const cues = turns.map((turn, index) => {
    const { sequence_no, speaker_label } = turn
    // Who watches wants to read what was said.
    const content = turn.corrected_content ?? turn.content
    const from = starts[index]!
    const next = starts[index + 1]
    const until = next !== undefined && next > from ? next : from + secondsToSay(content)
    const lines = filledLines(content.replaceAll('\0', '')).map(vttText)
    return `${sequence_no}\n${vttTime(from)} --> ${vttTime(until)}\n<v ${speaker_label}>${lines.join('\n')}\n`
  })
  return ['WEBVTT\n', ...cues].join('\n')
}

function secondsToSay(content: string): number {
  return Math.max(1, content.trim().split(/\s+/).length / wordsPerSecond)
}

function vttTime(seconds: number): string {
  const milliseconds = Math.round(seconds * 1000)
  const fraction = String(milliseconds % 1000).padStart(3, '0')
  return `${clockText(Math.floor(milliseconds / 1000))}.${fraction}`
}

function vttText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
