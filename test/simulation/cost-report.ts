import type { Stage } from '../../infra/stage.ts'
import { figure, table } from '../bench/report.ts'
import type { Kept } from './calibration.ts'
import { importUsage, interviewUsage, queryUsage } from './costs.ts'
import { measuredInterviews } from './interviewing.ts'
import { base, memory } from './loads.ts'
import { bill, type PriceName, prices, type Usage } from './prices.ts'
import { cacheUsage, idleUsage, type Standing, waysOut } from './standing.ts'

/** All that the figures are computed from. */
export type Facts = { kept: Kept; stage: Stage; standing: Standing }

const dollars = (amount: number) => `$${figure(amount, amount < 0.1 ? 3 : amount < 1000 ? 2 : 0)}`

const names: Partial<Record<PriceName, string>> = {
  lambdaSecond: 'Lambda time',
  lambdaRequest: 'invocations',
  gatewayRequest: 'gateway',
  transferOut: 'transfer',
  capacityHour: 'Aurora capacity',
  auroraStorage: 'Aurora storage',
  auroraRequest: 'Aurora I/O',
  storage: 'S3',
  storagePut: 'S3 PUT',
  queueRequest: 'SQS',
  logBytes: 'logs',
  endpointHour: 'endpoints',
  metric: 'metrics',
  alarm: 'alarms',
  dashboard: 'dashboards',
  cdnRequest: 'CloudFront requests',
  cdnTransfer: 'CloudFront transfer',
  firewallRequest: 'firewall',
  firewallRule: 'firewall rules',
  modelInput: 'Gemini, in',
  modelOutput: 'Gemini, out',
  email: 'e-mails',
  valkeyHour: 'Valkey',
}

function costLine(name: string, usage: Usage): string[] {
  const { total, lines } = bill(usage)
  const shown = lines.slice(0, 5).map(([price, amount]) => `${names[price] ?? price} ${dollars(amount)}`)
  return [name, dollars(total), shown.join(', ')]
}

export function costSection({ kept: { calibration }, stage, standing }: Facts): string {
  const million = (cost: typeof calibration.fresh, edge: boolean) =>
    queryUsage(cost, 1e6, memory.profiles, edge)
  const { fresh, cached } = calibration
  const rows = figure(base.rowsPerImport)
  return table(
    ['what', 'costs', 'the most of it'],
    [
      costLine('a million queries, none from the cache, through CloudFront', million(fresh, true)),
      costLine('the same, to the gateway directly', million(fresh, false)),
      costLine('a million queries from the cache, through CloudFront', million(cached, true)),
      costLine('the same, to the gateway directly', million(cached, false)),
      costLine(
        `an import of ${rows} rows, kept for a month, its file for ${stage.uploadRetentionDays} days`,
        importUsage(calibration, base.rowsPerImport, memory.insert, stage.uploadRetentionDays),
      ),
      costLine(
        'a thousand interviews',
        interviewUsage(1000, memory.interviews, measuredInterviews.eventSeconds),
      ),
      costLine('an idle month of prod', idleUsage(standing, stage)),
      costLine('the shared cache, where it is on, an idle month', cacheUsage),
    ],
  )
}

export function networkSection({ endpoints }: Standing): string {
  const [two, three] = [waysOut(endpoints, 2), waysOut(endpoints, 3)]
  const ours = (zones: typeof two) => zones[0]!
  const turn = (zones: typeof two, index: number) => {
    const way = zones[index]!
    const saved = bill(ours(zones).standing).total - bill(way.standing).total
    if (index === 0) return '-'
    if (saved <= 0) return 'never'
    return `below ${figure(saved / (bill(way.perGigabyte).total - bill(ours(zones).perGigabyte).total))} GB a month`
  }
  return table(
    [
      'way out',
      'two zones, a month',
      'three zones',
      'each GB',
      'cheaper than ours, two zones',
      'three zones',
    ],
    two.map((way, index) => [
      way.name,
      dollars(bill(way.standing).total),
      dollars(bill(three[index]!.standing).total),
      dollars(bill(way.perGigabyte).total),
      turn(two, index),
      turn(three, index),
    ]),
  )
}

/** What a month at so many times the base costs where all of it is served. */
export function monthly({ kept: { calibration }, stage, standing }: Facts, times: number): number {
  const hours = base.hoursPerDay * base.daysPerMonth
  const queries = base.queriesPerSecond * 3600 * hours * times
  const edge = stage.web === 'cloudfront'
  const interviews = base.interviewsPerDay * base.daysPerMonth * times
  const usages = [
    queryUsage(calibration.cached, queries * base.cachedShare, memory.profiles, edge),
    queryUsage(calibration.fresh, queries * (1 - base.cachedShare), memory.profiles, edge),
    importUsage(
      calibration,
      base.rowsPerImport * base.importsPerMonth * times,
      memory.insert,
      stage.uploadRetentionDays,
    ),
    interviewUsage(interviews, memory.interviews, measuredInterviews.eventSeconds),
  ]
  const hoursNeeded = usages.reduce((sum, { capacityHour = 0 }) => sum + capacityHour, 0)
  // What the smallest capacity bears anyway, in the hours of work.
  const borne = (1 + stage.aurora.readers) * stage.aurora.minCapacity * hours
  const rest = usages.map(({ capacityHour: _, ...usage }) => bill(usage).total)
  const capacity = bill({ capacityHour: Math.max(0, hoursNeeded - borne) }).total
  return bill(idleUsage(standing, stage)).total + capacity + rest.reduce((sum, one) => sum + one, 0)
}

/** Every price, in a part of the page that is closed. */
export function priceSection(): string {
  const lines = Object.values(prices).map(({ dollars: each, unit, source }) =>
    each < 0.001
      ? [`a million: ${unit}`, `$${figure(each * 1e6, 4)}`, source]
      : [unit, `$${figure(each, 3)}`, source],
  )
  return `<details><summary>Price list, us-east-1, 2026-11</summary>

${table(['what', 'price', 'compared with'], lines)}

</details>`
}
