import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeleteObjectsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3'
import { mockClient } from 'aws-sdk-client-mock'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { deployProgram } from '../../../clients/cli/deploy.ts'
import { destroyProgram, emptyBucket } from '../../../clients/cli/destroy.ts'
import { reservedBy } from '../../../clients/cli/quota.ts'
import { root, type Shell, shell, typed } from '../../../clients/cli/stages.ts'
import { needed, stageWith, temporaryFolder, writeStubs } from '../../infra/synthesis.ts'

const outputs = {
  'Insighta-dev-interviews': {
    GeminiSecretName: 'insighta-dev-gemini',
    AgentSecretName: 'insighta-dev-agent',
  },
  'Insighta-dev-api': { ApiUrl: 'https://api.example', KeysFunctionName: 'keys-function' },
}
const webOutputs = {
  'Insighta-prod-web': { DistributionDomain: 'd1.cloudfront.example', WebUrl: 'https://api.example.com' },
}
/** Of the stacks that `cdk list` names: what each reserves. */
const reserved = { 'Insighta-prod-api': [60, 20, 1], 'Insighta-prod-recovery': [], 'Insighta-prod-web': [] }
const secrets: Record<string, object> = {
  'insighta-dev-gemini': { Description: 'JSON with api_key', VersionIdsToStages: { a: ['AWSCURRENT'] } },
  'insighta-dev-agent': {
    Description: 'JSON with webhook_secret',
    VersionIdsToStages: { a: ['AWSPREVIOUS'], b: ['AWSCURRENT'] },
  },
}

let folder: string
let called: string[]
let written: string
let failing: Record<string, string>
let concurrency: number
/** The state of prod's data stack. */
let dataStack: string
const smoke = vi.fn(async (_url: string) => {})
const empty = vi.fn(async () => 3)

/** AWS and the CDK as far as the commands use them; what a failing one writes is in `failing`. */
const aws: Shell = {
  async run(command) {
    called.push(typed(command))
    const failed = Object.keys(failing).find((part) => typed(command).includes(part))
    if (failed) throw new Error(failing[failed])
    const file = command[command.indexOf('--outputs-file') + 1]
    if (!command.includes('deploy') || file === undefined) return
    const stage = file.includes('prod') ? 'prod' : 'dev'
    const all = JSON.stringify(file.includes('web') ? webOutputs : outputs).replaceAll('-dev-', `-${stage}-`)
    await writeFile(join(folder, file), all)
  },
  async read(command) {
    const line = typed(command)
    called.push(line)
    const failed = Object.keys(failing).find((part) => line.includes(part))
    if (failed) throw new Error(failing[failed])
    if (line.includes('get-caller-identity')) {
      return JSON.stringify({ Account: '111122223333', Arn: 'arn:aws:iam::111122223333:user/a' })
    }
    if (line.includes('get-account-settings')) {
      return JSON.stringify({ AccountLimit: { ConcurrentExecutions: concurrency } })
    }
    if (line.includes('describe-secret')) return JSON.stringify(secrets[command[4]!.replace('prod', 'dev')])
    if (line.includes('cdk list')) {
      const prod = `${Object.keys(reserved).join('\n')}\n`
      return line.includes('stage=prod') ? prod : 'Insighta-dev-network\nInsighta-dev-data\n'
    }
    if (line.includes('StackStatus')) return `${dataStack}\n`
    if (line.includes('describe-stacks')) return 'uploads-bucket\n'
    throw new Error(`Unexpected: ${line}`)
  },
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-deploy-'))
  await mkdir(join(folder, 'stages'))
  await mkdir(join(folder, 'cdk.out'))
  await writeFile(join(folder, 'stages/dev.json'), JSON.stringify({ insertWorkers: 3 }))
  await writeFile(join(folder, 'stages/prod.json'), '{}')
  const templates = { 'Insighta-dev-network': [], 'Insighta-dev-data': [], ...reserved }
  for (const [stack, counts] of Object.entries(templates)) {
    const functions = counts.map((ReservedConcurrentExecutions: number, id) => [
      `Function${id}`,
      { Type: 'AWS::Lambda::Function', Properties: { ReservedConcurrentExecutions } },
    ])
    const Resources = { Topic: { Type: 'AWS::SNS::Topic' }, ...Object.fromEntries(functions) }
    await writeFile(join(folder, `cdk.out/${stack}.template.json`), JSON.stringify({ Resources }))
  }
})
beforeEach(() => {
  called = []
  written = ''
  failing = {}
  concurrency = 181
  dataStack = 'UPDATE_COMPLETE'
  vi.clearAllMocks()
})
afterAll(() => rm(folder, { recursive: true }))

