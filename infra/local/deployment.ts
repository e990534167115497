import type { Stack, TemplateResource } from './assembly.ts'
import type { Adapter, Created, ResourceContext } from './resources/adapter.ts'
import type { Services } from './resources/services.ts'
import { LookupError, mentions, resolve, type Scope } from './template.ts'

export type Registry = {
  adapters: ReadonlyMap<string, Adapter>
  /** Types that mean nothing on one machine. */
  withoutEffect(type: string): boolean
}

export type Deployment = {
  /** `<stack>.<output>` to its value. */
  outputs: ReadonlyMap<string, unknown>
  /** One line each for what the templates ask for and does not exist here. */
  warnings: string[]
  /** One line each for what is known to be otherwise than on AWS. */
  differences: string[]
}

export type DeployOptions = {
  stacks: readonly Stack[]
  registry: Registry
  services: Services
  secretField(secretId: string, key: string): Promise<string>
}

/**
 * Creates the resources of every stack, one stack after the other and within a stack each as soon as what it
 * mentions exists, as CloudFormation does. Throws at the first resource that cannot be created.
 */
export async function deploy(options: DeployOptions): Promise<Deployment> {
  const outputs = new Map<string, unknown>()
  const exported = new Map<string, unknown>()
  const warnings: string[] = []
  const differences: string[] = []
  for (const stack of options.stacks) {
    await deployStack(stack, { ...options, outputs, exported, warnings, differences })
  }
  return { outputs, warnings, differences }
}

type StackRun = DeployOptions & {
  outputs: Map<string, unknown>
  exported: Map<string, unknown>
  warnings: string[]
  differences: string[]
}

async function deployStack(stack: Stack, run: StackRun): Promise<void> {
  const machinery = customResourceProviders(stack)
  const dependencies = dependenciesOf(stack)
  refuseCircles(stack.name, dependencies)
  const started = new Map<string, Promise<Created>>()

  const provision = (id: string): Promise<Created> => {
    const resource = stack.resources.get(id)
    if (!resource) throw new LookupError(`there is no resource ${id} in the stack`)
    const existing = started.get(id)
    if (existing) return existing
    const promise = create(id, resource)
    started.set(id, promise)
    return promise
  }

  const scope: Scope = {
    pseudo: {
      'AWS::AccountId': stack.accountId,
      'AWS::Region': stack.region,
      'AWS::Partition': 'aws',
      'AWS::StackName': stack.name,
      'AWS::StackId': `arn:aws:cloudformation:${stack.region}:${stack.accountId}:stack/${stack.name}/local`,
      'AWS::URLSuffix': 'amazonaws.com',
      'AWS::NotificationARNs': [],
    },
    async ref(id) {
      return (await provision(id)).ref
    },
    async attribute(id, name) {
      const { attributes = {}, anyAttribute } = await provision(id)
      if (anyAttribute) return anyAttribute(name)
      if (!Object.hasOwn(attributes, name)) throw new LookupError(`${id} has no attribute ${name} here`)
      return attributes[name]
    },
    async exported(name) {
      if (!run.exported.has(name)) throw new LookupError(`no stack before this one exports ${name}`)
      return run.exported.get(name)
    },
    async stackOutput(stackName, output) {
      const key = `${stackName}.${output}`
      if (!run.outputs.has(key)) throw new LookupError(`no stack before this one has the output ${key}`)
      return run.outputs.get(key)
    },
    secret: run.secretField,
  }

  async function create(id: string, resource: TemplateResource): Promise<Created> {
    await Promise.all(resource.DependsOn.map(provision))
    const place = `${stack.name}/${id}`
    const context: ResourceContext = {
      stack: stack.name,
      logicalId: id,
      physicalName: physicalName(stack, id),
      asset(hash) {
        const folder = stack.assets.get(hash)
        if (!folder) throw new Error(`${place}: the assembly has no asset ${hash}`)
        return folder
      },
      warn: (line) => run.warnings.push(`${place} (${resource.Type}): ${line}`),
      differs: (line) => run.differences.push(`${place} (${resource.Type}): ${line}`),
    }
    if (machinery.has(id) || run.registry.withoutEffect(resource.Type)) return placeholder(stack, id)
    const adapter = run.registry.adapters.get(resource.Type)
    if (!adapter) {
      context.warn('this type is not supported by the local cloud')
      return placeholder(stack, id)
    }
    const properties = (await resolve(resource.Properties, scope, place)) as Record<string, unknown>
    return adapter.create(properties, context, run.services)
  }

  // Every one is awaited even when one fails, so that nothing is still being made while the cloud closes.
  const results = await Promise.allSettled([...stack.resources.keys()].map(provision))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  for (const [key, output] of stack.outputs) {
    const value = await resolve(output.value, scope, `${stack.name}/Outputs.${key}`)
    run.outputs.set(`${stack.name}.${key}`, value)
    if (output.exportName === undefined) continue
    run.exported.set(String(await resolve(output.exportName, scope, `${stack.name}/Outputs.${key}`)), value)
  }
}

/** Functions that exist only to carry out custom resources: CloudFormation's hands, not the product's. */
function customResourceProviders(stack: Stack): Set<string> {
  const found = new Set<string>()
  for (const { Properties } of stack.resources.values()) mentions(Properties.ServiceToken, found)
  return found
}

function dependenciesOf(stack: Stack): Map<string, Set<string>> {
  const result = new Map<string, Set<string>>()
  for (const [id, resource] of stack.resources) {
    result.set(id, new Set([...mentions(resource.Properties), ...resource.DependsOn]))
  }
  return result
}

/** Two resources that wait for each other would hang the start. */
function refuseCircles(stack: string, dependencies: ReadonlyMap<string, ReadonlySet<string>>): void {
  const done = new Set<string>()
  const visit = (id: string, path: string[]): void => {
    if (path.includes(id)) {
      throw new Error(`${stack}: ${[...path.slice(path.indexOf(id)), id].join(' -> ')} is a circle`)
    }
    if (done.has(id)) return
    for (const next of dependencies.get(id) ?? []) visit(next, [...path, id])
    done.add(id)
  }
  for (const id of dependencies.keys()) visit(id, [])
}

/** CDK ends a logical id with 8 or 40 hexadecimal digits; they are left off where the rest is unique. */
function physicalName(stack: Stack, id: string): string {
  const shorten = (text: string) => text.replace(/[0-9A-F]{8}([0-9a-f]{32})?$/, '')
  const short = shorten(id)
  const same = [...stack.resources.keys()].filter((other) => shorten(other) === short)
  return `${stack.name}-${same.length === 1 && short ? short : id}`
}

/** What a resource without effect answers: enough for the names and ARNs built from it. */
function placeholder(stack: Stack, id: string): Created {
  const arn = `arn:aws:local:${stack.region}:${stack.accountId}:${stack.name}/${id}`
  return {
    ref: `${stack.name}-${id}`,
    anyAttribute: (name) => (name.endsWith('Arn') ? arn : `${arn}/${name}`),
  }
}
