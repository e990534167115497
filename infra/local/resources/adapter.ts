import * as z from 'zod'
import type { Services } from './services.ts'

/** A resource about to be created: its properties are resolved, and everything they mention exists. */
export type ResourceContext = {
  stack: string
  logicalId: string
  /** A name for the machine and for people where the template gives none: stack and logical id. */
  physicalName: string
  /** The absolute folder of a staged asset. Throws where the stack has none of that hash. */
  asset(hash: string): string
  /** Adds a line to those printed at start-up; the resource is named in front of it. */
  warn(line: string): void
  /** Adds a line to the known differences from AWS, which are shown on request. */
  differs(line: string): void
}

export type Created = {
  ref: string
  attributes?: Readonly<Record<string, unknown>>
  /** Answers every Fn::GetAtt, for what does not exist here. */
  anyAttribute?(name: string): string
}

export type ResolvedProperties = Readonly<Record<string, unknown>>

export type Adapter = {
  create(properties: ResolvedProperties, context: ResourceContext, services: Services): Promise<Created>
}

type Definition<Schema extends z.ZodObject> = {
  /** What the local cloud honours. A property that is in neither list is named at start-up. */
  honoured: Schema
  /** What means nothing on one machine: roles, networks, encryption, tags. */
  withoutEffect?: readonly string[]
  /** What has no effect here though it matters on AWS, and what follows from that. */
  differs?: Readonly<Record<string, string>>
  create(properties: z.output<Schema>, context: ResourceContext, services: Services): Promise<Created>
}

/**
 * Makes an adapter out of a schema of the properties that have an effect here. Nested unknown properties are
 * found too, as long as the schema's own objects are strict.
 */
export function adapter<Schema extends z.ZodObject>(definition: Definition<Schema>): Adapter {
  const differs = definition.differs ?? {}
  const withoutEffect = new Set([...(definition.withoutEffect ?? []), ...Object.keys(differs), 'Tags'])
  const schema = definition.honoured.strict()
  return {
    create(properties, context, services) {
      for (const [name, line] of Object.entries(differs)) {
        if (properties[name] !== undefined) context.differs(line)
      }
      const relevant: unknown = structuredClone(
        Object.fromEntries(Object.entries(properties).filter(([name]) => !withoutEffect.has(name))),
      )
      let result = schema.safeParse(relevant)
      if (!result.success && result.error.issues.every((issue) => issue.code === 'unrecognized_keys')) {
        for (const issue of result.error.issues) {
          for (const key of issue.keys) {
            context.warn(`${[...issue.path, key].join('.')} has no effect in the local cloud`)
            removeAt(relevant, issue.path, key)
          }
        }
        result = schema.safeParse(relevant)
      }
      if (!result.success) {
        const [issue] = result.error.issues
        throw new Error(
          `${context.stack}/${context.logicalId}.${issue?.path.join('.')}: ${issue?.message ?? 'not understood'}`,
        )
      }
      return definition.create(result.data as z.output<Schema>, context, services)
    },
  }
}

function removeAt(root: unknown, path: readonly PropertyKey[], key: string): void {
  let at: unknown = root
  for (const step of path) at = (at as Record<PropertyKey, unknown>)[step]
  delete (at as Record<string, unknown>)[key]
}

/** The function that an ARN names, with or without a qualifier, or the Join around it that API Gateway writes. */
export function functionOf(arn: string): string {
  const name = /:function:([^:/]+)/.exec(arn)?.[1]
  if (!name) throw new Error(`"${arn}" names no Lambda function`)
  return name
}

/** CloudFormation writes numbers and booleans as text wherever it likes. */
export const number = z.coerce.number()
export const boolean = z.preprocess(
  (value) => (value === 'true' ? true : value === 'false' ? false : value),
  z.boolean(),
)
