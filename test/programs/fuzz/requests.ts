import type { OpenApiDocument } from '../../../lib/platform/http/openapi.ts'
import { fc } from '../../support/properties.ts'
import {
  contentTypes,
  hostileTexts,
  hostileValues,
  oddHeaders,
  oddMethods,
  rawBodies,
  rawQueries,
  rawSegments,
  worstTexts,
} from './hostile.ts'
import { knownOf } from './known.ts'
import type { Operation, Parameter } from './operations.ts'
import { either, valuesNamed, valuesOf } from './schemas.ts'

export const callers = ['admin', 'analyst', 'recruiter', 'nobody', 'stranger'] as const
export type Caller = (typeof callers)[number]

export const codings = ['utf-8', 'utf-16', 'latin-1', 'gzip'] as const

/** A request before what is known is filled in. */
export type FuzzRequest = {
  method: string
  /** Encoded, but for placeholders. */
  path: string
  /** Its pieces, encoded likewise. */
  query: string[]
  headers: [string, string][]
  caller: Caller
  body: string | undefined
  /** How the body's text becomes bytes. */
  coding: (typeof codings)[number]
}

type Making = { document: OpenApiDocument; operation: Operation }
type Choice<T> = readonly [weight: number, arbitrary: fc.Arbitrary<T>]

/** One of them by weight. What is shrunk becomes the first. */
const mostly = <T>(...choices: Choice<T>[]): fc.Arbitrary<T> =>
  fc.oneof({ withCrossShrink: true }, ...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })))

/** Requests of one operation: most as the document has them, many nearly so, some as no client would send them. */
export function requestsOf(document: OpenApiDocument, operation: Operation): fc.Arbitrary<FuzzRequest> {
  const making = { document, operation }
  return mostly([3, tame(making)], [2, wild(making)])
}

function tame(making: Making): fc.Arbitrary<FuzzRequest> {
  const { document, operation } = making
  const { body, method } = operation
  return fc.record({
    method: fc.constant(method),
    path: pathOf(making, (parameter) => tameText(making, parameter)),
    query: queryOf(making, (parameter) => tameText(making, parameter)),
    headers: fc
      .tuple(declaredHeaders(making), fc.constant(body ? [typed('application/json')] : []))
      .map((lists) => lists.flat()),
    caller: mostly([9, fc.constant<Caller>('admin')], [1, fc.constantFrom(...callers)]),
    body: body ? valuesOf(document, body).map(jsonText) : fc.constant(undefined),
    coding: fc.constant('utf-8'),
  })
}

function wild(making: Making): fc.Arbitrary<FuzzRequest> {
  const { operation } = making
  return fc.record({
    method: mostly(
      [12, fc.constant(operation.method)],
      [1, fc.constantFrom(...oddMethods)],
      [operation.method === 'GET' ? 2 : 0, fc.constant('HEAD')],
    ),
    path: pathOf(making, (parameter) =>
      mostly(
        [5, tameText(making, parameter)],
        [1, fc.constantFrom(...rawSegments)],
        [1, hostileText.map(encoded)],
      ),
    ),
    query: fc
      .tuple(
        queryOf(making, (parameter) => mostly([2, tameText(making, parameter)], [3, hostileText])),
        mostly([5, fc.constant<string[]>([])], [1, fc.array(oddPiece(making), { maxLength: 3 })]),
      )
      .map((lists) => lists.flat()),
    headers: fc
      .tuple(
        declaredHeaders(making),
        fc.array(
          fc.constantFrom(...oddHeaders).map(([name, value]): [string, string] => [name, value]),
          { maxLength: 3 },
        ),
        mostly(
          [3, fc.constant(operation.body && 'application/json')],
          [1, fc.constantFrom(...contentTypes)],
        ).map((type) => (type === undefined ? [] : [typed(type)])),
      )
      .map((lists) => lists.flat()),
    caller: mostly([5, fc.constant<Caller>('admin')], [1, fc.constantFrom(...callers)]),
    body: wildBody(making),
    coding: mostly([15, fc.constant<FuzzRequest['coding']>('utf-8')], [1, fc.constantFrom(...codings)]),
  })
}

const typed = (type: string): [string, string] => ['content-type', type]

const hostileText = mostly(
  [1, fc.constantFrom(...worstTexts)],
  [3, fc.constantFrom(...hostileTexts)],
  [1, fc.string({ unit: 'binary', maxLength: 30 })],
)

function pathOf(
  { operation }: Making,
  segment: (parameter: Parameter) => fc.Arbitrary<string>,
): fc.Arbitrary<string> {
  const parts = operation.path.split('/').map((part) => {
    const parameter = operation.parameters.find((each) => each.in === 'path' && `{${each.name}}` === part)
    return parameter ? segment(parameter) : fc.constant(part)
  })
  return fc.tuple(...parts).map((texts) => texts.join('/'))
}

