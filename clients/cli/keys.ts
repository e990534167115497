import { Command, InvalidArgumentError } from 'commander'
import { invoke } from './invoke.ts'
import { run } from './run.ts'

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.')
  return value
}

const collect = (text: string, before: string[] = []) => [...before, text]

type Limit = number | 'none'

function limit(text: string): Limit {
  return text === 'none' ? text : positive(text)
}

/** As the function takes it. Not in the parser: of an option's null commander makes an empty text. */
function rateLimitOf(value: Limit | undefined): number | null | undefined {
  return value === 'none' ? null : value
}

/** The command line `keys create|list|limit|reset|revoke`. Answers are written to `write` as JSON. */
export function keysProgram(write: (text: string) => void): Command {
  const program = new Command('keys')
    .description(
      'Create, list, limit, replace and revoke access keys, on the local cloud or (--function) on AWS',
    )
    .option(
      '--function <name>',
      'the keys function on AWS; its credentials and region as the AWS CLI finds them',
    )
  const perform = async (payload: object) => {
    const { status: _, ...answer } = await invoke(program.opts().function, 'keys_function', payload)
    write(`${JSON.stringify(answer, null, 2)}\n`)
  }
  program
    .command('create')
    .description('make a key and show it, this once')
    .requiredOption(
      '--role <role>',
      'admin, operator, recruiter or analyst; several times for several',
      collect,
    )
    .requiredOption('--team <name>', 'the team it belongs to, made where it is new')
    .requiredOption('--label <text>', 'what it is for')
    .option('--expires-in-days <days>', 'when it ends (default: never)', positive)
    .option('--rate-limit <number>', 'requests per minute, or none (default: 600)', limit)
    .option('--email <address>', 'of whoever is to hold it, who is told of it and not told the key')
    .action(({ role, team, label, expiresInDays, rateLimit, email }) =>
      perform({
        action: 'create',
        role: role.length === 1 ? role[0] : role,
        team,
        label,
        expires_in_days: expiresInDays,
        rate_limit: rateLimitOf(rateLimit),
        email,
      }),
    )
  program
    .command('list')
    .description('show all keys, or those of a team')
    .option('--team <name>')
    .action(({ team }) => perform({ action: 'list', team }))
  program
    .command('limit')
    .description('give a key another rate limit; it holds within a minute')
    .argument('<id>')
    .argument('<number>', 'requests per minute, or none', limit)
    .action((id: string, rateLimit: Limit) =>
      perform({ action: 'limit', id, rate_limit: rateLimitOf(rateLimit) }),
    )
  program
    .command('reset')
    .description('revoke a key and make another one of the same team, roles, label, limit and end')
    .argument('<id>')
    .option('--email <address>', 'of whoever holds it, who is told of it and not told the key')
    .action((id: string, { email }) => perform({ action: 'reset', id, email }))
  program
    .command('revoke')
    .description('end a key; it is refused within a minute')
    .argument('<id>')
    .action((id: string) => perform({ action: 'revoke', id }))
  return program
}

if (import.meta.main) {
  await run(keysProgram((text) => process.stdout.write(text)))
}
