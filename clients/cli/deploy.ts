import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import * as z from 'zod'
import { run } from './run.ts'
import { smokeTest } from './smoke.ts'
import {
  type Context,
  cdk,
  contextOf,
  contextOption,
  identity,
  identityCommand,
  root,
  type Shell,
  type StageName,
  shell,
  stageArgument,
  typed,
} from './stages.ts'

/** Seconds in which a new deployment may start: the database, and an environment of each function. */
const patience = 120

/** What the CDK writes: the outputs of each stack. */
const outputsSchema = z.record(z.string(), z.record(z.string(), z.string()))
type Outputs = z.output<typeof outputsSchema>

const secretSchema = z.object({
  Description: z.string().default(''),
  VersionIdsToStages: z.record(z.string(), z.unknown()).default({}),
})

export type DeployOptions = {
  context?: Context
  /** Prints the commands, and calls nothing of AWS. */
  dryRun?: boolean
  /** Prints what would change. */
  diff?: boolean
  /** Does not ask about changes of permissions. */
  yes?: boolean
}

export type DeployTools = {
  shell: Shell
  write(text: string): void
  /** Where the files of the stages and the CDK's output are. */
  folder: string
  smoke: typeof smokeTest
}

const outputsFile = (stage: StageName) => `cdk.out/outputs-${stage}.json`
const describeSecret = (name: string) => [
  ...['aws', 'secretsmanager', 'describe-secret', '--secret-id', name],
  ...['--output', 'json'],
]

/**
 * Deploys every stack of a stage in their order, asks the new API whether it works, and writes what is left to
 * do. Rejects before anything is changed where a value of the context or the credentials are missing, and where
 * the deployment or a check fails.
 */
export async function deploy(stage: StageName, options: DeployOptions, tools: DeployTools): Promise<void> {
  const { dryRun = false, diff = false, yes = false } = options
  const { shell: at, write, folder } = tools
  const context = await contextOf(stage, options.context ?? {}, folder)
  const deployment = cdk(
    [
      ...['deploy', '--all', '--outputs-file', outputsFile(stage)],
      ...(yes ? ['--require-approval', 'never'] : []),
    ],
    context,
  )
  // Compared with the deployed templates alone: a change set would need the right to make one.
  const difference = cdk(['diff', '--method', 'template'], context)
  if (dryRun) {
    write(await plan(stage, diff ? [difference] : [deployment], context, at))
    return
  }
  const { account, arn } = await identity(at)
  // Without whose account it is: this is what a comment on a pull request holds.
  if (diff) return at.run(difference)
  write(`${stage} in the account ${account}, as ${arn}\n`)
  await at.run(deployment)
  const outputs = outputsSchema.parse(JSON.parse(await readFile(join(folder, outputsFile(stage)), 'utf8')))
  const url = outputOf(outputs, `Insighta-${stage}-api`, 'ApiUrl')
  await tools.smoke(url, { key: process.env.INSIGHTA_API_KEY || undefined, patience, write })
  write(await nextSteps(stage, outputs, url, at))
}

async function plan(
  stage: StageName,
  commands: readonly string[][],
  context: Context,
  at: Shell,
): Promise<string> {
  // Synthesised for it: what is wrong with the context shows here, without an account.
  const stacks = (await at.read(cdk(['list'], context))).trim().split('\n')
  const lines = [identityCommand, ...commands].map(typed)
  const smoke = `npm run smoke -- <ApiUrl> --patience ${patience}`
  return `${[`The plan for ${stage}; nothing is called.`, '', ...lines, smoke, '', 'Stacks, in this order:', ...stacks].join('\n')}\n`
}

function outputOf(outputs: Outputs, stack: string, name: string): string {
  const value = outputs[stack]?.[name]
  if (value === undefined) throw new Error(`The stack ${stack} has no output ${name}`)
  return value
}

async function nextSteps(stage: StageName, outputs: Outputs, url: string, at: Shell): Promise<string> {
  const names = Object.values(outputs).flatMap((stack) =>
    Object.entries(stack).flatMap(([name, value]) => (name.endsWith('SecretName') ? [value] : [])),
  )
  const empty = (await Promise.all(names.map((name) => commandToFill(name, at)))).filter(
    (line) => line !== '',
  )
  const keys = outputOf(outputs, `Insighta-${stage}-api`, 'KeysFunctionName')
  const lines = [
    '',
    `The API: ${url}/api (its description: ${url}/api/docs)`,
    ...(empty.length > 0
      ? ['', 'Secrets that nobody has filled in; until then what needs them is refused:']
      : []),
    ...empty,
    '',
    'A key, shown this once:',
    typed(
      `npm run keys -- --function ${keys} create --role admin --team operations --label first`.split(' '),
    ),
  ]
  return `${lines.join('\n')}\n`
}

/**
 * The command that fills a secret, or an empty text for one that has been filled: it has a second version then.
 * Its value is not read, so that whoever deploys needs no right to.
 */
async function commandToFill(name: string, at: Shell): Promise<string> {
  const { Description, VersionIdsToStages } = secretSchema.parse(
    JSON.parse(await at.read(describeSecret(name))),
  )
  if (Object.keys(VersionIdsToStages).length > 1) return ''
  const fields = Description.replace(/^JSON with /, '').split(', ')
  const value = JSON.stringify(Object.fromEntries(fields.map((field) => [field, '...'])))
  return typed(['aws', 'secretsmanager', 'put-secret-value', '--secret-id', name, '--secret-string', value])
}

/** The command line `deploy <stage>`. */
export function deployProgram(tools: DeployTools): Command {
  return new Command('deploy')
    .description('Deploy a stage to AWS, ask it whether it works, and say what is left to do')
    .argument('<stage>', 'dev or prod; its context is in stages/<stage>.json', stageArgument)
    .option('-c, --context <key=value>', 'a value of the context, over that of the file', contextOption)
    .option('--dry-run', 'print the plan; calls nothing of AWS')
    .option('--diff', 'print what would change, and deploy nothing')
    .option('--yes', 'do not ask about changes of permissions')
    .action((stage: StageName, options: DeployOptions) => deploy(stage, options, tools))
}

if (import.meta.main) {
  const write = (text: string) => void process.stdout.write(text)
  await run(deployProgram({ shell, write, folder: root, smoke: smokeTest }))
}