const write = (text: string) => {
  written += text
}
const deploy = (...words: string[]) =>
  deployProgram({ shell: aws, write, folder, smoke })
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .parseAsync(words, { from: 'user' })
const destroy = (...words: string[]) =>
  destroyProgram({ shell: aws, write, folder, empty })
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .parseAsync(words, { from: 'user' })

describe('deploy', () => {
  it('asks who calls, deploys with the context of the stage, and then asks the API whether it works', async () => {
    await deploy('dev', '-c', 'cache=valkey', '-c', 'consoleOrigins=https://a.example', '--yes')
    const context = '-c insertWorkers=3 -c cache=valkey -c consoleOrigins=https://a.example -c stage=dev'
    expect(called.slice(0, 3)).toEqual([
      'aws sts get-caller-identity --output json',
      `npx cdk list ${context}`,
      'npx cdk deploy Insighta-dev-network Insighta-dev-data --outputs-file cdk.out/outputs-dev.json ' +
        `--require-approval never ${context}`,
    ])
    expect(smoke).toHaveBeenCalledExactlyOnceWith(
      'https://api.example',
      expect.objectContaining({ patience: 120 }),
    )
    expect(written).toContain('dev in the account 111122223333')
  })

  it('leaves the question about permissions to the CDK unless told', async () => {
    await deploy('dev')
    expect(called[2]).toContain('cdk deploy')
    expect(called[2]).not.toContain('--require-approval')
  })

  it('says how to fill each secret that is empty, and no other, and how to make a key', async () => {
    await deploy('dev')
    expect(written).toContain(
      `aws secretsmanager put-secret-value --secret-id insighta-dev-gemini --secret-string '{"api_key":"..."}'`,
    )
    expect(written).not.toContain('insighta-dev-agent')
    expect(written).toContain('npm run keys -- --function keys-function create --role admin')
    expect(called.join('\n')).not.toContain('get-secret-value')
  })

  it('names everything that prod has no default of before it calls anything', async () => {
    await expect(deploy('prod')).rejects.toThrow(
      'prod needs mailFrom and consoleUrl: write them into stages/prod.json, or add ' +
        '-c mailFrom=<value> -c consoleUrl=<value>',
    )
    await expect(deploy('prod', '-c', `mailFrom=${needed.mailFrom}`)).rejects.toThrow(
      'prod needs consoleUrl: write it',
    )
    expect(called).toEqual([])
    for (const key of Object.keys(needed)) {
      expect(() => stageWith({ stage: 'prod', [key]: undefined })).toThrow(`"${key}" is missing`)
    }
  })

  it('stops where AWS does not know who calls, and says what to do', async () => {
    failing = { 'get-caller-identity': 'Unable to locate credentials' }
    await expect(deploy('dev')).rejects.toThrow(/Unable to locate credentials\nSign in .*AWS_PROFILE/)
    expect(called).toHaveLength(1)
  })

  it('stops where the deployment fails, and asks nothing of the API', async () => {
    failing = { 'cdk deploy': 'npx cdk deploy failed (1)' }
    await expect(deploy('dev')).rejects.toThrow('failed (1)')
    expect(smoke).not.toHaveBeenCalled()
  })

  it('fails where the API does not answer as it should', async () => {
    smoke.mockRejectedValueOnce(new Error('1 of 3 checks failed'))
    await expect(deploy('dev')).rejects.toThrow('1 of 3 checks failed')
  })

  it('prints a plan that calls nothing of AWS', async () => {
    await deploy('dev', '--dry-run')
    expect(called).toEqual(['npx cdk list -c insertWorkers=3 -c stage=dev'])
    expect(written).toContain('npx cdk deploy Insighta-dev-network Insighta-dev-data')
    expect(written).toContain('Insighta-dev-network\nInsighta-dev-data\n')
    expect(smoke).not.toHaveBeenCalled()
  })

  it('prints what would change by templates alone, which needs no right to make a change set', async () => {
    await deploy('dev', '--diff')
    expect(called[1]).toBe('npx cdk diff --method template -c insertWorkers=3 -c stage=dev')
    expect(called).toHaveLength(2)
    expect(written).toBe('')
  })

  it('deploys the web stack once the API works, tells it where that is, and then asks it the same', async () => {
    const context = Object.entries(needed).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    const asked = async (url: string) => void called.push(`smoke ${url}`)
    smoke.mockImplementationOnce(asked).mockImplementationOnce(asked)
    await deploy('prod', '--yes', ...context)
    const steps = called.filter((line) => /cdk deploy|smoke/.test(line)).map((line) => line.split(' -c ')[0])
    expect(steps).toEqual([
      'npx cdk deploy Insighta-prod-api Insighta-prod-recovery ' +
        '--outputs-file cdk.out/outputs-prod.json --require-approval never',
      'smoke https://api.example',
      'npx cdk deploy Insighta-prod-web --exclusively --parameters Insighta-prod-web:ApiDomain=api.example ' +
        '--outputs-file cdk.out/outputs-prod-web.json --require-approval never',
      'smoke https://d1.cloudfront.example',
    ])
    expect(written).toContain('The API: https://api.example.com/api')
    expect(written).toContain('api.example.com has to point at d1.cloudfront.example')
  })

  it('rolls nothing back of a first deployment of prod, which could not take back what it protects', async () => {
    const context = Object.entries(needed).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    const rollback = async () => {
      called = []
      await deploy('prod', ...context)
      return called.find((line) => line.includes('cdk deploy Insighta-prod-api'))?.includes('--no-rollback')
    }
    expect(await rollback()).toBe(false)
    dataStack = 'CREATE_FAILED'
    expect(await rollback()).toBe(true)
    failing = { StackStatus: 'Stack with id Insighta-prod-data does not exist' }
    expect(await rollback()).toBe(true)
    failing = { StackStatus: 'AccessDenied' }
    await expect(rollback()).rejects.toThrow('AccessDenied')
    expect(called.some((line) => line.includes('cdk deploy'))).toBe(false)
  })

  it('leaves the web stack as it is where the API does not work', async () => {
    const context = Object.entries(needed).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    smoke.mockRejectedValueOnce(new Error('1 of 3 checks failed'))
    await expect(deploy('prod', ...context)).rejects.toThrow('1 of 3 checks failed')
    expect(called.filter((line) => line.includes('cdk deploy'))).toHaveLength(1)
  })

  it('refuses an account that may not run what the templates reserve, and says how to change that', async () => {
    const context = Object.entries(needed).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    concurrency = 180
    await expect(deploy('prod', ...context)).rejects.toThrow(
      /reserves 81 .* keeps 100 .* may run 180 .* 181 at the least .*\naws service-quotas .* --desired-value 1000$/,
    )
    expect(called.join('\n')).not.toContain('cdk deploy')
    await deploy('dev')
    expect(called.filter((line) => line.includes('get-account-settings'))).toHaveLength(1)
  })

  it.each([['local'], ['staging'], ['dev', '-c', 'stage=prod'], ['dev', '-c', 'cache']])(
    'refuses %s %s %s',
    async (...words) => {
      await expect(deploy(...words)).rejects.toThrow(/must be|first argument/)
      expect(called).toEqual([])
    },
  )

  it('plans with the stacks that the CDK app has, without an account', async () => {
    await using stubs = await temporaryFolder()
    const assets = await writeStubs(join(stubs.path, 'assets'))
    const context = { ...needed, assets }
    const words = Object.entries(context).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    await deployProgram({ shell, write, folder: root, smoke }).parseAsync(['prod', '--dry-run', ...words], {
      from: 'user',
    })
    expect(written).toMatch(/Insighta-prod-network\nInsighta-prod-data\n[\s\S]*Insighta-prod-web\n$/)
    expect(written).toContain('get-account-settings')
    const { apiConcurrency } = stageWith({ stage: 'prod' })
    const behindTheApi = Object.values(apiConcurrency).reduce((sum, count) => sum + count)
    // keys and facets reserve one each.
    expect(await reservedBy(['Insighta-prod-data', 'Insighta-prod-api'], root)).toBe(behindTheApi + 2)
  }, 120_000)
})

