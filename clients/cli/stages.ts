import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { InvalidArgumentError } from 'commander'
import * as z from 'zod'

export const root = join(import.meta.dirname, '../..')

/** Stages that are deployed; the third, local, runs on one machine. */
export const stages = ['dev', 'prod'] as const
export type StageName = (typeof stages)[number]

/** Values of the context that a stage has no default of. */
export const required: Record<StageName, readonly string[]> = { dev: [], prod: ['mailFrom', 'consoleUrl'] }

export type Context = Readonly<Record<string, string>>

/** How programs are run: a test puts its own in place of AWS. */
export type Shell = {
  /** Output goes to the terminal. Rejects where the program fails. */
  run(command: readonly string[]): Promise<void>
  /** What it writes to stdout. Rejects with what it wrote to stderr where it fails. */
  read(command: readonly string[]): Promise<string>
}

export const shell: Shell = {
  async run([program = '', ...args]) {
    const child = spawn(program, args, { cwd: root, stdio: 'inherit' })
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new Error(`${program} ${args.slice(0, 2).join(' ')} failed (${code ?? 'killed'})`)
  },
  async read([program = '', ...args]) {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    const [[code], output, errors] = await Promise.all([
      once(child, 'close') as Promise<[number | null]>,
      text(child.stdout),
      text(child.stderr),
    ])
    if (code !== 0) throw new Error(errors.trim() || `${program} ended with ${code ?? 'a signal'}`)
    return output
  },
}

/** For commander: the stage that an argument names. */
export function stageArgument(name: string): StageName {
  const stage = stages.find((known) => known === name)
  if (!stage) throw new InvalidArgumentError(`It must be one of ${stages.join(', ')}.`)
  return stage
}

/** For commander: collects options of the form key=value. */
export function contextOption(pair: string, others: Context = {}): Context {
  const [, key, value] = /^(\w+)=(.*)$/s.exec(pair) ?? []
  if (key === undefined || value === undefined) throw new InvalidArgumentError('It must be key=value.')
  if (key === 'stage') throw new InvalidArgumentError('The stage is the first argument.')
  return { ...others, [key]: value }
}

const fileSchema = z.record(
  z.string().regex(/^\w+$/),
  z.union([z.string(), z.number()]).transform((value) => String(value)),
)

/**
 * The context of a stage: that of `stages/<stage>.json` under `folder`, over which `given` wins. Throws with
 * every value that is missing and how to give it.
 */
export async function contextOf(stage: StageName, given: Context, folder = root): Promise<Context> {
  const file = `stages/${stage}.json`
  const read = fileSchema.safeParse(JSON.parse(await readFile(join(folder, file), 'utf8')))
  if (!read.success) throw new Error(`${file} is not as expected: ${z.prettifyError(read.error)}`)
  const context: Context = { ...read.data, ...given, stage }
  const missing = required[stage].filter((key) => !context[key]?.trim())
  if (missing.length > 0) {
    throw new Error(
      `${stage} needs ${missing.join(' and ')}: write ${missing.length > 1 ? 'them' : 'it'} into ${file}, ` +
        `or add ${missing.map((key) => `-c ${key}=<value>`).join(' ')}`,
    )
  }
  return context
}

/** A command of the CDK with the context of a stage. */
export function cdk(words: readonly string[], context: Context): string[] {
  return [
    'npx',
    'cdk',
    ...words,
    ...Object.entries(context).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
  ]
}

/** The stacks that the context has, in the order of their deployment; their templates are in `cdk.out` then. */
export async function stackNames(context: Context, at: Shell): Promise<string[]> {
  return (await at.read(cdk(['list'], context))).trim().split('\n')
}

/** As a person would type it. */
export function typed(command: readonly string[]): string {
  return command.map(quoted).join(' ')
}

function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  // A shell reads on within double quotes: a value, a command, the history.
  if (word.includes("'") && !/["$`\\]|!(?!=)/.test(word)) return `"${word}"`
  return `'${word.replaceAll("'", `'\\''`)}'`
}

export const identityCommand = ['aws', 'sts', 'get-caller-identity', '--output', 'json']
const identitySchema = z.object({ Account: z.string(), Arn: z.string() })

/** Whose account it is. Throws with what to do where there are no credentials that AWS accepts. */
export async function identity(at: Shell): Promise<{ account: string; arn: string }> {
  const answer = await at.read(identityCommand).catch((cause: Error) => {
    const advice =
      'ENOENT' === (cause as NodeJS.ErrnoException).code
        ? 'the AWS CLI is not installed (https://aws.amazon.com/cli)'
        : `${cause.message}\nSign in (aws sso login or aws configure) and name the profile in AWS_PROFILE`
    throw new Error(`AWS does not know who you are: ${advice}`, { cause })
  })
  const { Account, Arn } = identitySchema.parse(JSON.parse(answer))
  return { account: Account, arn: Arn }
}
