import { describe, expect, it } from 'vitest'
import { stageWith } from '../infra/synthesis.ts'
import type { QueryCost } from './calibration.ts'
import { capacityHours, queryUsage, secondsOnAws } from './costs.ts'
import { unitsFor } from './loads.ts'
import { bill, prices } from './prices.ts'
import { idleUsage, waysOut } from './standing.ts'

describe('a bill', () => {
  it('is the sum of amounts times prices, the greatest first', () => {
    const { total, lines } = bill({ lambdaRequest: 5e6, capacityHour: 100, gatewayRequest: 2e6 })
    expect(total).toBeCloseTo(5 * 0.2 + 100 * 0.12 + 2 * 1)
    expect(lines.map(([name]) => name)).toEqual(['capacityHour', 'gatewayRequest', 'lambdaRequest'])
  })

  it('has a unit and a source for every price', () => {
    for (const { dollars, unit, source } of Object.values(prices)) {
      expect(dollars).toBeGreaterThan(0)
      expect(unit).not.toBe('')
      expect(source).toMatch(/^(?:unverified|[\w.-]+, 2026)$/)
    }
  })
})

describe('a million queries', () => {
  const cost: QueryCost = {
    function: 0.005,
    database: 0.002,
    services: 0.01,
    seconds: 0.008,
    responseBytes: 3000,
    logBytes: 1500,
  }

  it('cost what they cost by hand', () => {
    // 512 MiB are 0.2894 of a core: 5 ms of work take 17.28 ms there, and 3 ms are waited for as here.
    const seconds = 0.005 / (512 / 1769) + 0.003
    expect(secondsOnAws(cost, 512)).toBeCloseTo(seconds)
    // A gateway request and an invocation each, half a GB for that time, 3 GB out, 1.5 GB of logs, and 2,000
    // core-seconds of a database whose unit has a quarter of a core and bears 70 %.
    const byHand =
      1 + 0.2 + 1e6 * seconds * 0.5 * 0.0000133334 + 3 * 0.09 + 1.5 * 0.5 + (2000 / 0.175 / 3600) * 0.12
    expect(bill(queryUsage(cost, 1e6, 512)).total).toBeCloseTo(byHand)
  })

  it('cost requests of CloudFront and its firewall beside it, and its price of what goes out', () => {
    const [through, directly] = [true, false].map((edge) => bill(queryUsage(cost, 1e6, 512, edge)).total)
    expect(through! - directly!).toBeCloseTo(1 + 0.6 + 3 * (0.085 - 0.09))
  })
})

describe('capacity', () => {
  it('follows the work: an hour of a core is four units, used to seven tenths', () => {
    expect(capacityHours(3600)).toBeCloseTo(4 / 0.7)
    expect(unitsFor(1)).toBe(6)
    expect(unitsFor(0.1)).toBe(1)
  })
})

describe('an idle month', () => {
  it('has the smallest capacity of the writer and of each reader', () => {
    const standing = { alarms: 10, dashboards: 4, secrets: 5, endpoints: 3, queues: 18 }
    const usage = idleUsage(standing, stageWith({ stage: 'prod' }))
    expect(usage.capacityHour).toBe(2 * 2 * 730)
    expect(usage.endpointHour).toBe(3 * 2 * 730)
    expect(usage.alarm).toBe(10)
  })

  it('has endpoints that are dearer than one gateway until 313 GB go through them', () => {
    const [endpoints, each, one] = waysOut(3, 2)
    const month = ({ standing, perGigabyte }: typeof endpoints & object, gigabytes: number) =>
      bill(standing).total + gigabytes * bill(perGigabyte).total
    expect(month(endpoints!, 312)).toBeGreaterThan(month(one!, 312))
    expect(month(endpoints!, 313)).toBeLessThan(month(one!, 313))
    expect(month(endpoints!, 0)).toBeLessThan(month(each!, 0))
  })
})
