import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The major version of the `aws` on the PATH: 1 or 2. Undefined without one; its tests are then skipped. */
export const awsCliVersion = findVersion()

function findVersion(): number | undefined {
  try {
    const printed = execFileSync('aws', ['--version'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const version = Number(/^aws-cli\/(\d+)\./.exec(printed)?.[1])
    if (version === 1 || version === 2) return version
    throw new Error(`It says ${printed}`)
  } catch (error) {
    console.warn(`The tests of the AWS CLI are skipped: ${error instanceof Error ? error.message : error}`)
    return undefined
  }
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

/** The `aws` on the PATH, of either version, with settings of its own and without those of this machine. */
export async function openAwsCli({ region, accessKeyId, secretAccessKey }: AwsCliOptions): Promise<AwsCli> {
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
      const { stdout } = await promisify(execFile)('aws', ['--endpoint-url', endpoint, ...args], {
        env: environment,
      })
      return stdout
    },
    close: () => rm(home, { recursive: true, force: true }),
  }
}
