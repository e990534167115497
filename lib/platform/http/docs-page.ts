import { escapeHtml, schemaHtml } from './docs-schema.ts'
import { docsStyle } from './docs-style.ts'
import type { OpenApiDocument } from './openapi.ts'

type Json = Record<string, unknown>
type Operation = {
  method: string
  path: string
  operationId: string
  tags: string[]
  summary?: string
  security: Record<string, string[]>[]
  parameters?: Json[]
  requestBody?: { content: Record<string, { schema: Json }> }
  responses: Record<string, Json>
}

/** The documentation as one HTML page that loads nothing. To be served under `docsPolicy`. */
export function docsPage(document: OpenApiDocument): string {
  const operations = operationsOf(document)
  const sections = (document.tags ?? []).flatMap(({ name, description }) => {
    const own = operations.filter(({ tags }) => tags.includes(name))
    if (own.length === 0) return []
    const entries = own.map((operation) => operationHtml(document, operation)).join('\n')
    return [`<h2>${escapeHtml(name)}</h2>\n<p>${escapeHtml(description ?? '')}</p>\n${entries}`]
  })
  const schemas = Object.entries((document.components?.schemas ?? {}) as Record<string, Json>)
    .map(
      ([name, schema]) =>
        `<h3 id="schema-${escapeHtml(name)}">${escapeHtml(name)}</h3>\n<p>${escapeHtml(schema.description ?? '')}</p>\n${schemaHtml(schema)}${examplesHtml(schema)}`,
    )
    .join('\n')
  const { title, version, description = '' } = document.info
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} API</title>
<style>${docsStyle}</style>
</head>
<body>
<h1>${escapeHtml(title)} API, version ${escapeHtml(version)}</h1>
<p>${escapeHtml(description)} As <a href="openapi.json">OpenAPI ${escapeHtml(document.openapi)}</a>.</p>
<p>A key goes into <code>Authorization: Bearer &lt;key&gt;</code> or <code>X-API-Key</code>. Unknown query parameters are refused. Every error is an <a href="#schema-Error">Error</a>, except those that the gateway gives by itself.</p>
${sections.join('\n')}
<h2>Schemas</h2>
${schemas}
</body>
</html>
`
}

function examplesHtml({ examples = [] }: Json): string {
  const texts = (examples as unknown[]).map((value) => JSON.stringify(value, null, 2))
  return texts.map((text) => `\n<pre><code>${escapeHtml(text)}</code></pre>`).join('')
}

function operationsOf(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item as Record<string, Omit<Operation, 'method' | 'path'>>).map(([method, operation]) => ({
      ...operation,
      method,
      path,
    })),
  )
}

function operationHtml(document: OpenApiDocument, operation: Operation): string {
  const { method, path, operationId, summary = '', parameters = [], requestBody, responses } = operation
  const body = Object.values(requestBody?.content ?? {}).map(({ schema }) => schemaHtml(schema))
  const parts = [
    parameters.length > 0 && `<h3>Parameters</h3>\n${parametersHtml(document, parameters)}`,
    body.length > 0 && `<h3>Body</h3>\n${body.join('')}`,
    `<h3>Answers</h3>\n${answersHtml(document, responses)}`,
    `<h3>Example</h3>\n<pre><code>${escapeHtml(example(operation))}</code></pre>`,
  ]
  return `<details id="${escapeHtml(operationId)}">
<summary><span class="method ${escapeHtml(method)}">${escapeHtml(method.toUpperCase())}</span> <span class="path">${escapeHtml(path)}</span> <span class="who">${who(operation)}</span> ${escapeHtml(summary)}</summary>
<div>
${parts.filter(Boolean).join('\n')}
</div>
</details>`
}

function who({ security }: Operation): string {
  const [requirement] = security
  if (!requirement) return 'anyone'
  return escapeHtml(Object.values(requirement).flat().join(', ') || 'any key')
}

function parametersHtml(document: OpenApiDocument, parameters: Json[]): string {
  const rows = parameters.map((reference) => {
    const { name, in: place, required, description, schema } = followed(document, reference)
    const text = description ?? (schema as Json | undefined)?.description ?? ''
    const need = required ? '' : ' <em>optional</em>'
    return `<tr><td><code>${escapeHtml(name)}</code>${need}</td><td>${escapeHtml(place)}</td><td>${schemaHtml(schema ?? {})}</td><td>${escapeHtml(text)}</td></tr>`
  })
  return `<table><tr><th>name</th><th>in</th><th>value</th><th></th></tr>\n${rows.join('\n')}\n</table>`
}

function answersHtml(document: OpenApiDocument, responses: Record<string, Json>): string {
  const rows = Object.entries(responses).map(([status, reference]) => {
    const { description, content = {} } = followed(document, reference)
    const forms = Object.entries(content as Record<string, { schema: Json }>).map(
      ([type, { schema }]) => `<div><code>${escapeHtml(type)}</code> ${schemaHtml(schema)}</div>`,
    )
    return `<tr><td><code>${escapeHtml(status)}</code></td><td>${escapeHtml(description)}${forms.join('')}</td></tr>`
  })
  return `<table>\n${rows.join('\n')}\n</table>`
}

function example({ method, path, security, requestBody }: Operation): string {
  const words = [
    'curl',
    ...(method === 'get' ? [] : [`-X ${method.toUpperCase()}`]),
    ...(security.length > 0 ? ['-H "Authorization: Bearer $KEY"'] : []),
    ...(requestBody ? ["-H 'Content-Type: application/json' -d @body.json"] : []),
    `"$URL${path}"`,
  ]
  return words.join(' ')
}

/** What a reference inside the document stands for. */
function followed(document: OpenApiDocument, value: Json): Json {
  if (typeof value.$ref !== 'string') return value
  const [, , kind = '', name = ''] = value.$ref.split('/')
  const components = (document.components ?? {}) as Record<string, Record<string, Json>>
  return components[kind]?.[name] ?? {}
}
