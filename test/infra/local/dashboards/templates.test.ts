import { describe, expect, it } from 'vitest'
import { alarmState } from '../../../../infra/local/dashboards/alarms.ts'
import { drawWidgets } from '../../../../infra/local/dashboards/widgets.ts'
import { createMetrics } from '../../../../infra/local/metrics.ts'
import { synthesise } from '../../synthesis.ts'

const minute = 60_000
const now = Date.UTC(2026, 0, 5, 12, 2, 30)

/** As a deployment would leave it, with `x` for whatever CloudFormation names. */
function resolved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolved)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  const [key, content] = entries[0] ?? []
  if (key === 'Fn::Join') return content[1].map(resolved).join('')
  if (key === 'Ref' || key?.startsWith('Fn::')) return 'x'
  return Object.fromEntries(entries.map(([name, one]) => [name, resolved(one)]))
}

/** A point of each metric that the texts name, found as they would be searched for. */
function somethingOf(bodies: { widgets: { properties: { metrics: unknown[][] } }[] }[]) {
  const metrics = createMetrics(() => now)
  const record = (namespace: string, metric: string, dimensions: Record<string, string>) =>
    metrics.record({ namespace, metric, dimensions, value: 7, timestamp: now - minute })
  for (const line of bodies.flatMap(({ widgets }) =>
    widgets.flatMap(({ properties }) => properties.metrics),
  )) {
    const [namespace, metric, ...pairs] = line.filter((part) => typeof part === 'string')
    const dimensions: Record<string, string> = {}
    for (let at = 0; at < pairs.length; at += 2) dimensions[pairs[at]!] = pairs[at + 1]!
    if (namespace && metric) record(namespace, metric, dimensions)
    const [, schema, wanted] = /SEARCH\('\{(.+)\} MetricName=\\"(\w+)\\"/.exec(JSON.stringify(line)) ?? []
    if (!schema || !wanted) continue
    const [space, ...names] = schema.split(',')
    record(space!, wanted, Object.fromEntries(names.map((name) => [name, 'x'])))
  }
  return metrics
}

describe.each(['local', 'dev', 'prod'])('the templates of %s', async (stage) => {
  const resources = await synthesise({ stage })
  const of = (type: string) => resources.filter(({ Type }) => Type === type)
  const bodies = of('AWS::CloudWatch::Dashboard').map(({ Properties }) =>
    JSON.parse(String(resolved(Properties.DashboardBody))),
  )
  const metrics = somethingOf(bodies)

  it('have only widgets that the local cloud draws, or says to have no source', () => {
    const widgets = bodies.flatMap((body) => drawWidgets(body, now - 10 * minute, now, metrics))
    expect(widgets.length).toBeGreaterThan(30)
    for (const { title, series, withoutSource, unknown } of widgets) {
      expect(unknown, title).toEqual([])
      for (const { label, values } of series) {
        expect(label, title).not.toBe('')
        expect(
          values.some((value) => value !== null && value >= 0),
          `${title}: ${label}`,
        ).toBe(true)
      }
      expect(series.length + withoutSource.length, title).toBeGreaterThan(0)
      // All that AWS alone can tell is about its database.
      for (const metric of withoutSource) expect(metric).toMatch(/^AWS\/RDS /)
    }
  })

  it('have only alarms that the local cloud judges, or says to have no source', () => {
    for (const { id, Properties } of of('AWS::CloudWatch::Alarm')) {
      const properties = resolved(Properties) as Record<string, unknown>
      const { state, reason, runbook } = alarmState({ name: id, properties }, now, metrics)
      expect(runbook, id).toBeDefined()
      if (state === 'INSUFFICIENT_DATA')
        expect(reason, id).toMatch(/^only on AWS: AWS\/(?:RDS|CloudFront|WAFV2) /)
    }
  })
})
