import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { replaceSection } from '../bench/report.ts'
import { stageWith } from '../infra/synthesis.ts'
import { readCalibration } from './calibration.ts'
import { readProcessorTime, usedSince } from './processor-time.ts'
import { sections } from './report.ts'
import { countStanding } from './standing.ts'

describe('docs/scaling.md', () => {
  it('holds what `npm run simulate -- --offline --save` writes', async () => {
    const page = await readFile(new URL('../../docs/scaling.md', import.meta.url), 'utf8')
    const stage = stageWith({ stage: 'prod' })
    const texts = sections({ kept: await readCalibration(), stage, standing: await countStanding('prod') })
    expect(texts.size).toBeGreaterThan(4)
    for (const [name, text] of texts) expect(replaceSection(page, name, text)).toBe(page)
  })
})

describe('the inventory', () => {
  it('tells what stands in prod', async () => {
    const { endpoints, secrets, queues, alarms, dashboards } = await countStanding('prod')
    expect(endpoints).toBe(3)
    expect(secrets).toBeGreaterThan(3)
    // Each with its dead letters.
    expect(queues % 2).toBe(0)
    expect(Math.min(queues, alarms, dashboards)).toBeGreaterThan(3)
  })
})

describe.skipIf(process.platform !== 'linux')('the processor time', () => {
  it('of this process is that which Node tells', async () => {
    const [reading, before] = [await readProcessorTime(), process.cpuUsage()]
    while (process.cpuUsage(before).user < 200_000) JSON.stringify([...Array(1000).keys()])
    const used = await usedSince(reading)
    const { user, system } = process.cpuUsage(before)
    expect(used.get('cloud')).toBeGreaterThan(0.15)
    expect(used.get('cloud')).toBeLessThan((user + system) / 1e6 + 0.05)
  })
})
