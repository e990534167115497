/** Agents' own names for who speaks, LiveKit's (`user`, `assistant`) among them. */
const labels = new Map([
  ['ai', 'Interviewer'],
  ['assistant', 'Interviewer'],
  ['agent', 'Interviewer'],
  ['candidate', 'Candidate'],
  ['user', 'Candidate'],
  ['interviewer', 'Recruiter'],
  ['recruiter', 'Recruiter'],
])

/** What people read for a speaker. */
export function speakerLabel(speaker: string): string {
  return labels.get(speaker.trim().toLowerCase()) ?? 'Unknown'
}

/** Equal for one speaker, whatever the agent calls them. */
export function speakerKey(speaker: string): string {
  const label = speakerLabel(speaker)
  return label === 'Unknown' ? speaker.trim().toLowerCase() : label
}
