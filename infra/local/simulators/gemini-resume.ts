import type { Prompt } from './gemini-prompt.ts'
import { countWords, cut } from './words.ts'

const skills = `
  Accounting Agile Ansible Angular AWS Azure Bash C C++ C# CSS Communication Django Docker Elasticsearch Excel Express
  Figma Flask Flutter GCP Git Go GraphQL HTML Java JavaScript Jenkins Kafka Kotlin Kubernetes Laravel Leadership Linux
  MongoDB MySQL NestJS Next.js Node.js PHP PostgreSQL Python PyTorch Rails React Redis Ruby Rust Sales Scala Scrum SQL
  Spring Swift TensorFlow Terraform TypeScript Vue`
  .trim()
  .split(/\s+/)

const titleWords =
  /\b(?:accountant|administrator|analyst|architect|assistant|consultant|designer|developer|director|engineer|intern|lead|manager|nurse|officer|recruiter|researcher|scientist|specialist|teacher|tester|writer)\b/i
const schoolWords =
  /\b(?:university|college|polytechnic|institute of|school of|b\.?sc|m\.?sc|b\.?a\b|ph\.?d|diploma|degree)/i
const years = /\b((?:19|20)\d\d)\s*(?:-|–|—|to)\s*((?:19|20)\d\d|present|now|today)\b/i

/** What a résumé says of its person without any way to reach them. */
export function resume({ resume }: Prompt): object {
  const text = withoutContacts(resume)
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
  const top = lines.slice(0, 8)
  const title = top.find((line) => titleWords.test(line) && line.length <= 100) ?? null
  const employment = lines.flatMap(employmentOf)
  return {
    summary: `Simulated reading of ${countWords(text)} words.${title === null ? '' : ` ${title}.`}`,
    current_title: title ?? employment[0]?.title ?? null,
    years_of_experience: yearsOfExperience(text),
    skills: skills.filter((skill) => holds(text, skill)),
    location: locationOf(lines, top),
    employment,
    education: lines
      .filter((line) => schoolWords.test(line))
      .slice(0, 20)
      .map((line) => cut(line, 300)),
  }
}

function withoutContacts(text: string): string {
  return text
    .replace(/\S+@\S+/g, '')
    .replace(/\bhttps?:\/\/\S+/gi, '')
    .replace(/\+?\d[\d ()-]{7,}\d/g, (found) => (years.test(found) ? found : ''))
}

/** `C` is not in `CSS`, nor in `C++`. */
function holds(text: string, skill: string): boolean {
  const escaped = skill.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  // A word that is short or also an English one counts only as it is written.
  const flags = skill.length <= 5 ? 'u' : 'iu'
  return new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}+#])`, flags).test(text)
}

function yearsOfExperience(text: string): number | null {
  const stated = [...text.matchAll(/\b(\d{1,2})\+?\s+years?\b/gi)].map(([, many]) => Number(many))
  if (stated.length > 0) return Math.min(80, Math.max(...stated))
  const spans = [...text.matchAll(new RegExp(years, 'gi'))]
  const from = spans.map(([, first]) => Number(first))
  const known = [...from, ...spans.map(([, , last]) => Number(last)).filter(Number.isFinite)]
  return known.length === 0 ? null : Math.min(80, Math.max(...known) - Math.min(...from))
}

function locationOf(lines: readonly string[], top: readonly string[]): string | null {
  const stated = lines
    .map((line) => /^(?:location|address|based in)\s*[:-]?\s*(.+)$/i.exec(line)?.[1])
    .find(Boolean)
  const looksSo = top.find(
    (line) => /^\p{Lu}[\p{L} .'-]+, \p{Lu}[\p{L} .'-]+$/u.test(line) && !titleWords.test(line),
  )
  const found = stated ?? looksSo
  return found === undefined ? null : cut(found, 200)
}

/** `Engineer at Kuda, 2019 - 2022`, or with a comma, bar or dash between title and employer. */
function employmentOf(line: string): { employer: string; title: string; years: string }[] {
  const span = years.exec(line)
  if (!span || schoolWords.test(line)) return []
  const rest = line.replace(span[0], '').replace(/[()]/g, '')
  const [first = '', second = ''] = rest
    .split(/\s+at\s+|\s*[,|–—]\s*|\s+-\s+/)
    .map((part) => part.trim())
    .filter(Boolean)
  if (second === '') return []
  const [title, employer] =
    titleWords.test(second) && !titleWords.test(first) ? [second, first] : [first, second]
  return [{ employer: cut(employer, 200), title: cut(title, 200), years: cut(span[0], 40) }]
}
