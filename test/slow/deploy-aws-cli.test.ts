import { spawnSync } from 'node:child_process'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { engineProblem } from '../../clients/cli/engine.ts'
import { subscriptionsCommand } from '../../clients/cli/last-words.ts'
import { findAll, readStack } from '../../clients/cli/stacks.ts'
import { identity, shell } from '../../clients/cli/stages.ts'
import { type Endpoint, serve } from '../clients/cli/cloudformation/http.ts'
import { CloudFormation } from '../clients/cli/cloudformation/model.ts'

// A shim of a version manager may stand in the PATH without the program behind it.
const present = spawnSync('aws', ['--version']).status === 0

let endpoint: Endpoint
let cloud: CloudFormation
beforeEach(async () => {
  cloud = new CloudFormation()
  endpoint = await serve(cloud)
  vi.stubEnv('AWS_ENDPOINT_URL', endpoint.url)
  // Version 1 does not read AWS_REGION.
  vi.stubEnv('AWS_DEFAULT_REGION', 'eu-west-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test')
  vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent')
  vi.stubEnv('AWS_PROFILE', undefined)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await endpoint[Symbol.asyncDispose]()
})

describe.skipIf(!present)('the AWS CLI, where it is installed', () => {
  it('says how stacks stand, whatever is left of them, and that there is none', async () => {
    cloud.given('Insighta-prod-data', 'ROLLBACK_COMPLETE', { data: ['Database'] })
    cloud.given('Insighta-prod-web', 'UPDATE_COMPLETE')
    expect(await findAll(['Insighta-prod-data', 'Insighta-prod-api', 'Insighta-prod-web'], shell)).toEqual([
      { stack: 'Insighta-prod-data', status: 'ROLLBACK_COMPLETE', left: ['Database (AWS::RDS::DBCluster)'] },
      { stack: 'Insighta-prod-api', left: [] },
      { stack: 'Insighta-prod-web', status: 'UPDATE_COMPLETE', left: [] },
    ])
    const output = (key: string) => `Stacks[0].Outputs[?OutputKey=='${key}'].OutputValue`
    expect(await readStack('Insighta-prod-web', output('BucketName'), shell)).toEqual(['b'])
    expect(await readStack('Insighta-prod-web', output('Other'), shell)).toEqual([])
  }, 60_000)

  it('says who asks, which engines there are and who listens to a topic', async () => {
    expect(await identity(shell)).toEqual({
      account: '111122223333',
      arn: 'arn:aws:iam::111122223333:user/a',
    })
    const engine = { stack: 'Insighta-prod-data', name: 'aurora-postgresql' }
    expect(await engineProblem({ ...engine, version: '18.6' }, shell)).toBeUndefined()
    expect(await engineProblem({ ...engine, version: '18' }, shell)).toBeUndefined()
    expect(await engineProblem({ ...engine, version: '18.7' }, shell)).toContain('but 18.5, 18.6.')
    const topic = 'arn:aws:sns:us-east-1:111122223333:Insighta-prod-web-Alarms'
    expect(JSON.parse(await shell.read(subscriptionsCommand(topic)))).toEqual([
      'PendingConfirmation',
      `${topic}:0b1c`,
    ])
  }, 60_000)
})
