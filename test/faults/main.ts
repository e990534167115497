import { Command } from 'commander'
import { importFaults } from './import.ts'
import { interviewFaults } from './interviews.ts'

const program = new Command('test:faults')
  .description('Let things fail at random while work goes on, and check that nothing is lost or done twice')
  .addCommand(importFaults())
  .addCommand(interviewFaults())

try {
  await program.parseAsync()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
}
