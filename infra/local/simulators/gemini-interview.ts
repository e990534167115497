import { type Criterion, isAnswer, type Prompt, type PromptTurn } from './gemini-prompt.ts'
import { countWords, cut, stems } from './words.ts'

/** A candidate's turn with what it answers. */
type Exchange = { turn: PromptTurn; question: PromptTurn | undefined; words: number; stems: Set<string> }

const lastResort: Criterion = { id: 'communication', title: 'Communication', weight: 1 }

/** An assessment whose scores grow with the length of the answers that touch each criterion. */
export function assessment({ turns, rubric }: Prompt): object {
  const exchanges = exchangesOf(turns)
  const criteria = criteriaOf(rubric).map((criterion, place) =>
    judge(criterion, exchangesFor(criterion, place)),
  )
  const overall = mean(
    criteria.map(({ score }) => score ?? 0),
    criteria.map(({ weight }) => weight),
  )
  const byLength = exchanges.toSorted((a, b) => b.words - a.words)
  const strong = criteria.filter(({ score }) => score !== null && score >= 60)
  const weak = criteria.filter(({ score }) => score !== null && score < 60)
  const said = exchanges.reduce((sum, { words }) => sum + words, 0)
  return {
    summary: `Simulated assessment: the candidate answered ${count(exchanges.length, 'time')} with ${count(
      said,
      'word',
    )}. Scores are derived from the length of the answers, not from what they say.`,
    recommendation: exchanges.length === 0 ? null : recommendationFor(overall),
    criteria: criteria.map(({ title: _, weight: __, ...judgement }) => judgement),
    strengths: strong.map(({ title }) => `${title}: answered at length`),
    weaknesses: weak.map(({ title }) => `${title}: little was said`),
    highlights: byLength.slice(0, 3).map(({ turn }) => quote(turn)),
    red_flags: exchanges
      .filter(({ words }) => words < 4)
      .slice(0, 5)
      .map(({ turn }) => `A very short answer: ${quote(turn)}`),
  }

  /** The two answers that are nearest to a criterion; where none is near, those whose turn it is. */
  function exchangesFor({ title }: Criterion, place: number): readonly Exchange[] {
    const near = rank(exchanges, title)
    if (near.length > 0) return near.slice(0, 2).map(({ exchange }) => exchange)
    return exchanges.length === 0 ? [] : [exchanges[place % exchanges.length]!]
  }
}

function judge({ id, title, weight }: Criterion, cited: readonly Exchange[]) {
  const criterion = { id: cut(id, 80), title: cut(title, 200), weight }
  if (cited.length === 0) {
    const justification = 'Simulated: the candidate said nothing.'
    return { ...criterion, score: null, confidence: null, justification, evidence: [] }
  }
  const words = cited.reduce((sum, exchange) => sum + exchange.words, 0)
  return {
    ...criterion,
    score: Math.min(95, 30 + words),
    confidence: cited.length > 1 ? 0.8 : 0.6,
    justification: `Simulated: ${count(words, 'word')} in ${count(cited.length, 'answer')} nearest to “${cut(title, 200)}”.`,
    evidence: cited.map(({ turn }) => ({ turn_id: turn.id, reason: `The candidate said: ${quote(turn)}` })),
  }
}

function recommendationFor(score: number): string {
  if (score >= 80) return 'strong_yes'
  if (score >= 60) return 'yes'
  return score >= 40 ? 'no' : 'strong_no'
}

/** A question for each criterion, at least five. */
export function plan({ rubric }: Prompt): object {
  const criteria = criteriaOf(rubric)
  const questions = Array.from({ length: Math.max(5, criteria.length) }, (_, place) => {
    const { id, title } = criteria[place % criteria.length]!
    const ask = openings[Math.floor(place / criteria.length) % openings.length]!
    return {
      question: ask(cut(title, 200)),
      follow_up_hint: `Ask for one example of ${cut(title, 200)}, and for what came of it.`,
      ...(rubric.length > 0 && { criterion_id: cut(id, 80) }),
    }
  })
  return {
    intro: 'Simulated plan: welcome, and thank you for your time today.',
    questions,
    closing: 'Those were my questions. What would you like to know from us?',
  }
}

