import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { vi } from 'vitest'
import { deployProgram } from '../../../../clients/cli/deploy.ts'
import { destroyProgram } from '../../../../clients/cli/destroy.ts'
import type { SmokeOptions } from '../../../../clients/cli/smoke.ts'
import { type Shell, typed } from '../../../../clients/cli/stages.ts'
import { needed } from '../../../infra/synthesis.ts'
import { runCdk, type Terminal } from './cdk.ts'
import { CloudFormation } from './model.ts'

/** In the order of their deployment; the web stack is in another region. */
const parts = {
  dev: ['network', 'data', 'api', 'observability'],
  prod: [
    ...['network', 'data', 'identity', 'cache', 'exports', 'imports', 'interviews'],
    ...['recovery', 'api', 'observability', 'web'],
  ],
}
export type StageName = keyof typeof parts
export const stacksOf = (stage: StageName) => parts[stage].map((part) => `Insighta-${stage}-${part}`)

const topic = (stage: StageName, part: string, region: string) =>
  `arn:aws:sns:${region}:111122223333:Insighta-${stage}-${part}-Alarms`

const outputsOf = (stage: StageName): Record<string, Record<string, string>> => ({
  [`Insighta-${stage}-interviews`]: {
    GeminiSecretName: `insighta-${stage}-gemini`,
    AgentSecretName: `insighta-${stage}-agent`,
  },
  [`Insighta-${stage}-api`]: { ApiUrl: 'https://api.example', KeysFunctionName: 'keys-function' },
  [`Insighta-${stage}-observability`]: { AlarmTopicArn: topic(stage, 'observability', 'eu-west-1') },
  [`Insighta-${stage}-web`]: {
    DistributionDomain: 'd1.cloudfront.example',
    WebUrl: 'https://api.example.com',
    AlarmTopicArn: topic(stage, 'web', 'us-east-1'),
  },
})

/** Resources of the stacks, as far as the commands read them: prod's functions reserve 81. */
const resources: Record<string, object[]> = {
  data: [
    { Type: 'AWS::RDS::DBCluster', Properties: { Engine: 'aurora-postgresql', EngineVersion: '18.6' } },
    { Type: 'AWS::SNS::Topic' },
  ],
  api: [60, 20, 1].map((ReservedConcurrentExecutions) => ({
    Type: 'AWS::Lambda::Function',
    Properties: { ReservedConcurrentExecutions },
  })),
}

/**
 * An account of AWS as the AWS CLI and the CDK CLI show it, without either program: what the commands call, what
 * they write and what they change.
 */
export class Account implements AsyncDisposable {
  cloud = new CloudFormation()
  terminal: Terminal = {}
  /** Every command, as a person would type it. */
  called: string[] = []
  written = ''
  /** What a command that contains the key fails with. */
  failing: Record<string, string> = {}
  /** What the CDK ended with. */
  cdkErrors: string[] = []
  concurrency = 181
  engineVersions = ['17.9', '18.5', '18.6']
  secrets: Record<string, object> = {}
  subscriptions: Record<string, string[]> = {}
  readonly smoke = vi.fn(async (url: string, { patience }: SmokeOptions) => {
    this.called.push(`npm run smoke -- ${url} --patience ${patience}`)
  })
  readonly empty = vi.fn(async () => 3)
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(): Promise<Account> {
    const folder = await mkdtemp(join(tmpdir(), 'insighta-deploy-'))
    await mkdir(join(folder, 'stages'))
    await mkdir(join(folder, 'cdk.out'))
    await writeFile(join(folder, 'stages/dev.json'), JSON.stringify({ insertWorkers: 3 }))
    await writeFile(join(folder, 'stages/prod.json'), '{}')
    for (const stage of ['dev', 'prod'] as const) {
      for (const part of parts[stage]) {
        const has = (stage === 'dev' && part === 'api' ? [] : resources[part]) ?? []
        const Resources = Object.fromEntries(has.map((resource, id) => [`Resource${id}`, resource]))
        const file = join(folder, `cdk.out/Insighta-${stage}-${part}.template.json`)
        await writeFile(file, JSON.stringify({ Resources }))
      }
    }
    return new Account(folder)
  }

  /** An account in which nothing has happened; the folder stays. */
  reset(): void {
    this.cloud = new CloudFormation()
    this.terminal = {}
    this.concurrency = 181
    this.engineVersions = ['17.9', '18.5', '18.6']
    this.secrets = {
      gemini: { Description: 'JSON with api_key', VersionIdsToStages: { a: ['AWSCURRENT'] } },
      agent: {
        Description: 'JSON with webhook_secret',
        VersionIdsToStages: { a: ['AWSPREVIOUS'], b: ['AWSCURRENT'] },
      },
    }
    this.subscriptions = {}
    this.failing = {}
    this.forget()
    vi.clearAllMocks()
  }

  /** Forgets what was called and written, not what was changed. */
  forget(): void {
    this.called = []
    this.cdkErrors = []
    this.written = ''
  }

