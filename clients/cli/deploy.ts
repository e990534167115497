import { Command } from 'commander'
import {
  type DeploymentTools,
  deployCore,
  notes,
  requireNoPerson,
  runDeployment,
  withoutTerminal,
} from './deployment.ts'
import { engineOf, engineProblem } from './engine.ts'
import { lastWords, outputOf } from './last-words.ts'
import {
  commandsOf,
  namesOf,
  patience,
  planOf,
  recoveryLines,
  type Synthesised,
  webPatience,
} from './plan.ts'
import { requireQuota, reservedBy } from './quota.ts'
import { neverWhole, treatment } from './recovery.ts'
import { run } from './run.ts'
import { smokeTest } from './smoke.ts'
import { type Found, findAll, findSettled } from './stacks.ts'
import {
  type Context,
  cdk,
  contextOf,
  contextOption,
  identity,
  identityCommand,
  root,
  type StageName,
  shell,
  stackNames,
  stageArgument,
  typed,
} from './stages.ts'
import { resourcesOf } from './templates.ts'

export type DeployOptions = {
  context?: Context
  /** Prints the commands of a first deployment, and calls nothing of AWS. */
  dryRun?: boolean
  /** Prints the commands for the stacks as they stand, and changes nothing. */
  plan?: boolean
  /** Prints what would change. */
  diff?: boolean
  /** Does not ask about changes of permissions. */
  yes?: boolean
}

export type DeployTools = DeploymentTools & { smoke: typeof smokeTest }

/**
 * Deploys every stack of a stage in their order, asks the new API whether it works, and writes what is left to
 * do. What an earlier deployment left unfinished is handled first, so that the same command goes on after any
 * failure. The web stack comes last, since it is told the API's address, and is asked the same. Rejects before
 * anything is changed if a value of the context, the credentials or the quota are missing, if the region lacks
 * the database's engine, or if a stack needs a person; and if the deployment or a check fails.
 */
export async function deploy(stage: StageName, options: DeployOptions, tools: DeployTools): Promise<void> {
  const { dryRun = false, plan: planOnly = false, diff = false, yes = false } = options
  const { shell: at, write, folder, smoke } = tools
  const context = await contextOf(stage, options.context ?? {}, folder)
  // Compared with the deployed templates alone: a change set would need the right to make one.
  const difference = cdk(['diff', '--method', 'template'], context)
  if (dryRun) {
    const synthesised = await synthesise(stage, context, tools)
    const lines = diff
      ? [identityCommand, difference].map(typed)
      : rehearsal(stage, synthesised, context, yes)
    return write(text([`The plan for ${stage}; nothing is called.`, '', ...lines, ...order(synthesised)]))
  }
  const { account, arn } = await identity(at)
  // Without whose account it is: this is what a comment on a pull request holds.
  if (diff) return at.run(difference)
  write(`${stage} in the account ${account}, as ${arn}\n`)
  const synthesised = await synthesise(stage, context, tools)
  const names = namesOf(synthesised)
  if (planOnly) {
    const found = await findAll(names, at)
    const lines = planned(stage, synthesised, found, context, yes)
    return write(text(['The plan; nothing is changed.', '', ...lines, ...order(synthesised)]))
  }

  const found = await findSettled(names, tools)
  requireNoPerson(stage, found)
  if (synthesised.reserved > 0) await requireQuota(stage, synthesised.reserved, at)
  await requireEngine(synthesised, found, tools)
  if (!yes && !tools.terminal) write(`${withoutTerminal}\n`)
  const key = process.env.INSIGHTA_API_KEY || undefined
  const stacks = { stage, synthesised, context, yes }

  const { outputs, plan } = await deployCore(stacks, found, tools)
  const url = outputOf(outputs, `Insighta-${stage}-api`, 'ApiUrl')
  await smoke(url, { key, patience, write })
  if (synthesised.web === undefined || plan.web === undefined) {
    return write(await lastWords(stage, outputs, [apiLine(url)], at))
  }
  const web = await runDeployment(stacks, plan.web(new URL(url).host), tools)
  const distribution = outputOf(web, synthesised.web, 'DistributionDomain')
  // Not an own domain, which may not point at it yet.
  await smoke(`https://${distribution}`, { key, patience: webPatience, write })
  const where = webLines(outputOf(web, synthesised.web, 'WebUrl'), distribution)
  write(await lastWords(stage, { ...outputs, ...web }, where, at))
}

