import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { deployProgram } from '../../../clients/cli/deploy.ts'
import { reservedBy } from '../../../clients/cli/quota.ts'
import { holdsData } from '../../../clients/cli/stacks.ts'
import { root, shell, typed } from '../../../clients/cli/stages.ts'
import { resourcesOf } from '../../../clients/cli/templates.ts'
import { needed, stageWith, temporaryFolder, writeStubs } from '../../infra/synthesis.ts'
import { Account, stacksOf } from './cloudformation/account.ts'

type Template = {
  Resources: Record<string, { Type: string; Properties?: { AlarmActions?: unknown[] } }>
  Outputs?: Record<string, { Value: unknown }>
}

let account: Account
beforeAll(async () => {
  account = await Account.make()
})
beforeEach(() => account.reset())
afterAll(() => account[Symbol.asyncDispose]())

const given = (stage: 'dev' | 'prod', status: 'UPDATE_COMPLETE') => {
  for (const stack of stacksOf(stage)) account.cloud.given(stack, status)
}

describe('deploy', () => {
  it('asks who calls, deploys with the context of the stage, and then asks the API whether it works', async () => {
    given('dev', 'UPDATE_COMPLETE')
    await account.deploy('dev', '-c', 'cache=valkey', '-c', 'consoleOrigins=https://a.example', '--yes')
    const context = '-c insertWorkers=3 -c cache=valkey -c consoleOrigins=https://a.example -c stage=dev'
    expect(account.called.slice(0, 2)).toEqual([
      'aws sts get-caller-identity --output json',
      `npx cdk list ${context}`,
    ])
    const at = account.called.findIndex((line) => line.includes('cdk deploy'))
    expect(account.called.slice(at, at + 2)).toEqual([
      `npx cdk deploy ${stacksOf('dev').join(' ')} --outputs-file cdk.out/outputs-dev.json ` +
        `--require-approval never ${context}`,
      'npm run smoke -- https://api.example --patience 120',
    ])
    expect(account.written).toContain('dev in the account 111122223333')
  })

  it('leaves the question about permissions to the CDK unless told, and its answer to the person', async () => {
    account.terminal = { answer: true, permissions: true }
    await account.deploy('dev')
    expect(account.changes[0]).not.toContain('--require-approval')
    account.reset()
    account.terminal = { answer: false, permissions: true }
    await expect(account.deploy('dev')).rejects.toThrow('npx cdk deploy failed (1)')
  })

  it('says without a terminal, before and after, that the CDK cannot ask about permissions', async () => {
    account.terminal = { permissions: true }
    await expect(account.deploy('dev')).rejects.toThrow(/There is no terminal .* unless you add --yes\.$/)
    expect(account.written).toContain('There is no terminal')
    expect(account.cdkErrors).toEqual([expect.stringContaining('terminal (TTY) is not attached')])
    await account.deploy('dev', '--yes')
  })

  it('names everything that prod has no default of before it calls anything', async () => {
    await expect(account.deployAsTyped('prod')).rejects.toThrow(
      'prod needs mailFrom and consoleUrl: write them into stages/prod.json, or add ' +
        '-c mailFrom=<value> -c consoleUrl=<value>',
    )
    await expect(account.deployAsTyped('prod', '-c', `mailFrom=${needed.mailFrom}`)).rejects.toThrow(
      'prod needs consoleUrl: write it',
    )
    expect(account.called).toEqual([])
    for (const key of Object.keys(needed)) {
      expect(() => stageWith({ stage: 'prod', [key]: undefined })).toThrow(`"${key}" is missing`)
    }
  })

  it('stops if AWS does not know who calls, and says what to do', async () => {
    account.failing = { 'get-caller-identity': 'Unable to locate credentials' }
    await expect(account.deploy('dev')).rejects.toThrow(/Unable to locate credentials\nSign in .*AWS_PROFILE/)
    expect(account.called).toHaveLength(1)
  })

  it('stops if AWS refuses to tell how a stack stands', async () => {
    account.failing = { 'describe-stacks --stack-name Insighta-prod-web': 'AccessDenied: DescribeStacks' }
    await expect(account.deploy('prod', '--yes')).rejects.toThrow('AccessDenied: DescribeStacks')
    expect(account.changes).toEqual([])
  })

  it('stops if the deployment fails, and asks nothing of the API', async () => {
    account.cloud.fail('change', 'Insighta-dev-api')
    await expect(account.deploy('dev', '--yes')).rejects.toThrow('npx cdk deploy failed (1)')
    expect(account.smoke).not.toHaveBeenCalled()
  })

  it('fails if the API does not answer as it should', async () => {
    account.smoke.mockRejectedValueOnce(new Error('1 of 3 checks failed'))
    await expect(account.deploy('dev')).rejects.toThrow('1 of 3 checks failed')
  })

  it('prints what would change by templates alone, which needs no right to make a change set', async () => {
    await account.deploy('dev', '--diff')
    expect(account.called[1]).toBe('npx cdk diff --method template -c insertWorkers=3 -c stage=dev')
    expect(account.called).toHaveLength(2)
    expect(account.written).toBe('')
  })

  it('deploys the web stack once the API works, tells it where that is, and then asks it the same', async () => {
    given('prod', 'UPDATE_COMPLETE')
    await account.deploy('prod', '--yes')
    const steps = account.called.filter((line) => /cdk deploy|smoke/.test(line))
    expect(steps.map((line) => line.split(' -c ')[0])).toEqual([
      `npx cdk deploy ${stacksOf('prod').slice(0, -1).join(' ')} ` +
        '--outputs-file cdk.out/outputs-prod.json --require-approval never',
      'npm run smoke -- https://api.example --patience 120',
      'npx cdk deploy Insighta-prod-web --exclusively --parameters Insighta-prod-web:ApiDomain=api.example ' +
        '--outputs-file cdk.out/outputs-prod-web.json --require-approval never',
      'npm run smoke -- https://d1.cloudfront.example --patience 600',
    ])
    expect(account.written).toContain('The API: https://api.example.com/api')
    expect(account.written).toContain('api.example.com has to point at d1.cloudfront.example')
  })

  it('leaves the web stack as it is if the API does not work', async () => {
    account.smoke.mockRejectedValueOnce(new Error('1 of 3 checks failed'))
    await expect(account.deploy('prod')).rejects.toThrow('1 of 3 checks failed')
    expect(account.changes.filter((line) => line.includes('deploy Insighta-prod-web'))).toEqual([])
  })

  it.each([['local'], ['staging'], ['dev', '-c', 'stage=prod'], ['dev', '-c', 'cache']])(
    'refuses %s %s %s',
    async (...words) => {
      await expect(account.deployAsTyped(...words)).rejects.toThrow(/must be|first argument/)
      expect(account.called).toEqual([])
    },
  )
})

