import { hash } from 'node:crypto'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { bundleFunctions } from '../../infra/bundle.ts'
import type { OpenApiDocument } from '../../lib/platform/http/openapi.ts'
import { routes } from '../../lib/platform/routes.ts'
import { checkable, resolve } from '../support/contract.ts'
import { call } from '../support/http-event.ts'
import { temporaryFolder } from './synthesis.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let handler: Parameters<typeof call>[0]
let document: OpenApiDocument
beforeAll(async () => {
  folder = await temporaryFolder()
  await bundleFunctions({ outDir: folder.path, entries: { system: 'functions/system.ts' } })
  ;({ handler } = await import(pathToFileURL(join(folder.path, 'system/index.mjs')).href))
  document = JSON.parse((await call(handler, 'GET /api/openapi.json')).text)
})
afterAll(() => folder?.[Symbol.asyncDispose]())

type Operation = {
  operationId: string
  summary?: string
  tags: string[]
  security: Record<string, string[]>[]
  parameters: object[]
  requestBody?: object
  responses: Record<string, object>
}
const operations = (): { key: string; path: string; operation: Operation }[] =>
  Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    Object.entries(item as Record<string, Operation>).map(([method, operation]) => ({
      key: `${method.toUpperCase()} ${path}`,
      path,
      operation,
    })),
  )

// The rules of OpenAPI 3.1.1 for what the document uses; what it does not use is refused.
const reference = z.strictObject({ $ref: z.string().startsWith('#/components/') })
const schema = z.record(z.string(), z.unknown())
const content = z.record(z.string().regex(/^[\w.+-]+\/[\w.+-]+$/), z.strictObject({ schema }))
const header = z.strictObject({
  description: z.string().optional(),
  required: z.boolean().optional(),
  schema,
})
const parameter = z
  .strictObject({
    name: z.string().min(1),
    in: z.enum(['path', 'query', 'header']),
    description: z.string().optional(),
    required: z.boolean().optional(),
    schema,
  })
  .refine((given) => given.in !== 'path' || given.required === true)
const response = z.strictObject({
  description: z.string().min(1),
  headers: z.record(z.string(), reference).optional(),
  content: content.optional(),
})
const name = z.string().regex(/^[\w.-]+$/)
const openApi = z.strictObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.strictObject({
    title: z.string(),
    version: z.string(),
    description: z.string(),
    license: z.strictObject({ name: z.string(), identifier: z.string() }),
  }),
  servers: z.array(z.strictObject({ url: z.string() })).min(1),
  tags: z.array(z.strictObject({ name: z.string(), description: z.string() })),
  paths: z.record(
    z.string().startsWith('/'),
    z.partialRecord(
      z.enum(['get', 'put', 'post', 'delete', 'patch']),
      z.strictObject({
        operationId: z.string().regex(/^[a-z]\w+$/i),
        tags: z.array(z.string()).length(1),
        summary: z.string().optional(),
        security: z.array(z.record(name, z.array(z.string()))),
        parameters: z.array(z.union([reference, parameter])),
        requestBody: z.strictObject({ required: z.boolean(), content }).optional(),
        responses: z.record(z.string().regex(/^[1-5]\d\d$/), z.union([reference, response])),
      }),
    ),
  ),
  components: z.strictObject({
    schemas: z.record(name, schema),
    securitySchemes: z.record(
      name,
      z.union([
        z.strictObject({ type: z.literal('http'), scheme: z.string(), description: z.string().optional() }),
        z.strictObject({ type: z.literal('apiKey'), in: z.literal('header'), name: z.string() }),
      ]),
    ),
    parameters: z.record(name, parameter),
    headers: z.record(name, header),
    responses: z.record(name, response),
  }),
})

/** Everything in the document that has this key, wherever it is. */
function valuesOf(value: unknown, key: string): unknown[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([own, inner]) => [
    ...(own === key ? [inner] : []),
    ...valuesOf(inner, key),
  ])
}

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1, all its references lead somewhere and all its schemas can be used', () => {
    expect(z.prettifyError(openApi.safeParse(document).error ?? new z.ZodError([]))).toBe('')
    const references = valuesOf(document, '$ref') as string[]
    expect(references.length).toBeGreaterThan(50)
    for (const $ref of references) expect(resolve(document, { $ref }), $ref).toBeDefined()
    for (const found of valuesOf(document, 'schema')) checkable(document, found)
  })

  it('has every route of the table and no other, each with a line for people and a name of its own', () => {
    const expected = Object.keys(routes).filter((key) => key !== '$default')
    expect(
      operations()
        .map(({ key }) => key)
        .sort(),
    ).toEqual(expected.sort())
    expect(operations().flatMap(({ key, operation }) => (operation.summary ? [] : [key]))).toEqual([])
    const ids = operations().map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('names each parameter once, those of the path as the path does', () => {
    for (const { key, path, operation } of operations()) {
      const parameters = operation.parameters.map((given) => resolve(document, given))
      const names = parameters.map((given) => `${given.in} ${given.name}`)
      expect(new Set(names).size, key).toBe(names.length)
      const inPath = parameters.filter((given) => given.in === 'path').map((given) => given.name)
      expect(inPath, key).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, found]) => found))
    }
  })

  it('uses tags and ways to sign in that it declares', () => {
    const tags = document.tags?.map((tag) => tag.name)
    const schemes = Object.keys(document.components?.securitySchemes ?? {})
    for (const { operation } of operations()) {
      expect(tags).toContain(operation.tags[0])
      for (const requirement of operation.security) expect(schemes).toContain(Object.keys(requirement)[0])
    }
  })
})

describe('the documentation page', () => {
  it('shows every route and loads nothing: its policy allows its own style alone', async () => {
    const { status, text, headers } = await call(handler, 'GET /api/docs')
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    for (const { operation } of operations())
      expect(text).toContain(`<details id="${operation.operationId}">`)
    const styles = [...text.matchAll(/<style>(.*?)<\/style>/gs)].map(([, style = '']) => style)
    expect(styles).toHaveLength(1)
    expect(headers['content-security-policy']).toBe(
      `default-src 'none'; style-src 'sha256-${hash('sha256', styles[0]!, 'base64')}'; ` +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    expect(text).not.toMatch(/<script|<link|<img|\sstyle=|\son\w+=|https?:\/\//)
  })
})

describe('either form of the description', () => {
  it.each(['openapi.json', 'docs'])('%s is compressed, and 304 to a client that has it', async (name) => {
    const plain = await call(handler, `GET /api/${name}`)
    const small = await call(handler, `GET /api/${name}`, { headers: { 'accept-encoding': 'br' } })
    expect([small.headers['content-encoding'], small.text]).toEqual(['br', plain.text])
    for (const { headers } of [plain, small]) {
      const again = await call(handler, `GET /api/${name}`, { headers: { 'if-none-match': headers.etag! } })
      expect([again.status, again.text]).toEqual([304, ''])
    }
  })
})
