import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parseSchedule, startSchedules } from '../../../infra/local/schedules.ts'

const start = new Date('2026-03-04T10:00:30Z')

/** The first `count` times after `after`, to the minute. */
function runs(expression: string, after: string, count = 1): string[] {
  const next = parseSchedule(expression, start)
  const found: string[] = []
  let at: Date | undefined = new Date(after)
  while (found.length < count) {
    at = next(at)
    if (!at) break
    found.push(at.toISOString().replace(/:\d\d\.000Z$/, ''))
  }
  return found
}

test.each([
  ['rate(5 minutes)', '2026-03-04T10:00:30Z', '2026-03-04T10:05'],
  ['rate(1 minute)', '2026-03-04T10:07:31Z', '2026-03-04T10:08'],
  ['rate(2 days)', '2026-03-04T10:00:29Z', '2026-03-06T10:00'],
  ['cron(0 3 * * ? *)', '2026-03-04T02:59:59Z', '2026-03-04T03:00'],
  ['cron(0 3 * * ? *)', '2026-03-04T03:00:00Z', '2026-03-05T03:00'],
  ['cron(0/15 8-17 ? * MON-FRI *)', '2026-03-06T17:45:00Z', '2026-03-09T08:00'],
  ['cron(30 12 1 * ? *)', '2026-12-01T12:30:00Z', '2027-01-01T12:30'],
  ['cron(0 0 L * ? *)', '2028-02-01T00:00:00Z', '2028-02-29T00:00'],
  ['cron(0 9 ? * 2#1 *)', '2026-03-03T00:00:00Z', '2026-04-06T09:00'],
  ['cron(0 18 ? * FRIL *)', '2026-03-04T00:00:00Z', '2026-03-27T18:00'],
  ['cron(0 0 29 FEB ? *)', '2026-03-04T00:00:00Z', '2028-02-29T00:00'],
  ['cron(5,35 14 * * ? *)', '2026-03-04T14:05:00Z', '2026-03-04T14:35'],
])('%s after %s is %s', (expression, after, expected) => {
  expect(runs(expression, after)).toEqual([expected])
})

test('a rate keeps to its start whatever the delay of the run before', () => {
  expect(runs('rate(10 minutes)', '2026-03-04T10:13:59Z', 3)).toEqual([
    '2026-03-04T10:20',
    '2026-03-04T10:30',
    '2026-03-04T10:40',
  ])
})

test('a year that has passed never comes again', () => {
  expect(runs('cron(0 0 1 1 ? 2020)', '2026-03-04T00:00:00Z')).toEqual([])
})

test.each([
  'rate(0 minutes)',
  'rate(5 fortnights)',
  'cron(0 3 * * *)',
  'cron(0 3 * * * *)',
  'cron(60 3 * * ? *)',
  'cron(0 0 15W * ? *)',
  'at(2026-01-01T00:00:00)',
])('%s is refused', (expression) => {
  expect(() => parseSchedule(expression, start)).toThrow(expression)
})

describe('running schedules', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: start })
    lines.length = 0
  })
  afterEach(() => void vi.useRealTimers())

  const lines: string[] = []
  const target = (run: (at: Date) => Promise<void>, expression = 'rate(1 minute)') => ({
    name: 'sweep',
    expression,
    run,
  })
  const log = (line: string) => void lines.push(line)

  test('run each target at its times, counted from the start', async () => {
    const times: string[] = []
    const running = startSchedules([target(async (at) => void times.push(at.toISOString()))], log)
    await vi.advanceTimersByTimeAsync(59_999)
    expect(times).toEqual([])
    await vi.advanceTimersByTimeAsync(120_001)
    expect(times).toEqual([
      '2026-03-04T10:01:30.000Z',
      '2026-03-04T10:02:30.000Z',
      '2026-03-04T10:03:30.000Z',
    ])
    await running.close()
    await vi.advanceTimersByTimeAsync(300_000)
    expect(times).toHaveLength(3)
  })

  test('go on after a run that fails, and say so', async () => {
    const run = vi.fn(() => Promise.reject(new Error('down')))
    const running = startSchedules([target(run)], log)
    await vi.advanceTimersByTimeAsync(120_000)
    expect(run).toHaveBeenCalledTimes(2)
    expect(lines).toEqual(['sweep: Error: down', 'sweep: Error: down'])
    await running.close()
  })

  test('skip the times at which the run before is still at work, and wait for it at the end', async () => {
    const ended = Promise.withResolvers<void>()
    const run = vi.fn(() => ended.promise)
    const running = startSchedules([target(run)], log)
    await vi.advanceTimersByTimeAsync(180_000)
    expect(run).toHaveBeenCalledTimes(1)
    expect(lines).toEqual([
      'sweep: still running, the run of 2026-03-04T10:02:30.000Z is skipped',
      'sweep: still running, the run of 2026-03-04T10:03:30.000Z is skipped',
    ])
    let closed = false
    const closing = running.close().then(() => {
      closed = true
    })
    await vi.advanceTimersByTimeAsync(1000)
    expect(closed).toBe(false)
    ended.resolve()
    await closing
  })

  test('reach a time further away than the longest timer', async () => {
    const run = vi.fn(async () => {})
    const running = startSchedules([target(run, 'rate(40 days)')], log)
    await vi.advanceTimersByTimeAsync(40 * 86_400_000 - 1)
    expect(run).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(run).toHaveBeenCalledTimes(1)
    await running.close()
  })
})
