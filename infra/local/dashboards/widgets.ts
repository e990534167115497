import * as z from 'zod'
import type { Metrics } from '../metrics.ts'
import { answersOf, type Query } from './queries.ts'

/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html */
const lineOptions = z.object({
  id: z.string().optional(),
  label: z.string().optional(),
  visible: z.boolean().default(true),
  expression: z.string().optional(),
  period: z.number().optional(),
  stat: z.string().optional(),
  yAxis: z.enum(['left', 'right']).default('left'),
})
const limits = z.object({ min: z.number().optional(), max: z.number().optional() })
const place = { x: z.number(), y: z.number(), width: z.number(), height: z.number() }
const metricWidget = z.object({
  ...place,
  type: z.literal('metric'),
  properties: z.object({
    title: z.string().default(''),
    metrics: z.array(z.array(z.union([z.string(), lineOptions]))),
    period: z.number().default(300),
    stat: z.string().default('Average'),
    yAxis: z.object({ left: limits.default({}), right: limits.default({}) }).prefault({}),
  }),
})
const anyWidget = z.object({ ...place, type: z.string() })
const bodySchema = z.object({ widgets: z.array(z.union([metricWidget, anyWidget])) })

export type DrawnSeries = { label: string; axis: 'left' | 'right'; values: (number | null)[] }

export type DrawnWidget = {
  title: string
  x: number
  y: number
  width: number
  height: number
  limits: { left: z.infer<typeof limits>; right: z.infer<typeof limits> }
  /** Unix seconds, for all series. */
  times: number[]
  series: DrawnSeries[]
  /** Metrics that nothing measures on this machine. */
  withoutSource: string[]
  /** What the local cloud does not know how to draw. */
  unknown: string[]
}

/** The widgets of a dashboard's body over the time from `from` until `to`, in Unix milliseconds. */
export function drawWidgets(body: unknown, from: number, to: number, metrics: Metrics): DrawnWidget[] {
  return bodySchema.parse(body).widgets.map((widget) => {
    const { x, y, width, height } = widget
    const empty = { x, y, width, height, times: [], series: [], withoutSource: [], unknown: [] }
    if (!('properties' in widget)) {
      const unknown = [`widgets of the type ${widget.type} are not known here`]
      return { ...empty, title: widget.type, limits: { left: {}, right: {} }, unknown }
    }
    const { title, yAxis } = widget.properties
    return { ...empty, title, limits: yAxis, ...draw(linesOf(widget.properties), from, to, metrics) }
  })
}

type Line = Query & { axis: 'left' | 'right' }
type WidgetProperties = z.infer<typeof metricWidget>['properties']

function linesOf({ metrics, period, stat }: WidgetProperties): Line[] {
  return metrics.map((entry) => {
    const texts = entry.filter((part) => typeof part === 'string')
    const options = lineOptions.parse(entry.find((part) => typeof part !== 'string') ?? {})
    const { id, label, visible, expression, yAxis: axis } = options
    const line = { id, label, visible, axis }
    if (expression !== undefined) return { ...line, expression }
    const [namespace = '', metric = '', ...pairs] = texts
    const dimensions: Record<string, string> = {}
    for (let at = 0; at < pairs.length; at += 2) dimensions[pairs[at]!] = pairs[at + 1] ?? ''
    const measure = { statistic: options.stat ?? stat, periodSeconds: options.period ?? period }
    return { ...line, namespace, metric, dimensions, ...measure }
  })
}

function draw(lines: Line[], from: number, to: number, metrics: Metrics) {
  const drawn: { label: string; axis: 'left' | 'right'; points: ReadonlyMap<number, number> }[] = []
  const withoutSource = new Set<string>()
  const unknown = new Set<string>()
  for (const { query, result } of answersOf(lines, { from, to, shiftMs: 0 }, metrics)) {
    if (result.kind === 'without source') withoutSource.add(result.metric)
    else if (result.kind === 'unknown') unknown.add(result.reason)
    else for (const series of result.series) drawn.push({ ...series, axis: (query as Line).axis })
  }
  const times = [...new Set(drawn.flatMap(({ points }) => [...points.keys()]))].sort((a, b) => a - b)
  return {
    times: times.map((time) => time / 1000),
    series: drawn.map(({ label, axis, points }) => ({
      label,
      axis,
      values: times.map((time) => points.get(time) ?? null),
    })),
    withoutSource: [...withoutSource],
    unknown: [...unknown],
  }
}
