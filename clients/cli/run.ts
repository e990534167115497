import type { Command } from 'commander'

/** Runs a command line to its end. What it rejects with is told on stderr, in one line, and ends the process with 1. */
export async function run(program: Command): Promise<void> {
  try {
    await program.parseAsync()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
  }
}
