import { Command } from 'commander'
import { invoke } from './invoke.ts'
import { run } from './run.ts'

/**
 * The command line `facets verify|rebuild`. Answers are written to `write` as JSON. Its actions reject where
 * the facets are wrong, so that a script can tell.
 */
export function facetsProgram(write: (text: string) => void): Command {
  const program = new Command('facets')
    .description('Compare the counts behind totals with the profiles, or count anew')
    .option(
      '--function <name>',
      'the facets function on AWS; its credentials and region as the AWS CLI finds them',
    )
  const perform = async (action: 'verify' | 'rebuild') => {
    const { status: _, ...answer } = await invoke(program.opts().function, 'facets_function', { action })
    write(`${JSON.stringify(answer, null, 2)}\n`)
    if (answer.differences !== 0) throw new Error('The facets differ from the profiles')
  }
  program
    .command('verify')
    .description('compare with a full count; takes seconds per ten million profiles and blocks nobody')
    .action(() => perform('verify'))
  program
    .command('rebuild')
    .description('count every profile anew; imports wait meanwhile, queries do not')
    .action(() => perform('rebuild'))
  return program
}

if (import.meta.main) {
  await run(facetsProgram((text) => process.stdout.write(text)))
}
