/** Where intrinsics look things up. Each answers the value, or throws an error that says what is missing. */
export type Scope = {
  pseudo: Readonly<Record<string, unknown>>
  ref(logicalId: string): Promise<unknown>
  attribute(logicalId: string, name: string): Promise<unknown>
  exported(name: string): Promise<unknown>
  stackOutput(stack: string, output: string): Promise<unknown>
  /** A field of a stored secret (the whole string where `key` is empty). */
  secret(secretId: string, key: string): Promise<string>
}

const removed = Symbol('AWS::NoValue')

const pseudoName = /^AWS::/
const substitution = /\$\{(!?)([^}]+)\}/g
const dynamicReference =
  /\{\{resolve:secretsmanager:((?:arn:[^:]+:secretsmanager:[^:]*:[^:]*:secret:)?[^:}]+)(?::SecretString(?::([^:}]*))?(?::[^:}]*)?(?::[^:}]*)?)?\}\}/g

/**
 * A template value with every intrinsic replaced. `path` names stack, resource and property for errors, which
 * are thrown for an unknown intrinsic, a malformed one, and whatever cannot be looked up.
 */
export async function resolve(value: unknown, scope: Scope, path: string): Promise<unknown> {
  const result = await resolveValue(value, scope, path)
  return result === removed ? undefined : expand(result, scope, path)
}