describe('destroy', () => {
  it('refuses prod, whatever is said', async () => {
    await expect(destroy('prod', '--yes')).rejects.toThrow('prod is not destroyed by a command')
    expect(called).toEqual([])
  })

  it('does nothing unless it is meant, and says what would go', async () => {
    await expect(destroy('dev')).rejects.toThrow(/account 111122223333.*Add --yes/)
    expect(empty).not.toHaveBeenCalled()
    expect(called).toHaveLength(1)
  })

  it('empties the bucket, then takes away all stacks', async () => {
    await destroy('dev', '--yes')
    expect(empty).toHaveBeenCalledExactlyOnceWith('uploads-bucket')
    expect(called.at(-1)).toBe('npx cdk destroy --all --force -c insertWorkers=3 -c stage=dev')
  })

  it('goes on where the bucket is gone already, and stops where AWS refuses to tell', async () => {
    failing = { 'describe-stacks': 'Stack with id Insighta-dev-data does not exist' }
    await destroy('dev', '--yes')
    expect(empty).not.toHaveBeenCalled()
    failing = { 'describe-stacks': 'AccessDenied' }
    await expect(destroy('dev', '--yes')).rejects.toThrow('AccessDenied')
  })

  it('prints a plan that calls nothing of AWS', async () => {
    await destroy('dev', '--dry-run')
    expect(called).toEqual([])
    expect(written).toContain('npx cdk destroy --all --force')
  })

  it('deletes every version of every object, page by page, and says where one stays', async () => {
    const s3 = mockClient(S3Client)
    const version = (Key: string) => ({ Key, VersionId: `${Key}1` })
    s3.on(ListObjectVersionsCommand)
      .resolvesOnce({
        Versions: [version('a')],
        IsTruncated: true,
        NextKeyMarker: 'a',
        NextVersionIdMarker: 'a1',
      })
      .resolves({ DeleteMarkers: [version('b')] })
    s3.on(DeleteObjectsCommand).resolves({})
    expect(await emptyBucket('bucket')).toBe(2)
    expect(s3.commandCalls(ListObjectVersionsCommand)[1]!.args[0].input).toEqual({
      Bucket: 'bucket',
      KeyMarker: 'a',
      VersionIdMarker: 'a1',
    })
    expect(s3.commandCalls(DeleteObjectsCommand).map(({ args }) => args[0].input.Delete?.Objects)).toEqual([
      [version('a')],
      [version('b')],
    ])
    s3.on(DeleteObjectsCommand).resolves({ Errors: [{ Key: 'b', Code: 'AccessDenied', Message: 'no' }] })
    await expect(emptyBucket('bucket')).rejects.toThrow('1 objects of bucket stay: AccessDenied no')
    s3.restore()
  })
})

describe('the shell', () => {
  it('answers what a program writes, and rejects with its complaint where it fails', async () => {
    expect(await shell.read(['node', '-p', '1 + 1'])).toBe('2\n')
    const complain = 'console.error("no region"); process.exit(3)'
    await expect(shell.read(['node', '-e', complain])).rejects.toThrow('no region')
    await expect(shell.run(['node', '-e', 'process.exit(3)'])).rejects.toThrow('process.exit(3) failed (3)')
    await expect(shell.read(['/nonexistent/aws'])).rejects.toThrow('ENOENT')
  })
})
