/** What a person decides about an application. */
export const decisions = ['advance', 'hold', 'reject'] as const
export type Decision = (typeof decisions)[number]

export const decisionWords: Record<Decision, string> = {
  advance: 'Advance',
  hold: 'Hold',
  reject: 'Reject',
}
