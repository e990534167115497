import {
  DeleteObjectsCommand,
  ListObjectVersionsCommand,
  type ListObjectVersionsCommandOutput,
  S3Client,
} from '@aws-sdk/client-s3'
import { Command } from 'commander'
import * as z from 'zod'
import { isAbsent, isCalled } from './recovery.ts'
import { run } from './run.ts'
import { findAll, findSettled, readStack, stackCommand, stateQuery, type Waiting } from './stacks.ts'
import {
  type Context,
  cdk,
  contextOf,
  contextOption,
  identity,
  identityCommand,
  root,
  type Shell,
  type StageName,
  shell,
  stackNames,
  stageArgument,
  typed,
} from './stages.ts'

export type DestroyOptions = { context?: Context; dryRun?: boolean; yes?: boolean }
export type DestroyTools = Waiting & {
  folder: string
  /** Deletes every object and every version of one, and returns how many. */
  empty(bucket: string): Promise<number>
}

const bucketQuery = "Stacks[0].Outputs[?OutputKey=='UploadBucketName'].OutputValue"

/**
 * Takes a stage away with all that it stores, whatever state its stacks are in; the same command goes on after
 * a failure. Rejects for prod, whose database is protected and whose data outlives its stacks, and unless `yes`
 * says that it is meant.
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
    const looks = (await stackNames(context, at)).map((stack) => stackCommand(stack, stateQuery))
    const commands = [identityCommand, ...looks, stackCommand(dataStack(stage), bucketQuery)].map(typed)
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
  const stacks = await stackNames(context, at)
  // CloudFormation deletes no stack that it works on.
  await findSettled(stacks, tools)
  const bucket = await bucketOf(stage, at)
  // CloudFormation deletes no bucket that holds something.
  if (bucket !== '') write(`${await tools.empty(bucket)} objects deleted from ${bucket}\n`)
  try {
    await at.run(destruction)
  } catch (cause) {
    const left = (await findAll(stacks, at)).filter((found) => !isAbsent(found)).map(isCalled)
    const message = cause instanceof Error ? cause.message : String(cause)
    const lines = [message, '', ...left, 'Run the same command again: it goes on from there.']
    throw new Error(lines.join('\n'), { cause })
  }
}

const dataStack = (stage: StageName) => `Insighta-${stage}-data`
const bucketSchema = z.array(z.string()).nullable()

/** Empty if the stack, or its bucket, is gone: a destruction that failed half way is begun again. */
async function bucketOf(stage: StageName, at: Shell): Promise<string> {
  const answer = await readStack(dataStack(stage), bucketQuery, at)
  return answer === undefined ? '' : (bucketSchema.parse(answer)?.[0] ?? '')
}

/** Deletes every object of a bucket and every version of one. Returns how many; rejects if one stays. */
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
  const empty = (bucket: string) => emptyBucket(bucket)
  await run(destroyProgram({ shell, write, folder: root, empty, pause: 15_000 }))
}
