import {
  DeleteObjectsCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  S3Client,
} from '@aws-sdk/client-s3'
import { Command } from 'commander'
import { run } from './run.ts'
import {
  type Context,
  cdk,
  contextOf,
  contextOption,
  dataStackCommand,
  identity,
  identityCommand,
  readDataStack,
  root,
  type Shell,
  type StageName,
  shell,
  stageArgument,
  typed,
} from './stages.ts'

export type DestroyOptions = { context?: Context; dryRun?: boolean; yes?: boolean }
export type DestroyTools = {
  shell: Shell
  write(text: string): void
  folder: string
  /** Deletes every object and every version of one, and answers how many. */
  empty(bucket: string): Promise<number>
}

const bucketQuery = "Stacks[0].Outputs[?OutputKey=='UploadBucketName'].OutputValue"

/**
 * Takes a stage away with all that it stores. Rejects for prod, whose database is protected and whose data
 * outlives its stacks, and unless `yes` says that it is meant.
 */
export async function destroy(stage: StageName, options: DestroyOptions, tools: DestroyTools): Promise<void> {
  const { shell: at, write } = tools
  if (stage === 'prod') {
    throw new Error('prod is not destroyed by a command: docs/deploying.md tells what keeps its data')
  }
  const context = await contextOf(stage, options.context ?? {}, tools.folder)
  // A distribution goes first, in its own region, and is minutes away from every edge.
  const destruction = cdk(['destroy', '--all', '--force'], context)
  if (options.dryRun) {
    const commands = [identityCommand, dataStackCommand(stage, bucketQuery)].map(typed)
    const emptying = 'every object of that bucket is deleted, with all versions'
    write(
      `${[`The plan for ${stage}; nothing is called.`, '', ...commands, emptying, typed(destruction)].join('\n')}\n`,
    )
    return
  }
  const { account, arn } = await identity(at)
  if (!options.yes) {
    throw new Error(
      `This takes ${stage} out of the account ${account}, with its database and every upload. Add --yes if you mean it`,
    )
  }
  write(`${stage} leaves the account ${account}, as ${arn}\n`)
  const bucket = await bucketOf(stage, at)
  // CloudFormation deletes no bucket that holds something.
  if (bucket !== '') write(`${await tools.empty(bucket)} objects deleted from ${bucket}\n`)
  await at.run(destruction)
}

/** Empty where the stack, or its bucket, is gone: a destruction that failed half way is begun again. */
async function bucketOf(stage: StageName, at: Shell): Promise<string> {
  const answer = await readDataStack(stage, bucketQuery, at)
  return answer === undefined || answer === 'None' ? '' : answer
}

/** Deletes every object of a bucket and every version of one. Answers how many; rejects where one stays. */
export async function emptyBucket(bucket: string, client = new S3Client({})): Promise<number> {
  let deleted = 0
  let next: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } | undefined = {}
  while (next) {
    const page: ListObjectVersionsCommandOutput = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, ...next }),
    )
    const objects = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ Key, VersionId }) => ({
      Key,
      VersionId,
    }))
    if (objects.length > 0) {
      const { Errors = [] } = await client.send(
        new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects, Quiet: true } }),
      )
      const [first] = Errors
      if (first) throw new Error(`${Errors.length} objects of ${bucket} stay: ${first.Code} ${first.Message}`)
      deleted += objects.length
    }
    next = page.IsTruncated
      ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
      : undefined
  }
  return deleted
}

/** The command line `destroy <stage>`. */
export function destroyProgram(tools: DestroyTools): Command {
  return new Command('destroy')
    .description('Take a stage out of its AWS account, with everything that it stores')
    .argument('<stage>', 'dev; prod is refused', stageArgument)
    .option('-c, --context <key=value>', 'as it was deployed with', contextOption)
    .option('--dry-run', 'print the plan; calls nothing of AWS')
    .option('--yes', 'it is meant')
    .action((stage: StageName, options: DestroyOptions) => destroy(stage, options, tools))
}

if (import.meta.main) {
  const write = (text: string) => void process.stdout.write(text)
  await run(destroyProgram({ shell, write, folder: root, empty: (bucket) => emptyBucket(bucket) }))
}
