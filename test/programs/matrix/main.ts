import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { type Combination, describeCombination, runCombination } from './combination.ts'
import { renderTable } from './table.ts'
import { openWorkshop } from './workshop.ts'

/** Node and npm as newcomers have them: the oldest and the newest of each that still go together. */
const combinations: Combination[] = [
  { node: '20', npm: '10.9', noScripts: true },
  { node: '20', npm: '11.19' },
  { node: '22.18', npm: '10.9' },
  { node: '22', npm: 'latest' },
  { node: '24', npm: '11.6' },
  { node: '24', npm: '11.15' },
  { node: '26', npm: 'latest', asRoot: true },
]

const program = new Command('test:matrix')
  .description(
    'Runs the first lines of the README as a newcomer does: with several versions of Node and npm from the registry, without a compiler, as a user who is not root',
  )
  .option('--only <node/npm...>', 'these combinations instead, such as 20/10.9')
  .option('--tests', 'npm test too, in each')
  .option('--quick', 'the first combination alone')
  .parse()

const {
  only,
  tests = false,
  quick = false,
} = program.opts<{ only?: string[]; tests?: boolean; quick?: boolean }>()

function chosen(): Combination[] {
  if (quick) return combinations.slice(0, 1)
  return (
    only?.map((pair) => {
      const [node, npm] = pair.split('/')
      if (!node || !npm) throw new Error(`${pair} must be <node>/<npm>, such as 20/10.9`)
      return { node, npm }
    }) ?? combinations
  )
}

const folder = await mkdtemp(join(tmpdir(), 'insighta-matrix-'))
try {
  const workshop = await openWorkshop(folder)
  const results = []
  for (const combination of chosen()) {
    const result = await runCombination(workshop, combination, { tests })
    results.push(result)
    const faults = result.faults.map((fault) => `\n  ${fault.replaceAll('\n', '\n  ')}`).join('')
    console.log(
      `${result.faults.length === 0 ? 'ok    ' : 'FAILED'} ${describeCombination(combination)}${faults}`,
    )
  }
  console.log(`\n${renderTable(results)}`)
  if (results.some(({ faults }) => faults.length > 0)) process.exitCode = 1
} finally {
  await rm(folder, { recursive: true, force: true })
}
