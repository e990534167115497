import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** A program `aws` of this machine. */
export type AwsProgram = { version: 1 | 2; path: string }

/** The first `aws` of each version on the PATH; its tests run with both, and not at all without one. */
export const awsPrograms = findPrograms()

function findPrograms(): AwsProgram[] {
  const found = new Map<number, AwsProgram>()
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'aws')
    const version = versionOf(path)
    if (version !== undefined && !found.has(version)) found.set(version, { version, path })
  }
  if (found.size === 0) console.warn('The tests of the AWS CLI are skipped: no aws is on the PATH')
  return [...found.values()]
}

function versionOf(path: string): AwsProgram['version'] | undefined {
  if (!existsSync(path)) return undefined
  // A shim of a version manager may stand in the PATH without the program behind it.
  const { stdout = '' } = spawnSync(path, ['--version'], { encoding: 'utf8' })
  const version = Number(/^aws-cli\/(\d+)\./.exec(stdout)?.[1])
  return version === 1 || version === 2 ? version : undefined
}

export type AwsCliOptions = {
  region: string
  accessKeyId: string
  secretAccessKey: string
}

export type AwsCli = {
  /** An empty folder, for files of the test. */
  folder: string
  /** What a command prints. Rejects with what it says on standard error. */
  run(endpoint: string, ...args: string[]): Promise<string>
  close(): Promise<void>
}

/** The `aws` of either version with settings of its own and without those of this machine. */
export async function openAwsCli(
  { path }: AwsProgram,
  { region, accessKeyId, secretAccessKey }: AwsCliOptions,
): Promise<AwsCli> {
  const home = await mkdtemp(join(tmpdir(), 'insighta-aws-cli-'))
  const folder = await mkdtemp(join(home, 'files-'))
  // Each version passes over the setting of the other: version 1 presigns with the withdrawn signature version 2
  // unless told, and version 2 takes the payload of an invocation for base64.
  const settings = [
    '[default]',
    's3 =',
    '  signature_version = s3v4',
    'cli_binary_format = raw-in-base64-out',
  ]
  const config = join(home, 'config')
  await writeFile(config, `${settings.join('\n')}\n`)
  const environment = {
    PATH: process.env.PATH,
    HOME: home,
    AWS_CONFIG_FILE: config,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_DEFAULT_REGION: region,
    AWS_DEFAULT_OUTPUT: 'json',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
  }
  return {
    folder,
    async run(endpoint, ...args) {
      const { stdout } = await promisify(execFile)(path, ['--endpoint-url', endpoint, ...args], {
        env: environment,
      })
      return stdout
    },
    close: () => rm(home, { recursive: true, force: true }),
  }
}