/** Dynamic references are put together by Fn::Join, so they are replaced once all intrinsics are. */
async function expand(value: unknown, scope: Scope, path: string): Promise<unknown> {
  if (typeof value === 'string') return resolveDynamic(value, scope, path)
  if (Array.isArray(value)) {
    return Promise.all(value.map((item, index) => expand(item, scope, `${path}[${index}]`)))
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(
    async ([key, item]) => [key, await expand(item, scope, `${path}.${key}`)] as const,
  )
  return Object.fromEntries(await Promise.all(entries))
}

async function resolveValue(value: unknown, scope: Scope, path: string): Promise<unknown> {
  if (Array.isArray(value)) {
    const items = await Promise.all(
      value.map((item, index) => resolveValue(item, scope, `${path}[${index}]`)),
    )
    return items.filter((item) => item !== removed)
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  const only = entries.length === 1 ? entries[0] : undefined
  if (only && (only[0] === 'Ref' || only[0] === 'Condition' || only[0].startsWith('Fn::'))) {
    return intrinsic(only[0], only[1], scope, path)
  }
  const resolved = await Promise.all(
    entries.map(async ([key, item]) => [key, await resolveValue(item, scope, `${path}.${key}`)] as const),
  )
  return Object.fromEntries(resolved.filter(([, item]) => item !== removed))
}

async function intrinsic(name: string, argument: unknown, scope: Scope, path: string): Promise<unknown> {
  const malformed = () => new Error(`${path}: ${name} has an argument that is not understood`)
  switch (name) {
    case 'Ref': {
      if (typeof argument !== 'string') throw malformed()
      return reference(argument, scope, path)
    }
    case 'Fn::GetAtt': {
      const [id, attribute] = attributeArgument(argument)
      if (!id || !attribute) throw malformed()
      return at(path, () => scope.attribute(id, attribute))
    }
    case 'Fn::Join': {
      const [separator, list] = Array.isArray(argument) ? argument : []
      const parts = await resolveValue(list, scope, path)
      if (typeof separator !== 'string' || !Array.isArray(parts)) throw malformed()
      return parts.map(text).join(separator)
    }
    case 'Fn::Sub':
      return substitute(argument, scope, path)
    case 'Fn::Select': {
      const resolved = await resolveValue(argument, scope, path)
      const [index, list] = Array.isArray(resolved) ? resolved : []
      if (!Array.isArray(list)) throw malformed()
      const item = list[Number(index)]
      if (item === undefined) throw new Error(`${path}: Fn::Select has no item ${index}`)
      return item
    }
    case 'Fn::Split': {
      const [separator, source] = Array.isArray(argument) ? argument : []
      const whole = await resolveValue(source, scope, path)
      if (typeof separator !== 'string' || typeof whole !== 'string') throw malformed()
      return whole.split(separator)
    }
    case 'Fn::GetAZs': {
      const region = text(await resolveValue(argument, scope, path)) || text(scope.pseudo['AWS::Region'])
      return ['a', 'b', 'c'].map((zone) => region + zone)
    }
    case 'Fn::ImportValue': {
      const exportName = text(await resolveValue(argument, scope, path))
      return at(path, () => scope.exported(exportName))
    }
    case 'Fn::GetStackOutput': {
      const resolved = await resolveValue(argument, scope, path)
      if (typeof resolved !== 'object' || resolved === null) throw malformed()
      const { StackName, OutputName } = resolved as Record<string, unknown>
      if (typeof StackName !== 'string' || typeof OutputName !== 'string') throw malformed()
      return at(path, () => scope.stackOutput(StackName, OutputName))
    }
    default:
      throw new Error(`${path}: ${name} is not supported by the local cloud`)
  }
}

async function reference(id: string, scope: Scope, path: string): Promise<unknown> {
  if (id === 'AWS::NoValue') return removed
  if (!pseudoName.test(id)) return at(path, () => scope.ref(id))
  const value = scope.pseudo[id]
  if (value === undefined) throw new Error(`${path}: the pseudo parameter ${id} is not supported`)
  return value
}

/** `["Id", "Endpoint.Address"]` and `"Id.Endpoint.Address"` mean the same. */
function attributeArgument(argument: unknown): [string?, string?] {
  if (Array.isArray(argument)) return argument.length === 2 ? [String(argument[0]), String(argument[1])] : []
  if (typeof argument !== 'string') return []
  const dot = argument.indexOf('.')
  return dot < 0 ? [] : [argument.slice(0, dot), argument.slice(dot + 1)]
}

async function substitute(argument: unknown, scope: Scope, path: string): Promise<string> {
  const [template, variables = {}] = Array.isArray(argument) ? argument : [argument]
  if (typeof template !== 'string') throw new Error(`${path}: Fn::Sub needs a string`)
  const given = (await resolveValue(variables, scope, path)) as Record<string, unknown>
  let result = ''
  let end = 0
  for (const match of template.matchAll(substitution)) {
    const [whole, literal, name = ''] = match
    result += template.slice(end, match.index)
    end = match.index + whole.length
    if (literal) result += `\${${name}}`
    else if (Object.hasOwn(given, name)) result += text(given[name])
    else if (name.includes('.')) result += text(await intrinsic('Fn::GetAtt', name, scope, path))
    else result += text(await reference(name, scope, path))
  }
  return result + template.slice(end)
}

async function resolveDynamic(value: string, scope: Scope, path: string): Promise<string> {
  if (!value.includes('{{resolve:')) return value
  let result = ''
  let end = 0
  for (const match of value.matchAll(dynamicReference)) {
    const [whole, id = '', key = ''] = match
    result += value.slice(end, match.index) + (await at(path, () => scope.secret(id, key)))
    end = match.index + whole.length
  }
  const rest = value.slice(end)
  if (rest.includes('{{resolve:')) {
    throw new Error(`${path}: only {{resolve:secretsmanager:...}} is supported by the local cloud`)
  }
  return result + rest
}

function text(value: unknown): string {
  return Array.isArray(value) ? value.map(text).join(',') : String(value)
}

async function at<T>(path: string, look: () => Promise<T>): Promise<T> {
  try {
    return await look()
  } catch (error) {
    if (error instanceof LookupError) throw new Error(`${path}: ${error.message}`)
    throw error
  }
}

/** Thrown by a Scope for a name that is not there; its message is then given the place of its use. */
export class LookupError extends Error {
  override readonly name = 'LookupError'
}

/** The logical ids that a template value mentions by Ref, Fn::GetAtt or Fn::Sub, pseudo parameters left out. */
export function mentions(value: unknown, found: Set<string> = new Set()): Set<string> {
  if (Array.isArray(value)) for (const item of value) mentions(item, found)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      if (key === 'Ref' && typeof item === 'string') found.add(item)
      else if (key === 'Fn::GetAtt') found.add(attributeArgument(item)[0] ?? '')
      else if (key === 'Fn::Sub') substituted(item, found)
      else mentions(item, found)
    }
  }
  found.delete('')
  for (const id of found) if (pseudoName.test(id)) found.delete(id)
  return found
}

function substituted(argument: unknown, found: Set<string>): void {
  const [template, variables = {}] = Array.isArray(argument) ? argument : [argument]
  mentions(variables, found)
  for (const [, literal, name = ''] of String(template).matchAll(substitution)) {
    const id = name.split('.')[0] ?? ''
    if (!literal && !Object.hasOwn(variables as object, name)) found.add(id)
  }
}
