import { join } from 'node:path'
import { build, type Metafile } from 'esbuild'
import { beforeAll, describe, expect, it } from 'vitest'
import { buildOptions, functionSources } from '../../infra/bundle.ts'
import { type FunctionName, functionNames } from '../../lib/platform/names.ts'

/**
 * Thousands of bytes that a module may have: some tenth more than it had when it was last raised. A cold start
 * reads and compiles all of it. That of profiles is a promise of the product.
 */
const budgets: Record<FunctionName, number> = {
  profiles: 1000,
  imports: 1070,
  exports: 1080,
  system: 830,
  keys: 560,
  facets: 520,
  migrate: 550,
  split: 1010,
  insert: 1030,
  finish: 1060,
  remove: 710,
  export: 780,
  'dead-letters': 610,
  sweep: 1020,
  operations: 910,
  enrich: 190,
  candidates: 1250,
  interviews: 2550,
  webhooks: 1380,
  'apply-event': 1100,
  assess: 770,
  'send-email': 750,
  'read-resume': 1130,
  gemini: 1060,
  mailer: 690,
  livekit: 790,
}

type Output = Metafile['outputs'][string]

/** The same of what a function starts as a program of its own. */
const programBudgets: Record<string, number> = { 'read-resume/reader.mjs': 2700 }

/** Bytes of an output by what they come from: an npm package, or a folder of ours. The largest first. */
function weights({ inputs }: Output): [origin: string, bytes: number][] {
  const bytes = new Map<string, number>()
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const origin =
      /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? path.split('/').slice(0, 2).join('/')
    bytes.set(origin, (bytes.get(origin) ?? 0) + bytesInOutput)
  }
  return [...bytes].sort(([, a], [, b]) => b - a)
}

/** Nothing, or a sentence with the origins that weigh most. */
function excess(name: string, output: Output, budget: number): string | undefined {
  if (output.bytes <= budget * 1000) return undefined
  const origins = weights(output).slice(0, 10)
  const listed = origins.map(([origin, bytes]) => `  ${Math.ceil(bytes / 1000)} KB ${origin}`)
  return [
    `${name} has ${Math.ceil(output.bytes / 1000)} KB, its budget is ${budget} KB. Most of it:`,
    ...listed,
  ].join('\n')
}

describe('the bundle of each function', () => {
  const outputs = new Map<string, Output>()

  beforeAll(async () => {
    const options = buildOptions(join(import.meta.dirname, 'never-written'), functionSources())
    const { metafile } = await build({ ...options, metafile: true })
    for (const [path, output] of Object.entries(metafile.outputs)) {
      const [name = '', file = ''] = path.split('/').slice(-2)
      outputs.set(file === 'index.mjs' ? name : `${name}/${file}`, output)
    }
  })

  it.each(functionNames)('%s stays within its budget', (name) => {
    expect(excess(name, outputs.get(name)!, budgets[name])).toBeUndefined()
  })

  it.each(Object.entries(programBudgets))('%s stays within its budget, too', (name, budget) => {
    expect(excess(name, outputs.get(name)!, budget)).toBeUndefined()
    expect([...outputs.keys()].filter((each) => each.includes('/'))).toEqual(Object.keys(programBudgets))
  })

  it('of profiles is at most a megabyte', () => {
    expect(budgets.profiles).toBeLessThanOrEqual(1000)
  })

  it('that is too large is told with what weighs most in it', () => {
    const told = excess('facets', outputs.get('facets')!, 1)?.split('\n')
    expect(told?.[0]).toMatch(/^facets has \d+ KB, its budget is 1 KB/)
    expect(told).toContainEqual(expect.stringMatching(/KB postgres$/))
    expect(told?.length).toBeGreaterThan(5)
  })

  it('has a budget that fits it, so that what comes in is seen', () => {
    const loose = functionNames.filter((name) => outputs.get(name)!.bytes * 1.5 < budgets[name] * 1000)
    expect(loose).toEqual([])
  })
})