/** Each parameter now and then, as `name=value`. */
function queryOf(
  { operation }: Making,
  value: (parameter: Parameter) => fc.Arbitrary<string>,
): fc.Arbitrary<string[]> {
  const parameters = operation.parameters.filter((each) => each.in === 'query')
  const rarely = Math.ceil(parameters.length / 2)
  const pieces = parameters.map((parameter) => {
    const piece = value(parameter).map((text) => `${parameter.name}=${encoded(text)}`)
    const [without, given] = parameter.required ? [1, 9] : [rarely, 1]
    return mostly<string | null>([without, fc.constant(null)], [given, piece])
  })
  return fc.tuple(...pieces).map((all) => all.filter((piece) => piece !== null))
}

/** Repeated, unknown, or not even encoded. */
function oddPiece({ operation }: Making): fc.Arbitrary<string> {
  const names = operation.parameters.filter((each) => each.in === 'query').map(({ name }) => name)
  return mostly(
    [2, fc.constantFrom(...rawQueries)],
    [
      2,
      fc
        .tuple(fc.constantFrom(...names, 'q', 'limit', 'id'), hostileText)
        .map(([name, text]) => `${name}=${encoded(text)}`),
    ],
    [1, hostileText.map((text) => `${encoded(text)}=1`)],
  )
}

function declaredHeaders(making: Making): fc.Arbitrary<[string, string][]> {
  const declared = making.operation.parameters.filter((each) => each.in === 'header')
  const lists = declared.map((parameter) =>
    mostly(
      [3, fc.constant<[string, string][]>([])],
      [1, tameText(making, parameter).map((text): [string, string][] => [[parameter.name, text]])],
    ),
  )
  return fc.tuple(...lists).map((all) => all.flat())
}

/** A value that the document allows, as it stands in a path, a query or a header before it is encoded. */
function tameText(
  { document, operation }: Making,
  { name, in: place, schema }: Parameter,
): fc.Arbitrary<string> {
  if (name === 'If-None-Match') return knownOf('etag')
  if (place === 'path' && schema.format === 'uuid') {
    return mostly([6, knownOf(operation.path.split('/{')[0]!)], [1, fc.uuid()])
  }
  const values = valuesOf(document, schema).map((value) =>
    typeof value === 'string' ? value : JSON.stringify(value),
  )
  return either(name === 'cursor' ? knownOf(`cursor ${operation.path}`) : valuesNamed(name), values)
}

function wildBody({ document, operation }: Making): fc.Arbitrary<string | undefined> {
  const nothing = fc.constant(undefined)
  const raw = mostly([8, fc.constantFrom(...rawBodies)], [1, fc.constant(`{"a":"${'x'.repeat(1_100_000)}"}`)])
  const hostile = mostly<unknown>([1, hostileText], [1, fc.constantFrom(...hostileValues)])
  const valid = operation.body && valuesOf(document, operation.body)
  // A body that nobody asked for.
  if (!valid) return mostly<string | undefined>([6, nothing], [1, raw], [1, hostile.map(jsonText)])
  const changed = fc
    .tuple(valid, fc.nat(30), hostile, fc.constantFrom('replace', 'add', 'drop', 'wrap', 'cut', 'become'))
    .map(([value, at, other, how]) => mutate(value, at, other, how))
  return mostly<string | undefined>([2, valid.map(jsonText)], [6, changed], [2, raw], [1, nothing])
}

type How = 'replace' | 'add' | 'drop' | 'wrap' | 'cut' | 'become'

/** One change of a body that was right. */
function mutate(value: unknown, at: number, other: unknown, how: How): string {
  const fields = typeof value === 'object' && value !== null ? Object.entries(value) : []
  const chosen = fields.length > 0 ? at % fields.length : -1
  switch (how) {
    case 'replace':
      return jsonText(Object.fromEntries(fields.map(([name, own], n) => [name, n === chosen ? other : own])))
    case 'add':
      return jsonText(Object.fromEntries([...fields, [typeof other === 'string' ? other : 'extra', other]]))
    case 'drop':
      return jsonText(Object.fromEntries(fields.filter((_, n) => n !== chosen)))
    case 'wrap':
      return jsonText([value])
    case 'cut':
      return jsonText(value).slice(0, at)
    case 'become':
      return jsonText(other)
  }
}

/** JSON, with what stands in `raw` written as it is. */
export function jsonText(value: unknown): string {
  const raws: string[] = []
  const text = JSON.stringify(value, (_, each) => {
    if (typeof each !== 'object' || each === null || !('raw' in each) || typeof each.raw !== 'string')
      return each
    return `‹raw:${raws.push(each.raw) - 1}›`
  })
  return text.replaceAll(/"‹raw:(\d+)›"/g, (_, n: string) => raws[Number(n)]!)
}

/** As in a query or a path, placeholders left as they are. Half a surrogate pair is U+FFFD. */
function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(/%E2%80%B9(.*?)%E2%80%BA/g, (whole) =>
    decodeURIComponent(whole),
  )
}