describe('what a deployment asks of the account first', () => {
  it('is the quota that the templates reserve; it says how to raise one that is too small', async () => {
    account.concurrency = 180
    await expect(account.deploy('prod')).rejects.toThrow(
      /reserves 81 .* keeps 100 .* may run 180 .* at least 181 .*\naws service-quotas .* --desired-value 1000$/,
    )
    expect(account.changes).toEqual([])
    await account.deploy('dev')
    expect(account.called.filter((line) => line.includes('get-account-settings'))).toHaveLength(1)
  })

  it('is the engine of a database that is to be created; it says which versions the region has', async () => {
    account.engineVersions = ['17.9', '18.3', '18.5']
    await expect(account.deploy('dev', '--yes')).rejects.toThrow(
      'RDS does not offer aurora-postgresql 18.6 in this region, but 18.3, 18.5. Name one of these in ' +
        'infra/stacks/data.ts, or deploy to another region (AWS_REGION)',
    )
    account.engineVersions = ['16.4']
    await expect(account.deploy('dev', '--yes')).rejects.toThrow('but 16.4. Name')
    account.engineVersions = []
    await expect(account.deploy('dev', '--yes')).rejects.toThrow('but no version of it')
    expect(account.changes).toEqual([])
  })

  it.each(['CREATE_FAILED', 'ROLLBACK_COMPLETE'] as const)(
    'is the engine after a creation that ended in %s too',
    async (status) => {
      given('dev', 'UPDATE_COMPLETE')
      account.cloud.given('Insighta-dev-data', status)
      account.engineVersions = []
      await expect(account.deploy('dev', '--yes')).rejects.toThrow('RDS does not offer')
      expect(account.changes).toEqual([])
    },
  )

  it('is no more than a warning for a database that runs on a version which RDS gave up', async () => {
    given('dev', 'UPDATE_COMPLETE')
    account.engineVersions = ['18.5']
    await account.deploy('dev', '--yes')
    expect(account.written).toContain('RDS does not offer aurora-postgresql 18.6')
    expect(account.changes).toHaveLength(1)
  })

  it('fails if AWS refuses to tell', async () => {
    account.failing = { 'describe-db-engine-versions': 'AccessDenied: rds' }
    await expect(account.deploy('dev', '--yes')).rejects.toThrow('AccessDenied: rds')
    expect(account.changes).toEqual([])
  })
})

