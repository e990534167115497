/** The points of one metric or expression by the beginning of their periods, in Unix milliseconds. */
export type Series = { label: string; periodSeconds: number; points: ReadonlyMap<number, number> }

/** `SEARCH('{namespace,dimension,...} MetricName="metric"', 'statistic', periodSeconds)`. */
export type Search = {
  namespace: string
  dimensions: string[]
  metric: string
  statistic: string
  periodSeconds: number
}

export type Scope = {
  /** Undefined for an id that nothing has. */
  series(id: string): Series | undefined
  search(search: Search): Series[]
  /** The periods that FILL fills, oldest first, in Unix milliseconds. */
  times(periodSeconds: number): number[]
}

export type Value = number | Series | Series[]

/** Says what of an expression is not known here. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
}

type Token = { kind: 'number' | 'name' | 'text' | 'sign'; text: string }

const tokens = /\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|'([^']*)'|(\S))/gy

/**
 * The value of a metric math expression: numbers, ids, + - * / and parentheses, FILL(id, number or REPEAT),
 * PERIOD(id) and SEARCH. As in CloudWatch, a period has a value where all of its operands have one, and none
 * where the result is no number. Throws ExpressionError, naming it, for anything else.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
 */
export function evaluate(expression: string, scope: Scope): Value {
  const ahead = tokensOf(expression)
  const value = sum()
  if (ahead.length > 0) throw unexpected()
  return value

  function sum(): Value {
    let left = product()
    for (let sign = take('+', '-'); sign; sign = take('+', '-')) left = combine(sign, left, product())
    return left
  }

  function product(): Value {
    let left = operand()
    for (let sign = take('*', '/'); sign; sign = take('*', '/')) left = combine(sign, left, operand())
    return left
  }

  function operand(): Value {
    if (take('-')) return combine('-', 0, operand())
    if (take('(')) {
      const inner = sum()
      need(')')
      return inner
    }
    const token = ahead.shift()
    if (token?.kind === 'number') return Number(token.text)
    if (token?.kind !== 'name') throw unexpected(token)
    return take('(') ? call(token.text) : seriesOf(token.text)
  }

  function call(name: string): Value {
    if (name === 'FILL') {
      const series = seriesOf(kind('name'))
      need(',')
      const filled = fill(series, take('REPEAT') ? 'REPEAT' : signedNumber())
      need(')')
      return filled
    }
    if (name === 'PERIOD') {
      const { periodSeconds } = seriesOf(kind('name'))
      need(')')
      return periodSeconds
    }
    if (name === 'SEARCH') {
      const wanted = kind('text')
      need(',')
      const statistic = kind('text')
      need(',')
      const search = { ...searchOf(wanted), statistic, periodSeconds: Number(kind('number')) }
      need(')')
      return scope.search(search)
    }
    throw new ExpressionError(`the function ${name} is not known here`)
  }

  function fill(series: Series, filler: number | 'REPEAT'): Series {
    const points = new Map<number, number>()
    let last: number | undefined
    for (const time of scope.times(series.periodSeconds)) {
      last = series.points.get(time) ?? (filler === 'REPEAT' ? last : filler)
      if (last !== undefined) points.set(time, last)
    }
    return { ...series, points }
  }

  function signedNumber(): number {
    const sign = take('-') ? -1 : 1
    return sign * Number(kind('number'))
  }

  function seriesOf(id: string): Series {
    const series = scope.series(id)
    if (!series) throw new ExpressionError(`nothing has the id ${id}`)
    return series
  }

  function take(...texts: string[]): string | undefined {
    const next = ahead[0]
    if (!next || next.kind === 'text' || !texts.includes(next.text)) return undefined
    ahead.shift()
    return next.text
  }

  function need(text: string): void {
    if (!take(text)) throw unexpected()
  }

  function kind(wanted: Token['kind']): string {
    const token = ahead.shift()
    if (token?.kind !== wanted) throw unexpected(token)
    return token.text
  }

  function unexpected(token = ahead[0]): ExpressionError {
    return new ExpressionError(`"${token?.text ?? 'the end'}" is not expected in ${expression}`)
  }
}

function tokensOf(expression: string): Token[] {
  return [...expression.trim().matchAll(tokens)].map(([, number, name, text, sign]) => {
    if (number !== undefined) return { kind: 'number', text: number }
    if (name !== undefined) return { kind: 'name', text: name }
    if (text !== undefined) return { kind: 'text', text }
    return { kind: 'sign', text: sign! }
  })
}

function searchOf(text: string): Pick<Search, 'namespace' | 'dimensions' | 'metric'> {
  const [, schema, metric] = /^\{([^{}]+)\}\s+MetricName="([^"]+)"$/.exec(text) ?? []
  if (schema === undefined || metric === undefined)
    throw new ExpressionError(`the search ${text} is not known here`)
  const [namespace = '', ...dimensions] = schema.split(',').map((part) => part.trim())
  return { namespace, dimensions, metric }
}

function combine(sign: string, left: Value, right: Value): Value {
  if (Array.isArray(left) || Array.isArray(right))
    throw new ExpressionError(`"${sign}" on the results of a search is not known here`)
  if (typeof left === 'number' && typeof right === 'number') return calculate(sign, left, right)
  const known = typeof left === 'number' ? right : left
  const { label, periodSeconds } = known as Series
  const points = new Map<number, number>()
  for (const time of (known as Series).points.keys()) {
    const value = calculate(sign, at(left, time), at(right, time))
    if (Number.isFinite(value)) points.set(time, value)
  }
  return { label, periodSeconds, points }
}

/** NaN where there is no value. */
function at(value: number | Series, time: number): number {
  return typeof value === 'number' ? value : (value.points.get(time) ?? Number.NaN)
}

function calculate(sign: string, left: number, right: number): number {
  if (sign === '+') return left + right
  if (sign === '-') return left - right
  return sign === '*' ? left * right : left / right
}
