import { expect, test } from 'vitest'
import {
  ExpressionError,
  evaluate,
  type Scope,
  type Search,
  type Series,
} from '../../../../infra/local/dashboards/expression.ts'

const series = (label: string, points: [number, number][], periodSeconds = 60): Series => ({
  label,
  periodSeconds,
  points: new Map(points),
})

const known: Record<string, Series> = {
  hits: series('hits', [
    [0, 3],
    [60_000, 1],
  ]),
  misses: series('misses', [[60_000, 3]]),
  none: series('none', [
    [0, 0],
    [60_000, 0],
    [120_000, 0],
  ]),
  slow: series('slow', [[0, 600]], 300),
}

let searches: Search[] = []
const scope: Scope = {
  series: (id) => known[id],
  search(search) {
    searches.push(search)
    return [known.hits!]
  },
  times: () => [0, 60_000, 120_000],
}

/** The points of a series that an expression gives. */
function pointsOf(expression: string): [number, number][] {
  const value = evaluate(expression, scope)
  if (typeof value === 'number' || Array.isArray(value)) throw new Error(`${expression} is no series`)
  return [...value.points]
}

test.each([
  ['1 + 2 * 3', 7],
  ['(1 + 2) * 3', 9],
  ['8 / 4 / 2', 1],
  ['10 - 4 - 3', 3],
  ['-2 * -(3 - 1)', 4],
  ['100*.5', undefined],
  ['0.25 * 8', 2],
  ['PERIOD(slow) / 60', 5],
])('%s is %s', (expression, value) => {
  if (value === undefined) expect(() => evaluate(expression, scope)).toThrow(ExpressionError)
  else expect(evaluate(expression, scope)).toBe(value)
})

test('a period has a value where all operands have one', () => {
  expect(pointsOf('hits + misses')).toEqual([[60_000, 4]])
  expect(pointsOf('2 * hits - 1')).toEqual([
    [0, 5],
    [60_000, 1],
  ])
})

test('FILL gives a value to periods without one', () => {
  expect(pointsOf('FILL(misses, 0)')).toEqual([
    [0, 0],
    [60_000, 3],
    [120_000, 0],
  ])
  expect(pointsOf('FILL(misses, -1)')[0]).toEqual([0, -1])
  expect(pointsOf('FILL(misses, REPEAT)')).toEqual([
    [60_000, 3],
    [120_000, 3],
  ])
})

test('a ratio has no value where nothing was counted', () => {
  const all = '(FILL(hits, 0) + FILL(misses, 0))'
  expect(pointsOf(`100 * FILL(hits, 0) / ${all}`)).toEqual([
    [0, 100],
    [60_000, 25],
  ])
  expect(pointsOf('hits / none')).toEqual([])
})

test('a sum over its period is a rate', () => {
  expect(pointsOf('slow / PERIOD(slow)')).toEqual([[0, 2]])
})

test('SEARCH names a namespace, dimensions, a metric, a statistic and a period', () => {
  searches = []
  const found = evaluate(`SEARCH('{Shop,Reason,service} MetricName="Skipped"', 'p95', 300)`, scope)
  expect(found).toEqual([known.hits])
  expect(searches).toEqual([
    {
      namespace: 'Shop',
      dimensions: ['Reason', 'service'],
      metric: 'Skipped',
      statistic: 'p95',
      periodSeconds: 300,
    },
  ])
})

test.each([
  ['RATE(hits)', 'the function RATE is not known here'],
  ['hits + other', 'nothing has the id other'],
  ['hits ^ 2', '"^" is not expected in hits ^ 2'],
  ['(hits', '"the end" is not expected in (hits'],
  ['', '"the end" is not expected in '],
  ['hits hits', '"hits" is not expected in hits hits'],
  ['FILL(hits, LINEAR)', '"LINEAR" is not expected in FILL(hits, LINEAR)'],
  [`SEARCH('{Shop} Skipped', 'Sum', 60)`, 'the search {Shop} Skipped is not known here'],
  [`SEARCH('{Shop} MetricName="a"', 'Sum', 60) * 2`, '"*" on the results of a search is not known here'],
])('%s is named, not guessed', (expression, message) => {
  expect(() => evaluate(expression, scope)).toThrow(new ExpressionError(message))
})
