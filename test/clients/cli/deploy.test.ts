import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DeleteObjectsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3'
import { mockClient } from 'aws-sdk-client-mock'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { deployProgram } from '../../../clients/cli/deploy.ts'
import { destroyProgram, emptyBucket } from '../../../clients/cli/destroy.ts'
import { type Shell, shell, typed } from '../../../clients/cli/stages.ts'
import { needed, stageWith, temporaryFolder, writeStubs } from '../../infra/synthesis.ts'

const outputs = {
  'Insighta-dev-interviews': {
    GeminiSecretName: 'insighta-dev-gemini',
    AgentSecretName: 'insighta-dev-agent',
  },
  'Insighta-dev-api': { ApiUrl: 'https://api.example', KeysFunctionName: 'keys-function' },
}
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
const smoke = vi.fn(async () => {})
const empty = vi.fn(async () => 3)

/** AWS and the CDK as far as the commands use them; what a failing one writes is in `failing`. */
const aws: Shell = {
  async run(command) {
    called.push(typed(command))
    const failed = Object.keys(failing).find((part) => typed(command).includes(part))
    if (failed) throw new Error(failing[failed])
    if (command.includes('deploy')) {
      await writeFile(join(folder, 'cdk.out/outputs-dev.json'), JSON.stringify(outputs))
    }
  },
  async read(command) {
    const line = typed(command)
    called.push(line)
    const failed = Object.keys(failing).find((part) => line.includes(part))
    if (failed) throw new Error(failing[failed])
    if (line.includes('get-caller-identity')) {
      return JSON.stringify({ Account: '111122223333', Arn: 'arn:aws:iam::111122223333:user/a' })
    }
    if (line.includes('describe-secret')) return JSON.stringify(secrets[command[4]!])
    if (line.includes('cdk list')) return 'Insighta-dev-network\nInsighta-dev-data\n'
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
})
beforeEach(() => {
  called = []
  written = ''
  failing = {}
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
    expect(called.slice(0, 2)).toEqual([
      'aws sts get-caller-identity --output json',
      'npx cdk deploy --all --outputs-file cdk.out/outputs-dev.json --require-approval never ' +
        '-c insertWorkers=3 -c cache=valkey -c consoleOrigins=https://a.example -c stage=dev',
    ])
    expect(smoke).toHaveBeenCalledExactlyOnceWith(
      'https://api.example',
      expect.objectContaining({ patience: 120 }),
    )
    expect(written).toContain('dev in the account 111122223333')
  })

  it('leaves the question about permissions to the CDK unless told', async () => {
    await deploy('dev')
    expect(called[1]).not.toContain('--require-approval')
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
    expect(written).toContain('npx cdk deploy --all')
    expect(written).toContain('Insighta-dev-network\nInsighta-dev-data\n')
    expect(smoke).not.toHaveBeenCalled()
  })

  it('prints what would change by templates alone, which needs no right to make a change set', async () => {
    await deploy('dev', '--diff')
    expect(called[1]).toBe('npx cdk diff --method template -c insertWorkers=3 -c stage=dev')
    expect(called).toHaveLength(2)
    expect(written).toBe('')
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
    await deployProgram({ shell, write, folder, smoke }).parseAsync(
      ['dev', '--dry-run', '-c', `assets=${assets}`],
      { from: 'user' },
    )
    expect(written).toMatch(/Insighta-dev-network\nInsighta-dev-data\n[\s\S]*Insighta-dev-api\n/)
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
