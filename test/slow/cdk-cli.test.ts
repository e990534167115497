import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { App, CfnResource, Stack } from 'aws-cdk-lib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from '../../clients/cli/stages.ts'
import { runCdk } from '../clients/cli/cloudformation/cdk.ts'
import { serve } from '../clients/cli/cloudformation/http.ts'
import { CloudFormation, type Status } from '../clients/cli/cloudformation/model.ts'
import { temporaryFolder } from '../infra/synthesis.ts'

const names = ['a', 'b', 'c', 'd', 'e'].map((part) => `Insighta-test-${part}`)

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
  const app = new App({
    outdir: join(folder.path, 'out'),
    analyticsReporting: false,
    // Needs no assets, and so no bucket.
    context: { '@aws-cdk/core:newStyleStackSynthesis': false },
  })
  const env = { account: '111122223333', region: 'eu-west-1' }
  for (const name of names) {
    const stack = new Stack(app, name, { env })
    new CfnResource(stack, 'Topic', { type: 'AWS::SNS::Topic' })
  }
  app.synth()
})
afterAll(() => folder[Symbol.asyncDispose]())

/** What the CDK CLI itself makes of the stacks, without a terminal; empty if it succeeds, else what it writes. */
async function runCli(words: readonly string[], cloud: CloudFormation): Promise<string> {
  await using endpoint = await serve(cloud)
  const program = join(root, 'node_modules/.bin/cdk')
  const args = [...words, '--app', join(folder.path, 'out'), '--no-notices']
  const env = {
    PATH: process.env.PATH,
    HOME: folder.path,
    CDK_HOME: folder.path,
    CDK_DISABLE_CLI_TELEMETRY: 'true',
    AWS_ENDPOINT_URL: endpoint.url,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_REGION: 'eu-west-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  // Awaited: the endpoint goes when this returns.
  return await new Promise((done) => {
    execFile(program, args, { env, cwd: folder.path }, (error, _, stderr) => done(error ? stderr : ''))
  })
}

type Case = {
  it: string
  words: string[]
  states: (Status | undefined)[]
  prepare?: (cloud: CloudFormation) => void
  says?: RegExp
}
const [a = '', b = '', c = '', d = '', e = ''] = names
const never = ['--require-approval', 'never']

const cases: Case[] = [
  {
    it: 'deploys what is whole, absent, in review, or was never whole, which is deleted first',
    words: ['deploy', a, b, c, d, e, ...never],
    states: [
      'UPDATE_ROLLBACK_COMPLETE',
      undefined,
      'REVIEW_IN_PROGRESS',
      'ROLLBACK_FAILED',
      'ROLLBACK_COMPLETE',
    ],
  },
  {
    it: 'asks before it deploys one in CREATE_FAILED with a rollback',
    words: ['deploy', a, ...never],
    states: ['CREATE_FAILED'],
    says: /terminal \(TTY\) is not attached/,
  },
  {
    it: 'goes on without a rollback, and takes one without a change for done',
    words: ['deploy', a, b, c, '--no-rollback', ...never],
    states: ['CREATE_FAILED', 'UPDATE_FAILED', 'UPDATE_FAILED'],
    prepare: (cloud) => cloud.unchanged.add(c),
  },
  {
    it: 'asks before it replaces a resource of one in UPDATE_FAILED',
    words: ['deploy', a, '--no-rollback', ...never],
    states: ['UPDATE_FAILED'],
    prepare: (cloud) => cloud.replacing.add(a),
    says: /terminal \(TTY\) is not attached/,
  },
  {
    it: 'cannot deploy one in UPDATE_ROLLBACK_FAILED',
    words: ['deploy', a, ...never],
    states: ['UPDATE_ROLLBACK_FAILED'],
    says: /is in UPDATE_ROLLBACK_FAILED state and can not be updated/,
  },
  {
    it: 'cannot deploy one in DELETE_FAILED',
    words: ['deploy', a, ...never],
    states: ['DELETE_FAILED'],
    says: /is in DELETE_FAILED state and can not be updated/,
  },
  {
    it: 'rolls back from each failure without a question',
    words: ['rollback', a, b, c],
    states: ['CREATE_FAILED', 'UPDATE_FAILED', 'UPDATE_ROLLBACK_FAILED'],
  },
  {
    it: 'deletes one whose deletion failed, and no other',
    words: ['destroy', a, '--exclusively', '--force'],
    states: ['DELETE_FAILED', 'UPDATE_COMPLETE'],
  },
  {
    it: 'leaves a creation that failed without a rollback as it is',
    words: ['deploy', a, '--no-rollback', ...never],
    states: [undefined],
    prepare: (cloud) => cloud.fail('change', a),
    says: /CREATE_FAILED/,
  },
]

function cloudOf({ states, prepare }: Case): CloudFormation {
  const cloud = new CloudFormation()
  for (const [index, status] of states.entries()) if (status) cloud.given(names[index]!, status)
  prepare?.(cloud)
  return cloud
}

function runStandIn(words: readonly string[], cloud: CloudFormation): string {
  try {
    runCdk(words, cloud, {})
    return ''
  } catch (error) {
    return String(error)
  }
}

describe('the CDK CLI, and what stands in for it in the tests', () => {
  it.each(cases)('$it', { timeout: 60_000 }, async (tried) => {
    const [real, standIn] = [cloudOf(tried), cloudOf(tried)]
    const said = await runCli(tried.words, real)
    const saidInstead = runStandIn(tried.words, standIn)
    if (tried.says === undefined) expect([said, saidInstead]).toEqual(['', ''])
    else for (const words of [said, saidInstead]) expect(words).toMatch(tried.says)
    expect(standIn.log).toEqual(real.log)
    expect([...standIn.stacks.values()]).toEqual([...real.stacks.values()])
  })
})
