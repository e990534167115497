import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import * as z from 'zod'
import { isFirst } from './first-deployment.ts'
import { quotaCommand, requireQuota, reservedBy } from './quota.ts'
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
/** A new distribution has to reach every edge, and its name every resolver. */
const webPatience = 600

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

const describeSecret = (name: string) => [
  ...['aws', 'secretsmanager', 'describe-secret', '--secret-id', name],
  ...['--output', 'json'],
]

/**
 * Deploys every stack of a stage in their order, asks the new API whether it works, and writes what is left to
 * do. The web stack comes after that, since it is told the API's address, and is asked the same. Rejects before
 * anything is changed where a value of the context, the credentials or the quota are missing, and where the
 * deployment or a check fails.
 */
export async function deploy(stage: StageName, options: DeployOptions, tools: DeployTools): Promise<void> {
  const { dryRun = false, diff = false } = options
  const { shell: at, write, folder } = tools
  const context = await contextOf(stage, options.context ?? {}, folder)
  // Compared with the deployed templates alone: a change set would need the right to make one.
  const difference = cdk(['diff', '--method', 'template'], context)
  if (dryRun) {
    const stacks = await stacksOf(stage, context, tools)
    const commands = diff ? [identityCommand, difference].map(typed) : steps(stage, stacks, context, options)
    write(plan(stage, stacks, commands))
    return
  }
  const { account, arn } = await identity(at)
  // Without whose account it is: this is what a comment on a pull request holds.
  if (diff) return at.run(difference)
  write(`${stage} in the account ${account}, as ${arn}\n`)
  const stacks = await stacksOf(stage, context, tools)
  if (stacks.reserved > 0) await requireQuota(stage, stacks.reserved, at)
  const key = process.env.INSIGHTA_API_KEY || undefined
  const deployStacks = async (command: Deployment): Promise<Outputs> => {
    await at.run(command.words)
    return outputsSchema.parse(JSON.parse(await readFile(join(folder, command.outputsFile), 'utf8')))
  }

  const core = deployment(stage, stacks.core, context, options)
  // Only prod protects its data.
  if (stage === 'prod' && (await isFirst(stage, at))) core.words.push('--no-rollback')
  const outputs = await deployStacks(core)
  const url = outputOf(outputs, `Insighta-${stage}-api`, 'ApiUrl')
  await tools.smoke(url, { key, patience, write })
  if (stacks.web === undefined) return write(await nextSteps(stage, outputs, [apiLine(url)], at))
  const web = await deployStacks(webDeployment(stage, stacks.web, new URL(url).host, context, options))
  const distribution = outputOf(web, stacks.web, 'DistributionDomain')
  // Not an own domain, which may not point at it yet.
  await tools.smoke(`https://${distribution}`, { key, patience: webPatience, write })
  write(await nextSteps(stage, outputs, webLines(outputOf(web, stacks.web, 'WebUrl'), distribution), at))
}

type Stacks = { core: string[]; web: string | undefined; reserved: number }

/** Synthesised for it: what is wrong with the context shows here, without an account. */
async function stacksOf(
  stage: StageName,
  context: Context,
  { shell: at, folder }: DeployTools,
): Promise<Stacks> {
  const names = (await at.read(cdk(['list'], context))).trim().split('\n')
  const web = names.find((name) => name === `Insighta-${stage}-web`)
  return { core: names.filter((name) => name !== web), web, reserved: await reservedBy(names, folder) }
}

type Deployment = { words: string[]; outputsFile: string }

function deployment(
  name: string,
  which: readonly string[],
  context: Context,
  { yes = false }: DeployOptions,
): Deployment {
  const outputsFile = `cdk.out/outputs-${name}.json`
  const approval = yes ? ['--require-approval', 'never'] : []
  return {
    words: cdk(['deploy', ...which, '--outputs-file', outputsFile, ...approval], context),
    outputsFile,
  }
}

function webDeployment(
  stage: StageName,
  stack: string,
  apiDomain: string,
  context: Context,
  options: DeployOptions,
): Deployment {
  const which = [stack, '--exclusively', '--parameters', `${stack}:ApiDomain=${apiDomain}`]
  return deployment(`${stage}-web`, which, context, options)
}

/** The commands of a deployment, as a person would type them. */
function steps(stage: StageName, stacks: Stacks, context: Context, options: DeployOptions): string[] {
  const { core, web, reserved } = stacks
  const smoke = (url: string, seconds: number) => `npm run smoke -- ${url} --patience ${seconds}`
  return [
    typed(identityCommand),
    ...(reserved > 0 ? [typed(quotaCommand)] : []),
    typed(deployment(stage, core, context, options).words),
    smoke('<ApiUrl>', patience),
    ...(web === undefined
      ? []
      : [
          typed(webDeployment(stage, web, '<host of ApiUrl>', context, options).words),
          smoke('https://<DistributionDomain>', webPatience),
        ]),
  ]
}

function plan(stage: StageName, { core, web }: Stacks, commands: readonly string[]): string {
  const stacks = [...core, ...(web === undefined ? [] : [web])]
  return `${[`The plan for ${stage}; nothing is called.`, '', ...commands, '', 'Stacks, in this order:', ...stacks].join('\n')}\n`
}

function outputOf(outputs: Outputs, stack: string, name: string): string {
  const value = outputs[stack]?.[name]
  if (value === undefined) throw new Error(`The stack ${stack} has no output ${name}`)
  return value
}

function apiLine(url: string): string {
  return `The API: ${url}/api (its description: ${url}/api/docs)`
}

function webLines(url: string, distribution: string): string[] {
  if (url === `https://${distribution}`) return [apiLine(url)]
  return [apiLine(url), `An alias or a CNAME of ${new URL(url).host} has to point at ${distribution}`]
}

async function nextSteps(
  stage: StageName,
  outputs: Outputs,
  where: readonly string[],
  at: Shell,
): Promise<string> {
  const names = Object.values(outputs).flatMap((stack) =>
    Object.entries(stack).flatMap(([name, value]) => (name.endsWith('SecretName') ? [value] : [])),
  )
  const empty = (await Promise.all(names.map((name) => commandToFill(name, at)))).filter(
    (line) => line !== '',
  )
  const keys = outputOf(outputs, `Insighta-${stage}-api`, 'KeysFunctionName')
  const lines = [
    '',
    ...where,
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
