import type { AssessmentAnswer } from '../../lib/interviews/assessments.ts'

/** What an interview came to, as its recruiter sees it. */
export type Outcome = {
  id: string
  rubric: readonly string[]
  /** Turn ids of its transcript, and how many turns were spoken. */
  turns: readonly string[]
  spoken: number
  assessment: AssessmentAnswer
  /** Of the e-mails "assessment ready" that Resend accepted. */
  mailKeys: readonly (string | null)[]
  /** States of every e-mail and of the résumé. */
  emails: readonly string[]
  resume: string | undefined
}

/** What contradicts the promise: one assessment that is whole or says what is missing, and one e-mail of each. */
export function outcomeViolations({ id, ...outcome }: Outcome): string[] {
  const { assessment, rubric, turns, spoken, mailKeys, emails, resume } = outcome
  const said = (text: string) => `interview ${id}: ${text}`
  const problems: string[] = []
  if (turns.length !== spoken) problems.push(said(`${turns.length} turns of ${spoken} are in the transcript`))
  if (new Set(turns).size !== turns.length) problems.push(said('a turn stands twice in the transcript'))
  if (resume !== undefined && resume !== 'completed') problems.push(said(`the résumé is ${resume}`))
  const unsent = emails.filter((state) => state === 'queued' || state === 'sending' || state === 'failed')
  if (unsent.length > 0) problems.push(said(`e-mails are ${unsent.join(', ')}`))
  const { state, content, kept_generations } = assessment
  if (state !== 'completed' || !content) {
    return [...problems, said(`the assessment is ${state} (${assessment.failure?.code ?? 'no failure'})`)]
  }
  if (assessment.outdated) problems.push(said('the assessment is outdated'))
  const doubled = mailKeys.length !== new Set(mailKeys).size
  if (doubled || mailKeys.length !== kept_generations.length) {
    problems.push(said(`${mailKeys.length} e-mails for ${kept_generations.length} generations`))
  }
  const known = new Set(turns)
  const ids = content.criteria.map((criterion) => criterion.id)
  if (ids.join() !== rubric.join()) problems.push(said(`criteria ${ids.join()} of ${rubric.join()}`))
  for (const criterion of content.criteria) {
    const { status, score, reason, evidence } = criterion
    const right =
      status === 'scored' ? score !== null && evidence.length > 0 : score === null && (reason ?? '') !== ''
    if (!right) problems.push(said(`criterion ${criterion.id} is ${status} without what belongs to it`))
    if (evidence.some(({ turn_id }) => !known.has(turn_id))) {
      problems.push(said(`criterion ${criterion.id} cites a turn that is none`))
    }
  }
  const scored = content.criteria.filter(({ status }) => status === 'scored').length
  if (content.coverage.assessed !== scored) problems.push(said('the coverage is not that of the criteria'))
  if ((content.recommendation === null) !== scored < rubric.length) {
    problems.push(said(`${scored} of ${rubric.length} criteria and recommendation ${content.recommendation}`))
  }
  return problems
}