describe('the stacks that the CDK app has', () => {
  it('are planned without an account, with their quota, engine and data', async () => {
    await using stubs = await temporaryFolder()
    const assets = await writeStubs(join(stubs.path, 'assets'))
    const context = { ...needed, assets }
    const words = Object.entries(context).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    let written = ''
    const write = (text: string) => {
      written += text
    }
    const program = deployProgram({
      ...{ shell, write, folder: root, smoke: account.smoke },
      ...{ terminal: false, pause: 0 },
    })
    await program.parseAsync(['prod', '--dry-run', ...words], { from: 'user' })
    expect(written).toMatch(/Insighta-prod-network\nInsighta-prod-data\n[\s\S]*Insighta-prod-web\n$/)
    expect(written).toContain('get-account-settings')
    expect(written).toContain('describe-db-engine-versions --engine aurora-postgresql')
    const { apiConcurrency } = stageWith({ stage: 'prod' })
    const behindTheApi = Object.values(apiConcurrency).reduce((sum, count) => sum + count)
    const resources = (stacks: string[]) => resourcesOf(stacks, root)
    // keys and facets reserve one each.
    expect(reservedBy(await resources(['Insighta-prod-data', 'Insighta-prod-api']))).toBe(behindTheApi + 2)

    const stacks = written.split('Stacks, in this order:\n')[1]!.trim().split('\n')
    for (const { stack, Type } of await resources(stacks)) {
      const data = /^AWS::(RDS::DBCluster|Cognito::UserPool|DynamoDB::.*Table)$/.test(Type)
      if (data) expect(holdsData(stack), `${stack}, which has a ${Type}, holds data`).toBe(true)
    }
    // A deployment finds the topics of alarms by the ends of their outputs' names.
    for (const stack of stacks) {
      const template: Template = JSON.parse(
        await readFile(join(root, `cdk.out/${stack}.template.json`), 'utf8'),
      )
      const outputs = Object.entries(template.Outputs ?? {}).filter(([name]) => name.endsWith('TopicArn'))
      const told = outputs.map(([, { Value }]) => JSON.stringify(Value))
      const topics = Object.values(template.Resources)
        .filter(({ Type }) => Type.startsWith('AWS::CloudWatch::') && Type.endsWith('Alarm'))
        .flatMap(({ Properties }) => Properties?.AlarmActions ?? [])
      for (const topic of topics) expect(told, stack).toContain(JSON.stringify(topic))
    }
  }, 120_000)
})

describe('the shell', () => {
  it('returns what a program writes, and rejects with its complaint if it fails', async () => {
    expect(await shell.read(['node', '-p', '1 + 1'])).toBe('2\n')
    const complain = 'console.error("no region"); process.exit(3)'
    await expect(shell.read(['node', '-e', complain])).rejects.toThrow('no region')
    await expect(shell.run(['node', '-e', 'process.exit(3)'])).rejects.toThrow('process.exit(3) failed (3)')
    await expect(shell.read(['/nonexistent/aws'])).rejects.toThrow('ENOENT')
  })
})

describe('a command as a person would type it', () => {
  it.each([
    'plain-word_1.2/x:y,z=@%+',
    'two words',
    "it's",
    '',
    "Stacks[?Status!='GONE'].[Name]",
    `a"b'c`,
    '$HOME',
    "'$HOME'",
    '`id`',
    "'!!'",
    'a\\b',
    '<each>',
    'line\nline',
  ])('means the same to a shell: %j', async (word) => {
    const { stdout } = await promisify(execFile)('bash', ['-c', typed(['printf', '%s', word])])
    expect(stdout).toBe(word)
  })
})
