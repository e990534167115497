type Json = Record<string, unknown>

/** Text as HTML shows it, safe in elements and in quoted attributes. */
export function escapeHtml(text: unknown): string {
  const entities: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return String(text).replaceAll(/[&<>"']/g, (character) => entities[character]!)
}

/** A JSON Schema as HTML: its type in words, and below it the fields of what it holds. */
export function schemaHtml(schema: unknown): string {
  const fields = fieldsHtml(schema as Json)
  return `<span class="type">${typeHtml(schema as Json)}</span>${fields}`
}

function typeHtml(schema: Json): string {
  if (typeof schema.$ref === 'string') {
    const name = escapeHtml(schema.$ref.split('/').at(-1))
    return `<a href="#schema-${name}">${name}</a>`
  }
  const forms = (schema.anyOf ?? schema.oneOf) as Json[] | undefined
  if (forms) return forms.map(typeHtml).join(' or ')
  const words = [kind(schema), ...constraints(schema).map(escapeHtml)]
  return words.filter(Boolean).join(', ')
}

function kind(schema: Json): string {
  const code = (value: unknown) => `<code>${escapeHtml(JSON.stringify(value))}</code>`
  const nullable = Array.isArray(schema.type) && schema.type.includes('null') ? ' or null' : ''
  if (schema.const !== undefined) return code(schema.const)
  if (Array.isArray(schema.enum)) return schema.enum.map(code).join(' | ')
  if (schema.type === 'array') return `array of ${typeHtml((schema.items ?? {}) as Json)}`
  const type = [schema.type].flat().find((name) => name !== 'null') ?? 'anything'
  return escapeHtml(type) + nullable
}

function constraints(schema: Json): string[] {
  const { format, minimum, maximum, minLength, maxLength, minItems, maxItems, pattern } = schema
  const range = (low: unknown, high: unknown, unit: string): string[] => {
    if (low === undefined && high === undefined) return []
    const words = [low !== undefined && `at least ${low}`, high !== undefined && `at most ${high}`]
    return [`${words.filter(Boolean).join(' and ')}${unit}`]
  }
  return [
    ...(typeof format === 'string' ? [format] : []),
    ...(typeof pattern === 'string' ? [`matching ${pattern}`] : []),
    ...range(minimum, maximum, ''),
    ...range(minLength, maxLength, ' characters'),
    ...range(minItems, maxItems, ' items'),
    ...(schema.default === undefined ? [] : [`${JSON.stringify(schema.default)} unless given`]),
  ]
}

/** The fields of an object, of the items of an array, and of each choice. */
function fieldsHtml(schema: Json): string {
  const forms = (schema.anyOf ?? schema.oneOf) as Json[] | undefined
  if (forms) return forms.map(fieldsHtml).join('')
  if (schema.type === 'array') return fieldsHtml((schema.items ?? {}) as Json)
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Json>)
  if (properties.length === 0) return ''
  const required = new Set((schema.required ?? []) as string[])
  const items = properties.map(([name, property]) => {
    const optional = required.has(name) ? '' : ' <em>optional</em>'
    const text = property.description === undefined ? '' : ` <span>${escapeHtml(property.description)}</span>`
    return `<li><code>${escapeHtml(name)}</code> <span class="type">${typeHtml(property)}</span>${optional}${text}${fieldsHtml(property)}</li>`
  })
  return `<ul class="fields">${items.join('')}</ul>`
}
