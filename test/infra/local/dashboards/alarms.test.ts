import { describe, expect, test } from 'vitest'
import { alarmState } from '../../../../infra/local/dashboards/alarms.ts'
import { createMetrics } from '../../../../infra/local/metrics.ts'

const minute = 60_000
const now = Date.UTC(2026, 0, 5, 12, 2, 30)

/** Errors by how many minutes ago they were. */
function errors(points: Record<number, number>) {
  const metrics = createMetrics(() => now)
  for (const [ago, value] of Object.entries(points)) {
    const timestamp = now - Number(ago) * minute
    metrics.record({ namespace: 'Shop', metric: 'Errors', dimensions: { service: 'till' }, value, timestamp })
  }
  return metrics
}

const properties = {
  AlarmDescription: 'The till failed. Runbook: docs/operations.md#function-errors',
  ComparisonOperator: 'GreaterThanThreshold',
  EvaluationPeriods: 1,
  Namespace: 'Shop',
  MetricName: 'Errors',
  Dimensions: [{ Name: 'service', Value: 'till' }],
  Period: 300,
  Statistic: 'Sum',
  Threshold: 1,
  TreatMissingData: 'notBreaching',
}
const stateOf = (changes: object, points: Record<number, number>) =>
  alarmState({ name: 'TillErrors', properties: { ...properties, ...changes } }, now, errors(points))

describe('an alarm', () => {
  test('tells what it says and where to read on', () => {
    expect(stateOf({}, {})).toEqual({
      name: 'TillErrors',
      description: 'The till failed.',
      runbook: 'function-errors',
      state: 'OK',
      reason: 'none (> 1)',
    })
  })

  test('counts the period that ends with this minute, across the multiples of its length', () => {
    expect(stateOf({}, { 0: 1, 4: 1 })).toMatchObject({ state: 'ALARM', reason: '2 (> 1)' })
    expect(stateOf({}, { 0: 1, 5: 1 })).toMatchObject({ state: 'OK', reason: '1 (> 1)' })
  })

  test('needs as many periods over the threshold as it evaluates', () => {
    const three = { EvaluationPeriods: 3, Period: 60 }
    expect(stateOf(three, { 2: 2, 1: 2, 0: 2 }).state).toBe('ALARM')
    expect(stateOf(three, { 2: 2, 0: 2 })).toMatchObject({ state: 'OK', reason: '2, 2, none (> 1)' })
    expect(stateOf({ ...three, DatapointsToAlarm: 2 }, { 2: 2, 0: 2 }).state).toBe('ALARM')
  })

  test('goes by the newest values that there are while the last period has none', () => {
    expect(stateOf({ Period: 60 }, { 3: 2 }).state).toBe('OK')
    expect(stateOf({ Period: 60 }, { 2: 2 }).state).toBe('ALARM')
    expect(stateOf({ Period: 60 }, { 2: 2, 1: 0 }).state).toBe('OK')
  })

  test('treats missing data as it is told', () => {
    expect(stateOf({ TreatMissingData: 'breaching' }, {}).state).toBe('ALARM')
    expect(stateOf({ TreatMissingData: 'missing' }, {}).state).toBe('INSUFFICIENT_DATA')
    expect(stateOf({ TreatMissingData: undefined }, { 0: 2 }).state).toBe('ALARM')
  })

  test.each([
    ['GreaterThanThreshold', 'OK'],
    ['GreaterThanOrEqualToThreshold', 'ALARM'],
    ['LessThanThreshold', 'OK'],
    ['LessThanOrEqualToThreshold', 'ALARM'],
  ])('compares by %s', (ComparisonOperator, state) => {
    expect(stateOf({ ComparisonOperator }, { 0: 1 }).state).toBe(state)
  })

  test('works out an expression, also in text as CloudFormation has numbers', () => {
    const stat = {
      Metric: {
        Namespace: 'Shop',
        MetricName: 'Errors',
        Dimensions: [{ Name: 'service', Value: 'till' }],
      },
      Period: '60',
      Stat: 'Maximum',
    }
    const Metrics = [
      { Id: 'both', Expression: 'FILL(a, 0) + FILL(b, 0)', ReturnData: true },
      { Id: 'a', MetricStat: stat, ReturnData: false },
      { Id: 'b', MetricStat: stat, ReturnData: false },
    ]
    const settings = { MetricName: undefined, Metrics, Threshold: '9', EvaluationPeriods: '2' }
    expect(stateOf(settings, { 1: 5, 0: 5 })).toMatchObject({ state: 'ALARM', reason: '10, 10 (> 9)' })
    expect(stateOf(settings, { 0: 5 })).toMatchObject({ state: 'OK', reason: '0, 10 (> 9)' })
  })

  test('has too little data where this machine measures nothing, and says so', () => {
    const rds = { Namespace: 'AWS/RDS', MetricName: 'ACUUtilization', Statistic: 'Average' }
    expect(stateOf(rds, {})).toMatchObject({
      state: 'INSUFFICIENT_DATA',
      reason: 'only on AWS: AWS/RDS ACUUtilization',
    })
    expect(stateOf({ ComparisonOperator: 'LessThanLowerThreshold' }, { 0: 1 })).toMatchObject({
      state: 'INSUFFICIENT_DATA',
      reason: 'LessThanLowerThreshold is not known here',
    })
  })
})
