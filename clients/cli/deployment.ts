import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Outputs, outputsSchema } from './last-words.ts'
import { type Deployment, namesOf, type Plan, planOf, type Synthesised } from './plan.ts'
import { advice, firstSteps, isPaused, isUnfinished, treatment, unchanged } from './recovery.ts'
import { type Found, findAll, findSettled, type Waiting } from './stacks.ts'
import { type Context, type StageName, typed } from './stages.ts'

export type Stacks = {
  stage: StageName
  synthesised: Synthesised
  context: Context
  /** Deploys changes of permissions without asking. */
  yes: boolean
}

export type DeploymentTools = Waiting & {
  /** Where the CDK writes the outputs. */
  folder: string
  /** Whether the CDK can ask a person. */
  terminal: boolean
}

/** What a person has to know of how the stacks stand before a deployment, a line for each that is unfinished. */
export function notes(stage: StageName, found: readonly Found[]): string[] {
  return found.flatMap((stack) => treatment(stage, stack).says ?? [])
}

/** Rejects with what a person has to decide. */
export function requireNoPerson(stage: StageName, found: readonly Found[]): void {
  const stops = found.map((stack) => treatment(stage, stack)).filter(({ does }) => does === 'stop')
  if (stops.length > 0) throw new Error(stops.map(({ says }) => says).join('\n\n'))
}

/**
 * Rolls back and deletes what has to be, then deploys all stacks but that of the web. Returns their outputs and
 * the plan, whose web stack is still to come. Rejects with how each stack stands that is unfinished, and what
 * to do.
 */
export async function deployCore(
  stacks: Stacks,
  found: readonly Found[],
  tools: DeploymentTools,
): Promise<{ outputs: Outputs; plan: Plan }> {
  const { stage, synthesised, context, yes } = stacks
  const now = await recover(stacks, found, tools)
  for (const note of notes(stage, now)) tools.write(`${note}\n`)
  const plan = planOf(stage, synthesised, now, context, yes)
  const outputs: Outputs = {}
  for (const deployment of plan.core) Object.assign(outputs, await runDeployment(stacks, deployment, tools))
  const continued = now.filter(isPaused).map(({ stack }) => stack)
  const still = (await findAll(continued, tools.shell)).filter(isPaused)
  if (still.length > 0) throw new Error(still.map((stack) => unchanged(stage, stack, context)).join('\n\n'))
  return { outputs, plan }
}

/** How the stacks stand once those are rolled back and deleted that have to be. */
async function recover(stacks: Stacks, found: readonly Found[], tools: DeploymentTools) {
  const { stage, synthesised, context } = stacks
  const steps = firstSteps(stage, found, context)
  if (steps.length === 0) return found
  for (const { says, words } of steps) {
    tools.write(`${says}\n`)
    await runCdk(stacks, words, tools)
  }
  const now = await findSettled(namesOf(synthesised), tools)
  requireNoPerson(stage, now)
  const left = firstSteps(stage, now, context)
  if (left.length > 0) throw new Error(left.map(({ says }) => says).join('\n'))
  return now
}

/** Returns the outputs of the stacks that it deploys. Rejects with how the stacks stand. */
export async function runDeployment(
  stacks: Stacks,
  { words, outputsFile }: Deployment,
  tools: DeploymentTools,
): Promise<Outputs> {
  await runCdk(stacks, words, tools)
  return outputsSchema.parse(JSON.parse(await readFile(join(tools.folder, outputsFile), 'utf8')))
}

/** Shows and runs a command. Rejects with its failure, how the stacks stand after it, and what to do. */
async function runCdk(stacks: Stacks, words: readonly string[], tools: DeploymentTools): Promise<void> {
  tools.write(`$ ${typed(words)}\n`)
  try {
    await tools.shell.run(words)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    const lines = await afterFailure(stacks, tools)
    // What the CDK said of it went to the output.
    const asked = !tools.terminal && !stacks.yes && words.includes('deploy')
    throw new Error([message, '', ...lines, ...(asked ? [withoutTerminal] : [])].join('\n'), { cause })
  }
}

async function afterFailure(
  { stage, synthesised, context }: Stacks,
  { shell }: DeploymentTools,
): Promise<string[]> {
  let found: Found[]
  try {
    found = await findAll(namesOf(synthesised), shell)
  } catch (error) {
    return [`How the stacks stand could not be asked: ${error instanceof Error ? error.message : error}`]
  }
  const lines = found.filter(isUnfinished).map((stack) => advice(stage, stack, context))
  const waits = found.some((stack) => ['stop', 'wait'].includes(treatment(stage, stack).does))
  return waits ? lines : [...lines, 'Fix what failed and run the same command: it goes on from there.']
}

export const withoutTerminal =
  'There is no terminal for the CDK to ask about new permissions on: it stops at them, unless you add --yes.'
