import { globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { parseAst } from 'vitest/node'
import { type Backtracking, backtracking } from './support/backtracking.ts'

/** A simulator of a third party reads what this machine's user sends through us, and tests. */
const files = globSync('{lib,functions,clients,infra}/**/*.{ts,js}', {
  exclude: ['infra/local/simulators/**'],
}).sort()

/** Patterns that may stay although the check below refuses them, each with what bounds its steps. */
const accepted: [file: string, name: string, why: string][] = [
  [
    'lib/profiles/english/tokens.ts',
    String.raw`/(?<number>\d{1,3}(?:,\d{3})+(?![\p{L}\p{N}]))/u`,
    'a group that a letter follows is given back, and then a comma follows: there is a match',
  ],
  ['lib/profiles/english/tokens.ts', 'new RegExp', 'the same among others'],
  ['lib/interviews/email-templates.ts', String.raw`/\/+$/`, "reads the stage's address of the console"],
  ['infra/local/template.ts', String.raw`/\$\{(!?)([^}]+)\}/g`, 'reads templates that we synthesise'],
  [
    'infra/local/dashboards/alarms.ts',
    String.raw`/^(.*?)(?:\s*Runbook: docs\/operations\.md#([a-z-]+))?$/s`,
    'reads our own alarms',
  ],
  ['infra/local/lambda/memory.ts', 'new RegExp in a function', 'reads /proc/self/status'],
  ['infra/local/sqs.ts', 'new RegExp in a function', 'repeats one class between both ends'],
]

type Node = { type: string; start: number; end: number; [field: string]: unknown }
type Found = { file: string; name: string; pattern: { source: string; flags: string } | undefined }

/** The regular expressions of a file: literals, and calls of the constructor, of which only the place is known. */
function expressionsOf(file: string): Found[] {
  const text = readFileSync(file, 'utf8')
  const found: Found[] = []
  const visit = (node: Node, inFunction: boolean) => {
    const { regex, callee } = node as unknown as {
      regex?: { pattern: string; flags: string }
      callee?: { name?: string }
    }
    if (node.type === 'Literal' && regex) {
      const { pattern: source, flags } = regex
      found.push({ file, name: text.slice(node.start, node.end), pattern: { source, flags } })
    }
    if (/^(?:New|Call)Expression$/.test(node.type) && callee?.name === 'RegExp') {
      found.push({ file, name: inFunction ? 'new RegExp in a function' : 'new RegExp', pattern: undefined })
    }
    const inside = inFunction || /Function|^MethodDefinition$/.test(node.type)
    for (const value of Object.values(node)) {
      for (const child of [value].flat()) if (isNode(child)) visit(child, inside)
    }
  }
  visit(parseAst(text, { lang: file.endsWith('.ts') ? 'ts' : 'js' }, file) as unknown as Node, false)
  return found
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'type') === 'string'
}

/** Those that a module makes by the constructor while it is loaded. */
async function constructedBy(file: string): Promise<Found[]> {
  const found: Found[] = []
  const recorded = new Proxy(RegExp, {
    construct(target, given: [string, string?]) {
      const made = new target(...given)
      if (new Error().stack!.includes(file)) {
        found.push({ file, name: 'new RegExp', pattern: { source: made.source, flags: made.flags } })
      }
      return made
    },
  })
  vi.resetModules()
  vi.stubGlobal('RegExp', recorded)
  try {
    await import(resolve(file))
  } finally {
    vi.unstubAllGlobals()
  }
  return found
}

const all = files.flatMap(expressionsOf)
const literals = all.filter(({ pattern }) => pattern !== undefined)
const constructed = all.filter(({ pattern }) => pattern === undefined)

function isAccepted(found: Found): boolean {
  return accepted.some(([file, name]) => file === found.file && name === found.name)
}

describe('a regular expression', () => {
  it('is found wherever there is one', () => {
    expect(literals.length).toBeGreaterThan(150)
    expect(constructed.length).toBeGreaterThan(5)
  })

  it('takes steps that grow with the length of what it reads, not faster', () => {
    const wrong = literals
      .filter((found) => !isAccepted(found))
      .map((found) => ({ ...found, ...backtracking(found.pattern!) }))
      .filter(({ growth }) => growth !== 'linear')
    expect(wrong).toEqual([])
  })

  it('put together from texts does so too, and is put together where it can be checked', async () => {
    const open = constructed.filter((found) => !isAccepted(found))
    expect(open.filter(({ name }) => name !== 'new RegExp')).toEqual([])
    for (const file of new Set(open.map((found) => found.file))) {
      const made = await constructedBy(file)
      expect(made.length, file).toBeGreaterThanOrEqual(open.filter((found) => found.file === file).length)
      for (const { pattern } of made) {
        expect({ file, ...pattern, ...backtracking(pattern!) }).toMatchObject({ growth: 'linear' })
      }
    }
  })

  it('is accepted by name for as long as it is there and needs it', () => {
    for (const [file, name] of accepted) {
      const known = all.find((found) => found.file === file && found.name === name)
      expect(known, `${file} ${name}`).toBeDefined()
      if (known?.pattern) expect(backtracking(known.pattern).growth, name).not.toBe('linear')
    }
  })
})

describe('the check of a regular expression', () => {
  it.each([
    [/^(a+)+$/, 'exponential'],
    [/(?:a|a)*$/, 'exponential'],
    [/^(?:a*)*b/, 'exponential'],
    [/^(a|b|ab)*c$/, 'exponential'],
    [/^(ab)*(ab)*$/, 'polynomial'],
    [/^\d+\.?\d*$/, 'polynomial'],
    [/^a*b?a*$/i, 'polynomial'],
    [/^(?=\s*\/?\s*x)/, 'polynomial'],
    [/\s+$/, 'polynomial'],
    [/x*?y/, 'polynomial'],
    [/<b>[\s\S]*?<\/b>/g, 'polynomial'],
    [/a(?:[\s\S]*b)?/g, 'polynomial'],
    [/(\d+)-\1z/, 'polynomial'],
  ] as [RegExp, Backtracking['growth']][])('finds that %s is %s', (pattern, growth) => {
    expect(backtracking(pattern)).toMatchObject({ growth, pump: expect.stringMatching(/./s) })
  })

  it.each([
    /\s+/g,
    /^\s+$/,
    /^x*?y/,
    /x*?y/y,
    /^\d+(?:\.\d*)?$/,
    /^(?:\d+|\d+\.\d+)$/,
    /(?:a?){3}b/,
    /[\w.]{8}x/,
    /^- (.+)$/gm,
    /^(?=.*x)(?=.*y)[a-z]+$/,
    /[\p{L}\p{N}]+(?:['.][\p{L}\p{N}]+)*/gu,
    /(?<=..)'s$/,
  ])('leaves %s alone', (pattern) => {
    expect(backtracking(pattern)).toEqual({ growth: 'linear' })
  })
})
