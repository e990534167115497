import { InvokeCommand, LambdaClient, type LambdaClientConfig } from '@aws-sdk/client-lambda'
import { Command, InvalidArgumentError } from 'commander'
import { localCredentials } from './credentials.ts'

type Answer = { status: string; message?: string; [field: string]: unknown }
type Target = { functionName: string; config: LambdaClientConfig }

/** The local cloud's keys function, as its credentials file names it. */
async function localTarget(): Promise<Target> {
  const { aws, keys_function } = await localCredentials()
  return {
    functionName: keys_function,
    config: {
      endpoint: aws.endpoint_lambda,
      region: aws.region,
      credentials: { accessKeyId: aws.access_key_id, secretAccessKey: aws.secret_access_key },
    },
  }
}

async function invoke(functionName: string | undefined, payload: object): Promise<Answer> {
  const target = functionName ? { functionName, config: {} } : await localTarget()
  const client = new LambdaClient(target.config)
  try {
    const { FunctionError, Payload } = await client.send(
      new InvokeCommand({ FunctionName: target.functionName, Payload: JSON.stringify(payload) }),
    )
    const text = Payload?.transformToString() ?? ''
    if (FunctionError) throw new Error(`${target.functionName} failed: ${text}`)
    const answer: Answer = JSON.parse(text)
    if (answer.status !== 'success') throw new Error(answer.message ?? text)
    return answer
  } finally {
    client.destroy()
  }
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.')
  return value
}

/** The command line `keys create|list|revoke`. Answers are written to `write` as JSON. */
export function keysProgram(write: (text: string) => void): Command {
  const program = new Command('keys')
    .description('Create, list and revoke access keys, on the local cloud or (--function) on AWS')
    .option(
      '--function <name>',
      'the keys function on AWS; its credentials and region as the AWS CLI finds them',
    )
  const perform = async (payload: object) => {
    const { status: _, ...answer } = await invoke(program.opts().function, payload)
    write(`${JSON.stringify(answer, null, 2)}\n`)
  }
  program
    .command('create')
    .description('make a key and show it, this once')
    .requiredOption('--role <role>', 'admin, analyst or recruiter')
    .requiredOption('--team <name>', 'the team it belongs to, made where it is new')
    .requiredOption('--label <text>', 'what it is for')
    .option('--expires-in-days <days>', 'when it ends (default: never)', positive)
    .option('--rate-limit <number>', 'requests per minute (default: no limit)', positive)
    .action(({ role, team, label, expiresInDays, rateLimit }) =>
      perform({ action: 'create', role, team, label, expires_in_days: expiresInDays, rate_limit: rateLimit }),
    )
  program
    .command('list')
    .description('show all keys, or those of a team')
    .option('--team <name>')
    .action(({ team }) => perform({ action: 'list', team }))
  program
    .command('revoke')
    .description('end a key; it is refused within a minute')
    .argument('<id>')
    .action((id: string) => perform({ action: 'revoke', id }))
  return program
}

if (import.meta.main) {
  try {
    await keysProgram((text) => process.stdout.write(text)).parseAsync()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
  }
}
