import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type CloudFormation, Refusal, type Stack } from './model.ts'

const account = '111122223333'
const region = 'eu-west-1'
const idOf = (name: string) => `arn:aws:cloudformation:${region}:${account}:stack/${name}/0b1c`

/** The name in a name or an ARN. */
const nameOf = (id: string) => (id.startsWith('arn:') ? (id.split('/')[1] ?? '') : id)

export type Endpoint = AsyncDisposable & { url: string; actions: string[] }

/** The account's CloudFormation, and what else has a query protocol, on a port of loopback. */
export async function serve(cloud: CloudFormation): Promise<Endpoint> {
  const actions: string[] = []
  const server = createServer(async (request, response) => {
    const form = new URLSearchParams(await text(request))
    const action = form.get('Action') ?? ''
    actions.push(action)
    response.setHeader('content-type', 'text/xml')
    try {
      const result = answer(cloud, action, form)
      response.end(`<${action}Response><${action}Result>${result}</${action}Result></${action}Response>`)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      response.statusCode = 400
      response.end(
        `<ErrorResponse><Error><Type>Sender</Type><Code>${error.code}</Code><Message>${error.message}</Message></Error></ErrorResponse>`,
      )
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    actions,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function answer(cloud: CloudFormation, action: string, form: URLSearchParams): string {
  const id = form.get('StackName') ?? ''
  const name = nameOf(id)
  const flag = (key: string) => form.get(key) === 'true'
  switch (action) {
    case 'GetCallerIdentity':
      return `<Arn>arn:aws:iam::${account}:user/a</Arn><UserId>a</UserId><Account>${account}</Account>`
    case 'DescribeStacks':
      return `<Stacks>${describeStack(name === 'CDKToolkit' ? toolkit : existing(cloud, id))}</Stacks>`
    case 'ListStackResources':
      return `<StackResourceSummaries>${existing(cloud, id).data.map(describeResource).join('')}</StackResourceSummaries>`
    case 'DescribeDBEngineVersions':
      return `<DBEngineVersions>${['18.5', '18.6'].map(describeVersion).join('')}</DBEngineVersions>`
    case 'ListSubscriptionsByTopic':
      return `<Subscriptions>${['PendingConfirmation', `${form.get('TopicArn')}:0b1c`].map(describeSubscription).join('')}</Subscriptions>`
    case 'GetTemplate':
      existing(cloud, id)
      return '<TemplateBody>{}</TemplateBody>'
    case 'CreateChangeSet':
      cloud.createChangeSet(name, form.get('ChangeSetType') === 'CREATE' ? 'CREATE' : 'UPDATE')
      return `<Id>arn:aws:cloudformation:${region}:${account}:changeSet/${form.get('ChangeSetName')}/1</Id><StackId>${idOf(name)}</StackId>`
    case 'DescribeChangeSet':
      return describeChangeSet(cloud, name)
    case 'DeleteChangeSet':
      cloud.deleteChangeSet(name)
      return ''
    case 'ExecuteChangeSet':
      cloud.executeChangeSet(name, flag('DisableRollback'))
      return ''
    case 'RollbackStack':
      cloud.rollbackStack(name)
      return `<StackId>${idOf(name)}</StackId>`
    case 'ContinueUpdateRollback':
      cloud.continueUpdateRollback(name)
      return ''
    case 'DeleteStack':
      cloud.deleteStack(name)
      return ''
    case 'DescribeStackEvents':
      return '<StackEvents></StackEvents>'
    default:
      throw new Refusal(`The stand-in knows no ${action}`)
  }
}

const toolkit: Stack = { name: 'CDKToolkit', status: 'CREATE_COMPLETE', whole: true, data: [] }

function existing(cloud: CloudFormation, id: string): Stack {
  const stack = cloud.describe(nameOf(id))
  if (!stack) throw new Refusal(`Stack with id ${id} does not exist`)
  return stack
}

function describeStack({ name, status }: Stack): string {
  return (
    `<member><StackName>${name}</StackName><StackId>${idOf(name)}</StackId><StackStatus>${status}</StackStatus>` +
    '<CreationTime>2026-01-01T00:00:00Z</CreationTime><Outputs><member><OutputKey>BootstrapVersion</OutputKey>' +
    '<OutputValue>30</OutputValue></member><member><OutputKey>BucketName</OutputKey><OutputValue>b</OutputValue>' +
    '</member><member><OutputKey>BucketDomainName</OutputKey><OutputValue>b</OutputValue></member></Outputs></member>'
  )
}

/** What is left of a stack with data, beside what CloudFormation has deleted. */
function describeResource(id: string): string {
  const member = (name: string, type: string, status: string) =>
    `<member><LogicalResourceId>${name}</LogicalResourceId><ResourceType>${type}</ResourceType>` +
    `<ResourceStatus>${status}</ResourceStatus></member>`
  return (
    member(id, 'AWS::RDS::DBCluster', 'DELETE_SKIPPED') +
    member(`${id}Policy`, 'AWS::IAM::Policy', 'DELETE_COMPLETE')
  )
}

const describeVersion = (version: string) =>
  `<DBEngineVersion><Engine>aurora-postgresql</Engine><EngineVersion>${version}</EngineVersion></DBEngineVersion>`

const describeSubscription = (arn: string) =>
  `<member><SubscriptionArn>${arn}</SubscriptionArn><Protocol>email</Protocol></member>`

function describeChangeSet(cloud: CloudFormation, name: string): string {
  if (cloud.stacks.get(name)?.changeSet === undefined) {
    throw new Refusal(`ChangeSet of ${name} does not exist`, 'ChangeSetNotFound')
  }
  if (cloud.unchanged.has(name)) {
    return `<StackId>${idOf(name)}</StackId><Status>FAILED</Status><StatusReason>The submitted information didn't contain changes.</StatusReason>`
  }
  const policy = cloud.replacing.has(name) ? '<PolicyAction>ReplaceAndDelete</PolicyAction>' : ''
  return (
    `<StackId>${idOf(name)}</StackId><StackName>${name}</StackName><ChangeSetName>cdk-deploy-change-set</ChangeSetName>` +
    '<ChangeSetId>c</ChangeSetId><Status>CREATE_COMPLETE</Status><ExecutionStatus>AVAILABLE</ExecutionStatus>' +
    '<CreationTime>2026-01-01T00:00:00Z</CreationTime>' +
    `<Changes><member><Type>Resource</Type><ResourceChange>${policy}<Action>Modify</Action>` +
    '<LogicalResourceId>Topic</LogicalResourceId><ResourceType>AWS::SNS::Topic</ResourceType></ResourceChange>' +
    '</member></Changes>'
  )
}
