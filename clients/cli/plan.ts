import { type Engine, engineCommand } from './engine.ts'
import { secretCommand, subscriptionsCommand } from './last-words.ts'
import { quotaCommand } from './quota.ts'
import { firstSteps, groups, type Step, treatment } from './recovery.ts'
import { type Found, stackCommand, stateQuery } from './stacks.ts'
import { type Context, cdk, identityCommand, type StageName, typed } from './stages.ts'

/** Seconds in which a new deployment may start: the database, and an environment of each function. */
export const patience = 120
/** A new distribution has to reach every edge, and its name every resolver. */
export const webPatience = 600

/** What the templates say, without an account. */
export type Synthesised = {
  core: string[]
  /** Deployed last, since it is told the API's address. */
  web: string | undefined
  /** Concurrent executions that the functions reserve. */
  reserved: number
  engine: Engine | undefined
}

export const namesOf = ({ core, web }: Synthesised) => [...core, ...(web === undefined ? [] : [web])]

export type Deployment = { words: string[]; outputsFile: string }

/** What is run, in this order. */
export type Plan = {
  first: Step[]
  core: Deployment[]
  web: ((apiHost: string) => Deployment) | undefined
}

/** The plan for stacks as they stand, of which none is at work and none needs a person. */
export function planOf(
  stage: StageName,
  { core, web }: Synthesised,
  stacks: readonly Found[],
  context: Context,
  yes: boolean,
): Plan {
  const approval = yes ? ['--require-approval', 'never'] : []
  const deployment = (name: string, words: readonly string[]): Deployment => {
    const outputsFile = `cdk.out/outputs-${name}.json`
    return {
      words: cdk(['deploy', ...words, '--outputs-file', outputsFile, ...approval], context),
      outputsFile,
    }
  }
  const groupsOf = (names: readonly string[]) =>
    groups(
      stage,
      stacks.filter(({ stack }) => names.includes(stack)),
    )
  const parts = groupsOf(core)
  // Otherwise the CDK adds what the stacks depend on, with flags that are not meant for it.
  const alone = parts.length > 1 ? ['--exclusively'] : []
  return {
    first: firstSteps(stage, stacks, context),
    core: parts.map((part) => deployment(stage, [...part.stacks, ...alone, ...part.flags])),
    web:
      web === undefined
        ? undefined
        : (apiHost) => {
            const flags = groupsOf([web]).flatMap((part) => part.flags)
            const parameter = `${web}:ApiDomain=${apiHost}`
            return deployment(`${stage}-web`, [web, '--exclusively', ...flags, '--parameters', parameter])
          },
  }
}

/** Every command of a plan, as a person would type it; in angle brackets what only the deployment tells. */
export function commandsOf(synthesised: Synthesised, plan: Plan): string[] {
  const { reserved, engine } = synthesised
  const smoke = (url: string, seconds: number) => `npm run smoke -- ${url} --patience ${seconds}`
  return [
    typed(identityCommand),
    ...namesOf(synthesised).map((stack) => typed(stackCommand(stack, stateQuery))),
    ...(reserved > 0 ? [typed(quotaCommand)] : []),
    ...(engine ? [typed(engineCommand(engine.name))] : []),
    ...plan.first.map(({ words }) => typed(words)),
    ...plan.core.map(({ words }) => typed(words)),
    smoke('<ApiUrl>', patience),
    ...(plan.web
      ? [typed(plan.web('<host of ApiUrl>').words), smoke('https://<DistributionDomain>', webPatience)]
      : []),
    typed(secretCommand('<each output ...SecretName>')),
    typed(subscriptionsCommand('arn:aws:sns:<region>:<each output ...TopicArn>')),
  ]
}

/** Every state in which an earlier deployment may have left a stack and that asks for more than `cdk deploy`. */
const unfinished = [
  'CREATE_FAILED',
  'UPDATE_FAILED',
  'UPDATE_ROLLBACK_FAILED',
  'ROLLBACK_COMPLETE',
  'ROLLBACK_FAILED',
  'DELETE_FAILED',
  'IMPORT_ROLLBACK_FAILED',
]

/**
 * What is done about each of these states, with its commands, for a dry run that asks no account. STACK stands
 * for one without data.
 */
export function recoveryLines(stage: StageName, context: Context, yes: boolean): string[] {
  const whole: Found = { stack: '', status: 'UPDATE_COMPLETE', left: [] }
  return [`Insighta-${stage}-STACK`, `Insighta-${stage}-data`].flatMap((stack) => {
    /** By what is done, in its words but for the state. */
    const states = new Map<string, string[]>()
    for (const status of unfinished) {
      const found: Found = { stack, status, left: ['<what is left>'] }
      const synthesised = { core: ['', stack], web: undefined, reserved: 0, engine: undefined }
      const { first, core } = planOf(stage, synthesised, [whole, found], context, yes)
      // With other flags it is deployed by a command of its own.
      const own = core.length > 1 ? core.slice(1) : []
      const lines = [
        treatment(stage, found).says ?? '',
        ...[...first, ...own].map(({ words }) => typed(words)),
      ]
      const done = lines.join('\n').replaceAll(status, '{state}')
      states.set(done, [...(states.get(done) ?? []), status])
    }
    return [...states].flatMap(([done, of]) => ['', done.replaceAll('{state}', of.join(' or '))])
  })
}
