import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { boundedSchema, cutText, fitTo, wholePart } from '../../../lib/interviews/answer-bounds.ts'
import { reviewAnswer, tasks } from '../../../lib/interviews/tasks.ts'
import { fc } from '../../support/properties.ts'

describe('a text that is too long', () => {
  it.each([
    ['at a word', 'one two three', 10, 'one two…'],
    ['at the end of a word', 'one two three', 8, 'one two…'],
    ['in a word that is too long itself', 'x'.repeat(300), 250, `${'x'.repeat(249)}…`],
    ['at a word of a script without blanks', '私は東京で働いています', 4, '私は…'],
    ['never inside a character', `${'👩‍👩‍👧'.repeat(40)}`, 12, '👩‍👩‍👧…'],
  ])('is cut %s', (_where, text, most, cut) => {
    expect(cutText(text, most)).toBe(cut)
  })

  it('is never longer than it may be, and whole if it fits', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 400 }),
        fc.integer({ min: 2, max: 400 }),
        (text, most) => {
          const cut = cutText(text, most)
          expect(cut.length).toBeLessThanOrEqual(most)
          expect(cut.isWellFormed()).toBe(true)
          if (text.length <= most) expect(cut).toBe(text)
        },
      ),
    )
  })
})

describe('a value that is too long', () => {
  const schema = boundedSchema(
    z.object({
      text: z.string().max(5).nullable(),
      years: z.number().min(0).max(80).nullable(),
      list: z.array(z.object({ word: z.string().max(5).optional() })).max(2),
      tags: z.array(z.string().max(5)).max(2),
    }),
  )

  it('is cut in every text and list, which are counted', () => {
    const value = {
      text: ' one two ',
      years: 99,
      list: [{ word: 'one two' }, {}, {}],
      tags: ['  ', 'a', 'b'],
      more: 'untouched, whatever its length',
    }
    expect(fitTo(schema, value)).toEqual({
      value: {
        text: 'one…',
        years: 99,
        list: [{ word: 'one…' }, {}],
        tags: ['a', 'b'],
        more: 'untouched, whatever its length',
      },
      shortened: 3,
    })
  })

  it('of another shape stays as it is', () => {
    const value = { text: null, years: 'many', list: 'none', tags: [1, null] }
    expect(fitTo(schema, value)).toEqual({ value, shortened: 0 })
    expect(fitTo(schema, 'text')).toEqual({ value: 'text', shortened: 0 })
  })
})

const long = 'word '.repeat(2000)
const many = (item: unknown, count: number) => Array.from({ length: count }, () => item)

/** An answer to each task with every text and list longer than it may be. */
const tooLong: Record<keyof typeof tasks, object> = {
  assessment: {
    summary: long,
    recommendation: 'yes',
    criteria: many(
      {
        id: 'go',
        score: 1,
        confidence: 1,
        justification: long,
        evidence: many({ turn_id: 't', reason: long }, 30),
      },
      60,
    ),
    strengths: many(long, 30),
    weaknesses: many(long, 30),
    highlights: many(long, 30),
    red_flags: many(long, 30),
  },
  plan: {
    intro: long,
    questions: many({ question: long, follow_up_hint: long, criterion_id: long }, 30),
    closing: long,
  },
  next_question: { question: long },
  chat: { answer: long, found: true, turn_ids: many('t', 60) },
  resume: {
    summary: long,
    current_title: long,
    years_of_experience: 3,
    skills: many(long, 101),
    location: long,
    employment: many({ employer: long, title: long, years: long }, 60),
    education: many(long, 60),
  },
}

describe("a model's answer", () => {
  it.each(Object.entries(tooLong))('to the task %s is used however long it is', (name, value) => {
    const result = reviewAnswer(name as keyof typeof tasks, value, { turn_ids: ['t'], criterion_ids: ['go'] })
    expect(result).toMatchObject({ reviewed: { faults: [] } })
    if (!('reviewed' in result)) throw new Error('unreachable')
    expect(result.reviewed.answer.shortened).toBeGreaterThan(0)
    expect(tasks[name as keyof typeof tasks].schema.safeParse(result.reviewed.answer).success).toBe(true)
  })

  it('loses elements of its lists that do not fit, and not more', () => {
    const plan = {
      intro: 'Hello',
      questions: [
        { question: 'Why?', follow_up_hint: '' },
        { question: 'How?', follow_up_hint: 'More' },
        'What?',
      ],
      closing: 'Bye',
    }
    expect(reviewAnswer('plan', plan, {})).toEqual({
      reviewed: {
        answer: { ...plan, questions: [plan.questions[1]] },
        faults: ['elements of another shape: 2'],
      },
    })
    expect(reviewAnswer('plan', { ...plan, questions: ['What?'] }, {})).toEqual({
      problem: 'it does not fit the schema at questions',
    })
  })

  it('about a résumé is used without what is missing', () => {
    expect(reviewAnswer('resume', { skills: ['Go', 7], current_title: 'Nurse' }, {})).toMatchObject({
      reviewed: { answer: { skills: ['Go'], current_title: 'Nurse', employment: [], summary: '' } },
    })
    const odd = {
      summary: 3,
      years_of_experience: 99,
      location: ['Lagos'],
      education: 'none',
      skills: ['Go'],
    }
    expect(reviewAnswer('resume', odd, {})).toMatchObject({
      reviewed: { answer: { summary: '', years_of_experience: null, location: null, education: [] } },
    })
    expect(reviewAnswer('resume', {}, {})).toHaveProperty('problem')
    expect(reviewAnswer('resume', 'Ada', {})).toHaveProperty('problem')
  })
})

describe('an answer that was cut off', () => {
  it.each([
    ['{"a":"x","b":["y","z', '{"a":"x","b":["y"]}'],
    ['{"a":[{"b":1},{"b":2},{"b', '{"a":[{"b":1},{"b":2}]}'],
    ['{"a":"say \\"hi\\", {then","b":tr', '{"a":"say \\"hi\\", {then"}'],
    ['[1,2', '[1]'],
    ['{"a":{}', '{"a":{}}'],
  ])('%s is %s', (text, whole) => {
    expect(wholePart(text)).toBe(whole)
  })

  it.each(['', '{"a":"only half', 'no JSON'])('%j has nothing that is whole', (text) => {
    expect(wholePart(text)).toBeUndefined()
  })

  it('is JSON wherever it is cut', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (text, at) => {
        const whole = wholePart(text.slice(0, at % (text.length + 1)))
        if (whole !== undefined) expect(() => JSON.parse(whole)).not.toThrow()
      }),
    )
  })
})
