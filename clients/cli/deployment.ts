import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Outputs, outputsSchema } from './last-words.ts'
import { type Deployment, namesOf, type Plan, planOf, type Synthesised } from './plan.ts'
import { advice, firstSteps, isPaused, isUnfinished, treatment, unchanged } from './recovery.ts'
import { atWork, type Found, findAll, findSettled, type Waiting } from './stacks.ts'
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
  const { now, plan, outputs } = await explained(stacks, tools, async () => {
    const now = await recover(stacks, found, tools)
    for (const note of notes(stage, now)) tools.write(`${note}\n`)
    const plan = planOf(stage, synthesised, now, context, yes)
    const outputs: Outputs = {}
    for (const deployment of plan.core) Object.assign(outputs, await outputsOf(deployment, tools))
    return { now, plan, outputs }
  })
  const continued = now.filter(isPaused).map(({ stack }) => stack)
  const still = (await findAll(continued, tools.shell)).filter(isPaused)
  if (still.length > 0) throw new Error(still.map((stack) => unchanged(stage, stack, context)).join('\n\n'))
  return { outputs, plan }
}

/** Deploys the web stack. Rejects as `deployCore` does. */
export function deployWeb(stacks: Stacks, deployment: Deployment, tools: DeploymentTools): Promise<Outputs> {
  return explained(stacks, tools, () => outputsOf(deployment, tools))
}

async function recover(stacks: Stacks, found: readonly Found[], tools: DeploymentTools) {
  const { stage, synthesised, context } = stacks
  const steps = firstSteps(stage, found, context)
  if (steps.length === 0) return found
  for (const { says, words } of steps) {
    tools.write(`${says}\n`)
    await runShown(words, tools)
  }
  const now = await findSettled(namesOf(synthesised), tools)
  requireNoPerson(stage, now)
  const left = firstSteps(stage, now, context)
  if (left.length > 0) throw new Error(left.map(({ says }) => says).join('\n'))
  return now
}

async function outputsOf({ words, outputsFile }: Deployment, tools: DeploymentTools): Promise<Outputs> {
  await runShown(words, tools)
  return outputsSchema.parse(JSON.parse(await readFile(join(tools.folder, outputsFile), 'utf8')))
}

async function runShown(words: readonly string[], { shell, write }: DeploymentTools): Promise<void> {
  write(`$ ${typed(words)}\n`)
  await shell.run(words)
}

/** What `work` rejects with, and after it what the stacks are in and what to do. */
async function explained<T>(stacks: Stacks, tools: DeploymentTools, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${message}\n\n${await afterFailure(stacks, tools)}`, { cause })
  }
}

async function afterFailure(
  { stage, synthesised, context, yes }: Stacks,
  { shell, terminal }: DeploymentTools,
): Promise<string> {
  let found: Found[]
  try {
    found = await findAll(namesOf(synthesised), shell)
  } catch (error) {
    return `How the stacks stand could not be asked: ${error instanceof Error ? error.message : error}`
  }
  const lines = found.filter(isUnfinished).map((stack) => advice(stage, stack, context))
  const person = found.some((stack) => treatment(stage, stack).does === 'stop')
  if (!person && !found.some(atWork))
    lines.push('Fix what failed and run the same command: it goes on from there.')
  if (!terminal && !yes) lines.push(withoutTerminal)
  return lines.join('\n')
}

export const withoutTerminal =
  'There is no terminal for the CDK to ask about new permissions on: it stops at them, unless you add --yes.'
