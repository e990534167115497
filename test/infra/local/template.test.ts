import { expect, test } from 'vitest'
import { LookupError, mentions, resolve, type Scope } from '../../../infra/local/template.ts'

const scope: Scope = {
  pseudo: { 'AWS::Region': 'eu-west-1', 'AWS::AccountId': '000000000000', 'AWS::StackName': 'Shop' },
  async ref(id) {
    if (id !== 'Queue') throw new LookupError(`there is no resource ${id} in the stack`)
    return 'http://queue'
  },
  attribute: async (id, name) => `${id}/${name}`,
  exported: async (name) => `exported ${name}`,
  stackOutput: async (stack, output) => `${stack}:${output}`,
  secret: async (id, key) => `<${id}|${key}>`,
}
/** `$` apart from its brace: the linter takes a placeholder in a plain string for a forgotten template. */
const sub = (text: string) => text.replaceAll('@{', `${'$'}{`)
const resolved = (value: unknown) => resolve(value, scope, 'Shop/Thing.Property')

test.each([
  [{ Ref: 'Queue' }, 'http://queue'],
  [{ Ref: 'AWS::Region' }, 'eu-west-1'],
  [{ 'Fn::GetAtt': ['Db', 'Endpoint.Port'] }, 'Db/Endpoint.Port'],
  [{ 'Fn::GetAtt': 'Db.Endpoint.Port' }, 'Db/Endpoint.Port'],
  [{ 'Fn::Join': ['-', ['a', { Ref: 'Queue' }, 1]] }, 'a-http://queue-1'],
  [{ 'Fn::Join': [',', { 'Fn::GetAZs': '' }] }, 'eu-west-1a,eu-west-1b,eu-west-1c'],
  [
    { 'Fn::Sub': sub('x-@{AWS::Region}-@{Queue}-@{Db.Arn}-@{!literal}') },
    sub('x-eu-west-1-http://queue-Db/Arn-@{literal}'),
  ],
  [{ 'Fn::Sub': [sub('@{name} @{Queue}'), { name: { Ref: 'AWS::StackName' } }] }, 'Shop http://queue'],
  [{ 'Fn::Select': [1, { 'Fn::Split': ['/', 'a/b/c'] }] }, 'b'],
  [{ 'Fn::Select': ['0', { 'Fn::GetAZs': { Ref: 'AWS::Region' } }] }, 'eu-west-1a'],
  [{ 'Fn::ImportValue': 'other:Name' }, 'exported other:Name'],
  [{ 'Fn::GetStackOutput': { StackName: 'S', Region: 'r', OutputName: 'O' } }, 'S:O'],
  [{ kept: 1, gone: { Ref: 'AWS::NoValue' } }, { kept: 1 }],
  [
    [1, { Ref: 'AWS::NoValue' }, 2],
    [1, 2],
  ],
  ['{{resolve:secretsmanager:name:SecretString:key::}}', '<name|key>'],
  ['{{resolve:secretsmanager:name}}', '<name|>'],
  [
    {
      'Fn::Join': [
        '',
        [
          '{{resolve:secretsmanager:',
          'arn:aws:secretsmanager:r:0:secret:n-AbCdEf',
          ':SecretString:password::}}',
        ],
      ],
    },
    '<arn:aws:secretsmanager:r:0:secret:n-AbCdEf|password>',
  ],
])('%j becomes %j', async (value, expected) => {
  expect(await resolved(value)).toEqual(expected)
})

test.each([
  [{ 'Fn::If': ['c', 1, 2] }, /Fn::If is not supported/],
  [{ a: [{ 'Fn::FindInMap': [] }] }, /Shop\/Thing\.Property\.a\[0\]: Fn::FindInMap/],
  [{ Ref: 'Nothing' }, /Shop\/Thing\.Property: there is no resource Nothing/],
  [{ Ref: 'AWS::Unheard' }, /pseudo parameter AWS::Unheard/],
  [{ 'Fn::Join': ['-', 'text'] }, /Fn::Join has an argument/],
  [{ 'Fn::Select': [9, ['a']] }, /no item 9/],
  ['{{resolve:ssm:/name}}', /only \{\{resolve:secretsmanager/],
])('%j is refused with the place of its use', async (value, message) => {
  await expect(resolved(value)).rejects.toThrow(message)
})

test('what a value mentions is found in every form', () => {
  const value = [
    { Ref: 'A' },
    { 'Fn::GetAtt': 'B.Arn' },
    { 'Fn::GetAtt': ['C', 'Arn'] },
    { 'Fn::Sub': [sub('@{D} @{E.Arn} @{own} @{AWS::Region} @{!no}'), { own: { Ref: 'F' } }] },
    { Ref: 'AWS::Region' },
  ]
  expect([...mentions(value)].sort()).toEqual(['A', 'B', 'C', 'D', 'E', 'F'])
})
