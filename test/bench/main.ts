import { Command } from 'commander'
import { importBench } from './import.ts'
import { interviewBench } from './interviews.ts'
import { queryBench } from './query.ts'

const program = new Command('bench')
  .description('Measure this product against others, all in one run on this machine')
  .addCommand(importBench())
  .addCommand(queryBench())
  .addCommand(interviewBench())

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
}
