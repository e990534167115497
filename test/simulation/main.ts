import { readFile, writeFile } from 'node:fs/promises'
import { Command } from 'commander'
import { replaceSection } from '../bench/report.ts'
import { inRun, say } from '../bench/run.ts'
import { stageWith } from '../infra/synthesis.ts'
import { type Kept, missed, readCalibration, saveCalibration, tolerance } from './calibration.ts'
import { calibrateAndCheck } from './predict.ts'
import { sections } from './report.ts'
import { countStanding } from './standing.ts'

const page = new URL('../../docs/scaling.md', import.meta.url)

const program = new Command('simulate')
  .description(
    'Measure what a slice and a query cost, predict imports, and say what the product costs and bears',
  )
  .option('--offline', 'measure nothing: take what the last saved run measured')
  .option('--save', 'keep the measurements beside the program, and the figures in docs/scaling.md')
  .action(async ({ offline, save }: { offline?: true; save?: true }) => {
    const kept = offline ? await readCalibration() : await measure()
    const stage = stageWith({ stage: 'prod' })
    const texts = sections({ kept, stage, standing: await countStanding('prod') })
    for (const [name, text] of texts) say(`\n## ${name}\n\n${text}`)
    if (save) {
      await saveCalibration(kept)
      let written = await readFile(page, 'utf8')
      for (const [name, text] of texts) written = replaceSection(written, name, text)
      await writeFile(page, written)
    }
    const far = kept.checks.filter((check) => Math.abs(missed(check)) > tolerance)
    if (far.length === 0) return
    say(`\n${far.length} of ${kept.checks.length} predictions are off by more than ${tolerance * 100} %`)
    process.exitCode = 1
  })

async function measure(): Promise<Kept> {
  let kept: Kept | undefined
  await inRun(false, async (run) => {
    kept = await calibrateAndCheck(run, say)
  })
  return kept!
}

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
}