  /** The commands that change something. */
  get changes(): string[] {
    return this.called.filter((line) => /^npx cdk (deploy|rollback|destroy) /.test(line))
  }

  /** `npm run deploy -- <words>`, with what prod has no default of. */
  async deploy(...words: string[]): Promise<void> {
    const given = words[0] === 'prod' ? Object.entries(needed).flatMap(([k, v]) => ['-c', `${k}=${v}`]) : []
    await this.run(deployProgram({ ...this.tools(), smoke: this.smoke }), [...words, ...given])
  }

  async deployAsTyped(...words: string[]): Promise<void> {
    await this.run(deployProgram({ ...this.tools(), smoke: this.smoke }), words)
  }

  async destroy(...words: string[]): Promise<void> {
    await this.run(destroyProgram({ ...this.tools(), empty: this.empty }), words)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true })
  }

  private async run(program: ReturnType<typeof deployProgram>, words: readonly string[]): Promise<void> {
    const silent = program.exitOverride().configureOutput({ writeErr: () => {} })
    await silent.parseAsync(words, { from: 'user' })
  }

  private tools() {
    return {
      shell: this.shell(),
      write: (text: string) => {
        this.written += text
      },
      folder: this.folder,
      terminal: this.terminal.answer !== undefined,
      pause: 0,
    }
  }

  private shell(): Shell {
    return {
      run: async (command) => {
        this.call(command)
        const [, cdk, ...words] = command
        if (cdk !== 'cdk') throw new Error(`Unexpected: ${typed(command)}`)
        if (words[0] === 'diff') return
        try {
          runCdk(words, this.cloud, this.terminal)
        } catch (error) {
          this.cdkErrors.push(String(error))
          // What the CDK says goes to the terminal, and no further.
          throw new Error(`npx cdk ${words[0]} failed (1)`)
        }
        await this.writeOutputs(words)
      },
      read: async (command) => {
        this.call(command)
        return this.answer(command)
      },
    }
  }

  private call(command: readonly string[]): void {
    const line = typed(command)
    this.called.push(line)
    const failed = Object.keys(this.failing).find((part) => line.includes(part))
    if (failed) throw new Error(this.failing[failed])
  }

  private async writeOutputs(words: readonly string[]): Promise<void> {
    const file = words[words.indexOf('--outputs-file') + 1]
    if (words[0] !== 'deploy' || file === undefined) return
    const deployed = Object.entries(outputsOf(stageIn(words))).filter(([stack]) => words.includes(stack))
    await writeFile(join(this.folder, file), JSON.stringify(Object.fromEntries(deployed)))
  }

  private answer(command: readonly string[]): string {
    const [program, service, operation] = command
    if (program === 'npx' && operation === 'list') return `${stacksOf(stageIn(command)).join('\n')}\n`
    const option = (name: string) => command[command.indexOf(name) + 1] ?? ''
    switch (`${service} ${operation}`) {
      case 'sts get-caller-identity':
        return JSON.stringify({ Account: '111122223333', Arn: 'arn:aws:iam::111122223333:user/a' })
      case 'lambda get-account-settings':
        return JSON.stringify({ AccountLimit: { ConcurrentExecutions: this.concurrency } })
      case 'rds describe-db-engine-versions':
        return JSON.stringify(option('--engine') === 'aurora-postgresql' ? this.engineVersions : [])
      case 'secretsmanager describe-secret':
        return JSON.stringify(this.secrets[option('--secret-id').split('-')[2]!])
      case 'sns list-subscriptions-by-topic': {
        const arn = option('--topic-arn')
        if (option('--region') !== arn.split(':')[3]) throw new Error('Topic does not exist in this region')
        return JSON.stringify(this.subscriptions[arn] ?? [])
      }
      case 'cloudformation describe-stacks':
        return this.describeStacks(option('--stack-name'), option('--query'), command)
      case 'cloudformation list-stack-resources':
        return JSON.stringify(
          this.existing(option('--stack-name'), command).data.map((id) => [id, 'AWS::RDS::DBCluster', null]),
        )
      default:
        throw new Error(`Unexpected: ${typed(command)}`)
    }
  }

  private describeStacks(name: string, query: string, command: readonly string[]): string {
    const { status } = this.existing(name, command)
    if (query.includes('StackStatus'))
      return JSON.stringify([status, status.endsWith('FAILED') ? 'why' : null])
    return JSON.stringify(['uploads-bucket'])
  }

  private existing(name: string, command: readonly string[]) {
    const inUsEast1 = command[command.indexOf('--region') + 1] === 'us-east-1'
    const stack = inUsEast1 === name.endsWith('-web') ? this.cloud.describe(name) : undefined
    // As version 1 and 2 of the AWS CLI write it.
    if (!stack) {
      const cause = `Stack with id ${name} does not exist`
      throw new Error(
        `An error occurred (ValidationError) when calling the DescribeStacks operation: ${cause}`,
      )
    }
    return stack
  }
}

const stageIn = (words: readonly string[]): StageName => (words.includes('stage=prod') ? 'prod' : 'dev')
