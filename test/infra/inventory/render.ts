import type { Resource, Statement } from '../synthesis.ts'

/** Properties that tell a reader which one a resource is, the best first. */
const naming = [
  'EventSourceArn',
  'QueueName',
  'FunctionName',
  'BucketName',
  'DashboardName',
  'AlarmName',
  'RouteKey',
  'ScheduleExpression',
  'ServiceName',
  'DBInstanceClass',
  'MetricName',
  'Name',
]

/**
 * What a person looks at when the templates change: each resource as `stack  logical id  type  name`, then what
 * each role may do as `stack  who  actions  resource`, then who else may use a resource. Sorted, so that one
 * change is one line.
 */
export function renderInventory(resources: Resource[]): string {
  return [
    section(
      'Resources: stack, logical id, type, name',
      resources.map((resource) => line(resource.stack, stableId(resource), resource.Type, nameOf(resource))),
    ),
    section('Permissions: stack, who, actions, on what', resources.flatMap(permissionsOf(resources))),
    section('Let in: stack, by what, who, actions, on what', resources.flatMap(letIn)),
  ].join('\n')
}

function section(title: string, lines: string[]): string {
  return `# ${title}\n\n${lines.sort().join('\n')}\n`
}

function line(...columns: string[]): string {
  return columns.filter((column) => column !== '').join('  ')
}

/** The id of a version ends in a hash of the function, code and all. */
function stableId({ id, Type }: Resource): string {
  return Type === 'AWS::Lambda::Version' ? id.replace(/[0-9a-f]{32}$/, '*') : id
}

function nameOf({ Properties }: Resource): string {
  const properties = new Map(Object.entries(Properties ?? {}))
  const service = Properties?.Environment?.Variables.POWERTOOLS_SERVICE_NAME
  if (service !== undefined) return render(service)
  const key = naming.find((candidate) => properties.has(candidate))
  return key === undefined ? '' : render(properties.get(key))
}

/** What the roles of this resource are allowed: of a role its managed and inline policies, of a policy itself. */
function permissionsOf(resources: Resource[]): (resource: Resource) => string[] {
  return (resource) => {
    const { stack, Type, Properties } = resource
    const properties: Record<string, unknown> = Properties ?? {}
    if (Type === 'AWS::IAM::Role') {
      const who = holder(resources, stack, resource.id)
      const managed = list(properties.ManagedPolicyArns).map((arn) =>
        line(stack, who, 'managed', render(arn)),
      )
      const inline = list(properties.Policies).flatMap((policy) =>
        statementsOf(policy).map((statement) => line(stack, who, allowed(statement))),
      )
      return [...managed, ...inline]
    }
    if (Type !== 'AWS::IAM::Policy' && Type !== 'AWS::IAM::ManagedPolicy') return []
    return list(properties.Roles).flatMap((role) =>
      statementsOf(properties).map((statement) =>
        line(stack, holder(resources, stack, referenced(role)), allowed(statement)),
      ),
    )
  }
}

/** The function whose role it is, by the name of the product; else the role itself. */
function holder(resources: Resource[], stack: string, role: string): string {
  const user = resources.find((resource) => {
    const properties: Record<string, unknown> = resource.Properties ?? {}
    return resource.stack === stack && referenced(properties.Role) === role
  })
  return user ? nameOf(user) || user.id : role
}

/** What resource policies, trust policies and permissions of Lambda let in. */
function letIn({ stack, id, Type, Properties }: Resource): string[] {
  const properties: Record<string, unknown> = Properties ?? {}
  if (Type === 'AWS::Lambda::Permission') {
    const { Action, FunctionName, Principal, SourceArn } = properties
    const caller = line(render(Principal), SourceArn === undefined ? '' : render(SourceArn))
    return [line(stack, 'permission', caller, render(Action), render(FunctionName))]
  }
  if (Type === 'AWS::IAM::Role') {
    return statementsOf({ PolicyDocument: properties.AssumeRolePolicyDocument }).map((statement) =>
      line(stack, id, principal(statement), allowed(statement)),
    )
  }
  if (Type === 'AWS::Logs::ResourcePolicy') {
    // Its document is a text, which the intrinsics leave JSON.
    const PolicyDocument: unknown = JSON.parse(render(properties.PolicyDocument))
    return statementsOf({ PolicyDocument }).map((statement) =>
      line(stack, id, principal(statement), allowed(statement)),
    )
  }
  if (!Type.endsWith('Policy') || Type.startsWith('AWS::IAM::')) return []
  return statementsOf(properties).map((statement) =>
    line(stack, id, principal(statement), allowed(statement)),
  )
}

function principal({ Principal }: Statement): string {
  return Principal === undefined ? '' : render(Principal)
}

function allowed({ Effect, Action, Resource: resource, Condition }: Statement): string {
  const denied = Effect === 'Deny' ? 'DENY ' : ''
  const actions = list(Action).map(render).sort().join(', ')
  const condition = Condition === undefined ? '' : `if ${render(Condition)}`
  return line(denied + actions, list(resource).map(render).sort().join(', '), condition)
}

/** None where the document is not there or not one of the template's own, as that of a CloudFront function. */
function statementsOf(holder: unknown): Statement[] {
  const { PolicyDocument } = holder as { PolicyDocument?: { Statement?: Statement | Statement[] } }
  return list(PolicyDocument?.Statement) as Statement[]
}

function list(value: unknown): unknown[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

/** The logical id that a Ref or a GetAtt names; the empty text for anything else. */
function referenced(value: unknown): string {
  return /"(?:Ref|Fn::GetAtt)":\[?"(\w+)"/.exec(JSON.stringify(value ?? null))?.[1] ?? ''
}

/** An intrinsic as `Id`, `Id.Attribute`, `stack:Export` or the text that it joins; the rest as `key: value`. */
function render(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return value.map(render).join(', ')
  const [key = '', inner] = Object.entries(value)[0] ?? []
  if (key === 'Ref') return `{${String(inner)}}`
  if (key === 'Fn::GetAtt' && Array.isArray(inner)) return `{${inner.join('.')}}`
  if (key === 'Fn::Join' && Array.isArray(inner)) return inner[1].map(render).join(inner[0])
  if (key === 'Fn::Sub') return render(list(inner)[0])
  if (key === 'Fn::ImportValue') {
    return `{${String(inner).replace(/^Insighta-[a-z]+-(\w+):ExportsOutput/, '$1:')}}`
  }
  const parts = Object.entries(value).map(([name, part]) => `${name}: ${render(part)}`)
  return parts.join(', ')
}