/** Synthesised for it: what is wrong with the context shows here, without an account. */
async function synthesise(
  stage: StageName,
  context: Context,
  { shell: at, folder }: DeployTools,
): Promise<Synthesised> {
  const names = await stackNames(context, at)
  const web = names.find((name) => name === `Insighta-${stage}-web`)
  const resources = await resourcesOf(names, folder)
  return {
    core: names.filter((name) => name !== web),
    web,
    reserved: reservedBy(resources),
    engine: engineOf(resources),
  }
}

/** Rejects if the database cannot be made in this region, and warns of one that runs on what RDS gave up. */
async function requireEngine(
  { engine }: Synthesised,
  found: readonly Found[],
  { shell: at, write }: DeployTools,
): Promise<void> {
  const problem = engine && (await engineProblem(engine, at))
  if (problem === undefined) return
  if (found.some((stack) => stack.stack === engine?.stack && neverWhole(stack))) throw new Error(problem)
  write(`${problem}.\n`)
}

const text = (lines: readonly string[]) => `${lines.join('\n')}\n`

const order = (synthesised: Synthesised) => ['', 'Stacks, in this order:', ...namesOf(synthesised)]

/** The commands for an account with nothing in it, and what would be done about stacks that are unfinished. */
function rehearsal(stage: StageName, synthesised: Synthesised, context: Context, yes: boolean): string[] {
  const nothing = namesOf(synthesised).map((stack): Found => ({ stack, left: [] }))
  return [
    ...commandsOf(synthesised, planOf(stage, synthesised, nothing, context, yes)),
    '',
    'That is a first deployment. A stack that an earlier one left unfinished is handled first, as below; --plan in',
    'place of --dry-run asks your account and prints what that comes to. STACK stands for one without data:',
    ...recoveryLines(stage, context, yes),
  ]
}

/** The commands for the stacks as they stand; none if they wait for something. */
function planned(
  stage: StageName,
  synthesised: Synthesised,
  found: readonly Found[],
  context: Context,
  yes: boolean,
): string[] {
  const first = notes(stage, found)
  const waits = found.some((stack) => ['wait', 'stop'].includes(treatment(stage, stack).does))
  if (waits) return first
  const commands = commandsOf(synthesised, planOf(stage, synthesised, found, context, yes))
  return first.length > 0 ? [...first, '', ...commands] : commands
}

function apiLine(url: string): string {
  return `The API: ${url}/api (its description: ${url}/api/docs)`
}

function webLines(url: string, distribution: string): string[] {
  if (url === `https://${distribution}`) return [apiLine(url)]
  return [apiLine(url), `An alias or a CNAME of ${new URL(url).host} has to point at ${distribution}`]
}

/** The command line `deploy <stage>`. */
export function deployProgram(tools: DeployTools): Command {
  return new Command('deploy')
    .description('Deploy a stage to AWS, ask it whether it works, and say what is left to do')
    .argument('<stage>', 'dev or prod; its context is in stages/<stage>.json', stageArgument)
    .option('-c, --context <key=value>', 'a value of the context, over that of the file', contextOption)
    .option('--dry-run', 'print the commands of a first deployment; calls nothing of AWS')
    .option('--plan', 'ask AWS how the stacks stand and print the commands for that; changes nothing')
    .option('--diff', 'print what would change, and deploy nothing')
    .option('--yes', 'do not ask about changes of permissions')
    .action((stage: StageName, options: DeployOptions) => deploy(stage, options, tools))
}

if (import.meta.main) {
  const write = (text: string) => void process.stdout.write(text)
  // The CDK asks where its output goes to a terminal.
  const terminal = process.stdout.isTTY ?? false
  await run(deployProgram({ shell, write, folder: root, smoke: smokeTest, terminal, pause: 15_000 }))
}
