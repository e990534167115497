import * as z from 'zod'

/** Characters of a value at most: about what fits into a query. */
const maxLength = 10_000

type Kind = 'text' | 'number' | 'boolean' | 'list'
type Shape = Readonly<Record<string, z.ZodType>>
type JsonShape<Query extends Shape> = {
  [K in keyof Query]: z.ZodType<z.output<Query[K]>, unknown>
}

/**
 * The schema of a JSON body with the parameters of a query under the same names, of the same meaning: a number
 * or true or false where the parameter's `override` says that it is one, a text otherwise. Those named in `lists` may also be
 * lists of texts, which stand in a query separated by commas. Strict, as the query is.
 */
export function jsonParameters<Query extends Shape>(
  query: z.ZodObject<Query>,
  lists: ReadonlySet<string>,
): z.ZodObject<JsonShape<Query>, z.core.$strict> {
  const fields = Object.entries<z.ZodType>(query.shape).map(([name, parameter]) => {
    return [name, jsonForm(parameter, kindOf(parameter, lists.has(name)))]
  })
  return z.strictObject(Object.fromEntries(fields) as JsonShape<Query>, {
    error: ({ code }) => (code === 'invalid_type' ? 'must be one JSON object' : undefined),
  })
}

function kindOf(parameter: z.ZodType, list: boolean): Kind {
  if (list) return 'list'
  const { override } = parameter.meta() ?? {}
  const type = typeof override === 'object' && 'type' in override ? override.type : undefined
  if (type === 'boolean') return 'boolean'
  return type === 'integer' || type === 'number' ? 'number' : 'text'
}

const text = z.string({ error: 'must be a string' })
const forms = {
  text,
  number: z.number({ error: 'must be a number' }),
  boolean: z.boolean({ error: 'must be true or false' }),
  list: z.union([text, z.array(text).min(1, 'must not be empty')], {
    error: 'must be a string or a list of strings',
  }),
} as const satisfies Record<Kind, z.ZodType<unknown>>

function jsonForm(parameter: z.ZodType, kind: Kind): z.ZodType {
  const { override, description, ...meta } = parameter.meta() ?? {}
  return forms[kind]
    .optional()
    .transform((value: string | number | boolean | string[] | undefined, context) => {
      if (value === undefined) return undefined
      const joined = String(value)
      if (joined.trim() === '') context.addIssue({ code: 'custom', message: 'must not be empty' })
      else if (joined.length > maxLength) {
        context.addIssue({ code: 'custom', message: `must have at most ${maxLength} characters` })
      }
      return joined
    })
    .pipe(parameter as z.ZodType<unknown, string | undefined>)
    .meta({
      ...meta,
      ...(description !== undefined && {
        description: kind === 'list' ? `${description}; or a list` : description,
      }),
      ...(kind !== 'list' && { override: override ?? describedAs(parameter) }),
    })
}

/** When the API is described, and not before: it takes time. */
function describedAs(parameter: z.ZodType) {
  return ({ jsonSchema }: { jsonSchema: object }) => {
    const { $schema: _, ...schema } = z.toJSONSchema(parameter, { io: 'input' })
    Object.assign(jsonSchema, schema)
  }
}
