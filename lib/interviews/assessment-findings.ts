import type { Recommendation } from './assessment-answer.ts'
import type { AssessmentContent } from './assessment-content.ts'

export const recommendationWords: Record<Recommendation, string> = {
  strong_yes: 'Strong yes',
  yes: 'Yes',
  no: 'No',
  strong_no: 'Strong no',
}

/** What an assessment comes to and how far that holds, as its readers are told first, wherever they read it. */
export function findings(content: AssessmentContent): { name: string; text: string }[] {
  const { recommendation, overall_score, coverage, contradiction, criteria, shortened, left_out } = content
  const missing = criteria.filter(({ status }) => status === 'not_assessed').map(({ title }) => title)
  const thin = criteria.filter(({ thin_evidence }) => thin_evidence).map(({ title }) => title)
  const share = missing.length === 0 ? '' : ` (${coverage.weight_percent} % of the weight)`
  return [
    {
      name: 'Recommendation',
      text: recommendation
        ? recommendationWords[recommendation]
        : 'None, since not every criterion was assessed',
    },
    {
      name: 'Overall score',
      text: overall_score === null ? 'None, since no criterion was assessed' : outOf100(overall_score),
    },
    { name: 'Coverage', text: `${coverage.assessed} of ${coverage.criteria} criteria assessed${share}` },
    ...(missing.length > 0 ? [{ name: 'Not assessed', text: missing.join(', ') }] : []),
    ...(contradiction
      ? [
          {
            name: 'Contradiction',
            text: `The model recommended "${recommendationWords[contradiction.model]}", its scores amount to "${recommendationWords[contradiction.scores]}"`,
          },
        ]
      : []),
    ...(thin.length > 0
      ? [{ name: 'Thin evidence', text: `The candidate says little that supports: ${thin.join(', ')}` }]
      : []),
    ...(left_out && left_out.turns + left_out.shortened > 0
      ? [
          {
            name: 'Not read',
            text: `The transcript is too long for the model: it was not shown ${left_out.turns} turns from the middle, and the end of ${left_out.shortened} turns`,
          },
        ]
      : []),
    ...(shortened > 0
      ? [{ name: 'Shortened', text: `${shortened} of the model's texts and lists, which were too long` }]
      : []),
  ]
}

export function outOf100(score: number): string {
  return `${Math.round(score * 10) / 10} of 100`
}