const openings: readonly ((topic: string) => string)[] = [
  (topic) => `Which of your projects shows best what you can do in ${topic}?`,
  (topic) => `What was the hardest problem that you have solved in ${topic}?`,
  (topic) => `What would you do differently today in ${topic}?`,
  (topic) => `How do you keep learning about ${topic}?`,
  (topic) => `Whom have you taught something about ${topic}, and how?`,
]

/** What is planned and was not asked yet; else takes up the last answer; else opens on a criterion. */
export function nextQuestion({ turns, rubric, planned }: Prompt): object {
  const planNext = planned.find((question) => !turns.some(({ text }) => text.includes(question)))
  if (planNext !== undefined) return { question: `Simulated question: ${cut(planNext, 800)}` }
  const asked = turns.filter((turn) => !isAnswer(turn)).length
  const last = turns.findLast(isAnswer)
  const topic = last && longestWord(last.text)
  if (topic !== undefined) {
    return { question: `Simulated question: you spoke of “${topic}”. What was your own part in it?` }
  }
  const criteria = criteriaOf(rubric)
  const { title } = criteria[asked % criteria.length]!
  return { question: `Simulated question: ${openings[asked % openings.length]!(cut(title, 200))}` }
}

/** The answers that share most words with the question, quoted; else what assessment or résumé have; else that it is not there. */
export function chat({ turns, question, resume, assessment }: Prompt): object {
  const ranked = rank(exchangesOf(turns), question)
  const cited = ranked
    .filter(({ score }) => score >= ranked[0]!.score / 2)
    .slice(0, 3)
    .map(({ exchange }) => exchange.turn)
  if (cited.length > 0) {
    const answer = `Simulated answer, by the words that it shares with the question. ${cited
      .map((turn) => `The candidate said: ${quote(turn)}`)
      .join(' ')}`
    return { answer, found: true, turn_ids: cited.map(({ id }) => id) }
  }
  const wanted = new Set(stems(question))
  const holding = (line: string) => stems(line).some((stem) => wanted.has(stem))
  const [source, line] =
    [
      ['assessment', assessment.find(holding)],
      ['résumé', resume.split('\n').find(holding)],
    ].find(([, line]) => line !== undefined) ?? []
  if (line !== undefined) {
    return { answer: `Simulated answer: the ${source} says “${cut(line, 300)}”.`, found: true, turn_ids: [] }
  }
  const answer = 'Simulated answer: nothing that is known of this interview shares a word with the question.'
  return { answer, found: false, turn_ids: [] }
}

function criteriaOf(rubric: readonly Criterion[]): readonly Criterion[] {
  return rubric.length === 0 ? [lastResort] : rubric.slice(0, 10)
}

function exchangesOf(turns: readonly PromptTurn[]): Exchange[] {
  return turns.flatMap((turn, place) => {
    if (!isAnswer(turn)) return []
    const question = turns.slice(0, place).findLast((each) => !isAnswer(each))
    return [
      {
        turn,
        question,
        words: countWords(turn.text),
        stems: new Set(stems(`${question?.text ?? ''} ${turn.text}`)),
      },
    ]
  })
}

/** Those that share words with the text, the nearest first: a rare word weighs more than one in every answer. */
function rank(exchanges: readonly Exchange[], text: string): { exchange: Exchange; score: number }[] {
  const weights = new Map(
    stems(text).map((stem) => {
      const holders = exchanges.filter(({ stems }) => stems.has(stem)).length
      return [stem, Math.log(1 + exchanges.length / Math.max(1, holders))]
    }),
  )
  return exchanges
    .map((exchange) => {
      let score = 0
      for (const [stem, weight] of weights) if (exchange.stems.has(stem)) score += weight
      return { exchange, score }
    })
    .filter(({ score }) => score > 0)
    .toSorted((a, b) => b.score - a.score)
}

/** The first of the longest words that say something. */
function longestWord(text: string): string | undefined {
  const words = (text.match(/[\p{L}\p{N}+#]+/gu) ?? []).filter((word) => stems(word).length > 0)
  return words.toSorted((a, b) => b.length - a.length)[0]
}

function quote({ text }: PromptTurn): string {
  return `“${cut(text, 200)}”`
}

function count(many: number, what: string): string {
  return `${many} ${what}${many === 1 ? '' : 's'}`
}

function mean(numbers: readonly number[], weights: readonly number[]): number {
  const sum = numbers.reduce((sum, each, place) => sum + each * weights[place]!, 0)
  return sum / weights.reduce((sum, each) => sum + each, 0)
}
