import { readFile } from 'node:fs/promises'
import type { Stage } from '../../infra/stage.ts'
import type { Usage } from './prices.ts'
import { hoursPerMonth } from './prices.ts'

/** What of a stage costs money also when nobody asks for anything, counted in its inventory. */
export type Standing = {
  alarms: number
  dashboards: number
  secrets: number
  endpoints: number
  queues: number
}

/** Counts them in test/infra/inventory/<stage>.txt, which a test holds to the templates. */
export async function countStanding(stage: Stage['name']): Promise<Standing> {
  const text = await readFile(new URL(`../infra/inventory/${stage}.txt`, import.meta.url), 'utf8')
  const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0
  return {
    alarms: count(/ AWS::CloudWatch::Alarm\b/g),
    dashboards: count(/ AWS::CloudWatch::Dashboard\b/g),
    secrets: count(/ AWS::SecretsManager::Secret\b/g),
    // That of S3 is a route and free.
    endpoints: count(/ AWS::EC2::VPCEndpoint\b.*(?<!\.s3)$/gm),
    queues: count(/ AWS::SQS::Queue\b/g),
  }
}

/** Assumed of a month in which nothing happens. */
export const idle = {
  zones: 2,
  /** Receives of an idle queue in an hour: five pollers that wait 20 s each. */
  pollsPerHour: 5 * 180,
  /** Series of our own metrics that had a value in the month. */
  metrics: 60,
  /** Of ten million profiles and all else. */
  gigabytes: 10,
  firewallRules: 5,
  /** Of the sweep, once a minute. */
  sweepSeconds: 0.1,
  logBytesPerInvocation: 1500,
} as const

/** A month in which nobody asks for anything. */
export function idleUsage(standing: Standing, { aurora, web }: Stage): Usage {
  const { alarms, dashboards, secrets, endpoints, queues } = standing
  const sweeps = 60 * hoursPerMonth
  return {
    capacityHour: (1 + aurora.readers) * aurora.minCapacity * hoursPerMonth,
    auroraStorage: idle.gigabytes,
    endpointHour: endpoints * idle.zones * hoursPerMonth,
    alarm: alarms,
    dashboard: dashboards,
    secret: secrets,
    metric: idle.metrics,
    queueRequest: queues * idle.pollsPerHour * hoursPerMonth,
    lambdaRequest: sweeps,
    lambdaSecond: sweeps * idle.sweepSeconds * 0.5,
    logBytes: (sweeps * idle.logBytesPerInvocation) / 1e9,
    ...(web === 'cloudfront' && { firewallList: 1, firewallRule: idle.firewallRules }),
  }
}

/** The shared cache, with the least that is charged for. */
export const cacheUsage: Usage = { valkeyHour: 0.1 * hoursPerMonth }

export type WayOut = { name: string; standing: Usage; perGigabyte: Usage }

/** How functions in the network reach SQS, Secrets Manager and Lambda: a month of it, and each GB. */
export function waysOut(endpoints: number, zones: number): WayOut[] {
  const hours = hoursPerMonth
  return [
    {
      name: `${endpoints} interface endpoints`,
      standing: { endpointHour: endpoints * zones * hours },
      perGigabyte: { endpointTraffic: 1 },
    },
    { name: 'a NAT gateway a zone', standing: { natHour: zones * hours }, perGigabyte: { natTraffic: 1 } },
    { name: 'one NAT gateway', standing: { natHour: hours }, perGigabyte: { natTraffic: 1 } },
  ]
}
