import { describe, expect, it } from 'vitest'
import { renderInventory } from './inventory/render.ts'
import { type Resource, synthesise } from './synthesis.ts'

/** The stages whose inventory is kept, each in a file of its own. */
const stages: { file: string; context: Record<string, string> }[] = [
  { file: 'dev', context: { stage: 'dev' } },
  { file: 'prod', context: { stage: 'prod' } },
  { file: 'prod-valkey', context: { stage: 'prod', cache: 'valkey' } },
]

const accept =
  'Resources or permissions changed. If that is meant: npm run vitest -- run test/infra/inventory.test.ts -u, and commit the difference'

describe('the inventory of resources and permissions', () => {
  it.each(stages)('of $file is the one that was looked at', async ({ file, context }) => {
    const inventory = renderInventory(await synthesise(context))
    await expect(inventory, accept).toMatchFileSnapshot(`./inventory/${file}.txt`)
  })

  it('shows one permission more as one line more, under the name of the function', () => {
    const lambda: Resource = {
      id: 'Worker1',
      stack: 'imports',
      Type: 'AWS::Lambda::Function',
      Properties: {
        Environment: { Variables: { POWERTOOLS_SERVICE_NAME: 'worker' } },
        ...{ Role: { 'Fn::GetAtt': ['Role1', 'Arn'] } },
      },
    }
    const policy = (...actions: string[]): Resource => ({
      id: 'Policy1',
      stack: 'imports',
      Type: 'AWS::IAM::Policy',
      Properties: {
        ...{ Roles: [{ Ref: 'Role1' }] },
        PolicyDocument: {
          Statement: actions.map((Action) => ({
            Effect: 'Allow',
            Action,
            Resource: { 'Fn::Join': ['', [{ 'Fn::GetAtt': ['Bucket1', 'Arn'] }, '/uploads/*']] },
          })),
        },
      },
    })
    const before = renderInventory([lambda, policy('s3:GetObject')]).split('\n')
    const after = renderInventory([lambda, policy('s3:GetObject', 's3:PutObject')]).split('\n')
    expect(after.filter((line) => !before.includes(line))).toEqual([
      'imports  worker  s3:PutObject  {Bucket1.Arn}/uploads/*',
    ])
  })
})
