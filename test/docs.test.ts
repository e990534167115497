import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stageNames } from '../infra/stage.ts'
import { states } from '../lib/imports/report.ts'
import { reasons } from '../lib/imports/row.ts'
import { assessmentStates } from '../lib/interviews/assessment-store.ts'
import { emailStates } from '../lib/interviews/email-store.ts'
import { transcriptStates } from '../lib/interviews/history.ts'
import { interviewStates } from '../lib/interviews/interviews.ts'
import { resumeStates } from '../lib/interviews/resumes.ts'
import { transcriptFormats } from '../lib/interviews/transcript-export.ts'
import { functionNames } from '../lib/platform/names.ts'
import { routes } from '../lib/platform/routes.ts'
import { stageWith } from './infra/synthesis.ts'
import { pageNames } from './support/pages.ts'
import { shellBlocks } from './support/shell-blocks.ts'

const root = resolve(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const sources = (...patterns: string[]) => globSync(patterns, { cwd: root }).sort()

const docs = new Map(pageNames().map((page) => [page, read(page)]))
const everything = [...docs.values()].join('\n')

/** Of each page what the pattern finds, as `page: found`. */
function found(pattern: RegExp): { page: string; match: string }[] {
  return [...docs].flatMap(([page, text]) =>
    [...text.matchAll(pattern)].map(([, match = '']) => ({ page, match })),
  )
}

/** The cells of each line of the page's tables. */
function tableRows(page: string): string[][] {
  const lines = [...docs.get(page)!.matchAll(/^\| (.+) \|$/gm)]
  return lines.map(([, line = '']) => line.split(' | ').map((cell) => cell.trim()))
}

/** Anchors as GitHub makes them: lower case, without punctuation, blanks as hyphens. */
function anchors(markdown: string): Set<string> {
  const text = markdown.replaceAll(/^```.*?^```/gms, '')
  const slug = (heading: string) =>
    heading
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
  return new Set([...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => slug(heading)))
}

function brokenLink(page: string, target: string): boolean {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(root, file))) return true
  return anchor !== undefined && !anchors(read(file)).has(anchor)
}

/** The commands of the AWS CLI in code blocks, continued lines joined, and those that the text itself quotes. */
function awsCommands(markdown: string): string[] {
  const fence = /^```[^\n]*\n(.*?)^```/gms
  const blocks = [...markdown.matchAll(fence)].map(([, block = '']) => block)
  const quoted = [...markdown.replaceAll(fence, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)
  const lines = [...blocks, ...quoted]
    .join('\n')
    .replaceAll('\\\n', ' ')
    .replaceAll(/(^|\s)#.*$/gm, '')
  return lines.match(/(?<![\w./-])aws\s+[a-z-](?:"[^"]*"|'[^']*'|[^\n;|&)"'])*/g) ?? []
}

/**
 * What an AWS CLI that knows no AWS_ENDPOINT_URL_* would send to AWS: of the local cloud's own page every command
 * without an endpoint, of the others one that names something local.
 */
function leavingCommands(page: string, markdown: string): string[] {
  const local = /\b(?:insighta|Insighta)-local\b|\blocalhost\b|127\.0\.0\.1|\.insighta\b|AWS_ENDPOINT_URL/
  return awsCommands(markdown).filter(
    (command) =>
      (page === 'docs/local-cloud.md' || local.test(command)) && !/\s--endpoint-url[ =]/.test(command),
  )
}

/** Codes that the source gives to errors and failures. */
function errorCodes(source: string): string[] {
  const given = /\bcode(?::| =) '([a-z_]+)'/g
  const last = /(?:Error|parse)\((?:(?!Error\()[\s\S]){0,240}?,\s*'([a-z]+(?:_[a-z]+)+)',?\s*\)/g
  const fallback = /\.code \?\? '([a-z_]+)'/g
  const codes = [given, last, fallback].flatMap((pattern) =>
    [...source.matchAll(pattern)].map(([, code = '']) => code),
  )
  // The code of a zod issue, which no caller sees.
  return codes.filter((code) => code !== 'custom')
}

describe('the documentation', () => {
  it('has no link that leads nowhere', () => {
    const links = found(/\]\((?!https?:)([^)\s]+)\)/g)
    expect(links.filter(({ page, match }) => brokenLink(page, match))).toEqual([])
    expect(links.length).toBeGreaterThan(10)
  })

  it('shows commands that run as they are, but for those of an AWS account or of GitHub', () => {
    const blocks = [...docs].flatMap(([page, text]) => shellBlocks(page, text))
    const runnable = blocks.filter(({ kind }) => kind !== 'account')
    // Where something is to be filled in, a line says so and gives it a name: ID=... # fill in
    expect(runnable.filter(({ text }) => /<[a-zA-Z][\w -]*>/.test(text))).toEqual([])
    const elsewhere = blocks.filter(({ kind }) => kind === 'account')
    const needed = /\b(?:aws|cdk|gh) |npm run (?:deploy|destroy)|--function|\$?URL\b/
    expect(elsewhere.filter(({ text }) => !needed.test(text))).toEqual([])
    expect(blocks.filter(({ kind }) => kind === 'newcomer').map(({ page }) => page)).toEqual(['README.md'])
    expect(runnable.length).toBeGreaterThan(30)
  })

  it('shows no command for the local cloud that an older AWS CLI would send to AWS', () => {
    const leaving = [...docs].flatMap(([page, markdown]) => leavingCommands(page, markdown))
    expect(leaving).toEqual([])
    expect(awsCommands(docs.get('docs/local-cloud.md')!).length).toBeGreaterThan(1)
    expect(awsCommands(docs.get('docs/deploying.md')!).length).toBeGreaterThan(5)
  })

  it.each([
    ['docs/local-cloud.md', '```sh\naws s3 ls\n```', ['aws s3 ls']],
    ['docs/local-cloud.md', '```bash\nX=$(aws sqs list-queues) # aws s3 ls\n```', ['aws sqs list-queues']],
    ['docs/local-cloud.md', 'Say `aws s3 ls`.', ['aws s3 ls']],
    ['docs/local-cloud.md', '```sh\naws s3 ls; aws --endpoint-url "$A;B" s3 ls\n```', ['aws s3 ls']],
    ['docs/local-cloud.md', '```sh\naws s3 \\\n  ls --endpoint-url "$A"\n```', []],
    ['docs/local-cloud.md', '```sh\nconst { aws } = read()\n```', []],
    ['docs/deploy.md', '```sh\naws sts get-caller-identity\n```', []],
    [
      'docs/deploy.md',
      '```sh\naws s3 ls s3://insighta-local-data-uploads\n```',
      ['aws s3 ls s3://insighta-local-data-uploads'],
    ],
  ])('is read for commands that would leave this machine: %s with %j', (page, markdown, leaving) => {
    expect(leavingCommands(page, markdown)).toEqual(leaving)
  })

  it('names npm scripts that exist', () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'))
    const named = found(/\bnpm run (?:--silent )?([\w:-]+)/g)
    expect(named.filter(({ match }) => !(match in scripts))).toEqual([])
    expect(named.length).toBeGreaterThan(5)
  })

  it('names files and folders that exist', () => {
    const paths = found(/`((?:functions|infra|lib|clients|test|docs)\/[\w./-]*)`/g)
    // A name to be chosen stands in capitals.
    const missing = paths.filter(({ match }) => !existsSync(join(root, match)) && !/NNNN/.test(match))
    expect(missing).toEqual([])
    expect(paths.length).toBeGreaterThan(10)
  })

  it('names settings that the code reads', () => {
    const code = sources('infra/**/*.ts', 'clients/**/*.ts').map(read).join('\n')
    expect(found(/\b(INSIGHTA_\w+)/g).filter(({ match }) => !code.includes(match))).toEqual([])
  })

  it('has a section in the runbook for each alarm', () => {
    const named = sources('infra/*alarms.ts', 'infra/stacks/*.ts').flatMap((file) => [
      ...read(file).matchAll(/(?:runbook: |operations\.md#)'?([a-z-]+)/g),
    ])
    const wanted = [...new Set(named.map(([, anchor = '']) => anchor))]
    const sections = anchors(read('docs/operations.md'))
    expect(wanted.filter((anchor) => !sections.has(anchor))).toEqual([])
    expect(wanted).toContain('dead-letters')
  })

  it('describes every route', () => {
    const undescribed = Object.keys(routes).filter(
      (key) => key !== '$default' && !everything.includes(`\`${key}\``),
    )
    expect(undescribed).toEqual([])
  })

  it('says of each route who may call it', () => {
    const told = tableRows('docs/access.md').filter(([key]) => /^`[A-Z]+ \//.test(key ?? ''))
    const known = Object.entries(routes).filter(([key]) => key !== '$default')
    expect(Object.fromEntries(told)).toEqual(
      Object.fromEntries(known.map(([key, { access }]) => [`\`${key}\``, access])),
    )
  })

  it('names each value of the context', () => {
    const code = read('infra/stage.ts') + read('infra/insighta.ts')
    const keys = [...code.matchAll(/(?:(?:choice|whole|text)\(node, |tryGetContext\()'(\w+)'/g)]
    const told = tableRows('docs/deploying.md').map(([key]) => key)
    expect(keys.map(([, key]) => `\`${key}\``).filter((key) => !told.includes(key))).toEqual([])
    expect(keys.length).toBeGreaterThan(4)
  })

  it('tells the timeout and the concurrency of each function as they are', () => {
    const rows = new Map(tableRows('docs/deploying.md').map(([name = '', ...cells]) => [name, cells]))
    const sizes = stageNames.map((stage) => stageWith({ stage }))
    for (const name of functionNames) {
      const [, timeout, atOnce] = rows.get(name) ?? []
      expect(timeout, name).toBe(`${sizes[0]!.timeouts[name]} s`)
      const caps = sizes.map((size): number | undefined => {
        const known: Record<string, number> = { ...size.workerConcurrency, ...size.apiConcurrency }
        return known[name]
      })
      if (caps[0] !== undefined) expect(atOnce?.replace(' (reserved)', ''), name).toBe(caps.join(', '))
    }
    const reserved = [...rows.values()].flatMap(([, , atOnce]) =>
      [...(atOnce ?? '').matchAll(/(\d+)(?: in prod)? \(reserved\)/g)].map(([, count]) => Number(count)),
    )
    const sum = reserved.reduce((total, count) => total + count, 0)
    expect(docs.get('docs/deploying.md')).toContain(`prod reserves ${sum} concurrent executions`)
  })

  it('explains every reason for skipping a row and every state of an import', () => {
    const importing = docs.get('docs/importing.md')!
    expect([...reasons, ...states].filter((word) => !importing.includes(`\`${word}\``))).toEqual([])
  })

  it('explains every state and failure of interviews, and every format of a transcript', () => {
    const interviewing = docs.get('docs/interviewing.md')!
    const code = sources('lib/interviews/*.ts').map(read).join('\n')
    const failures = [...code.matchAll(/new FinalError\(\s*'([a-z_]+)'/g)].map(([, failure = '']) => failure)
    const known = [interviewStates, assessmentStates, emailStates, resumeStates, transcriptStates]
    const words = [...known.flat(), ...transcriptFormats, ...failures]
    expect(words.filter((word) => !interviewing.includes(`\`${word}\``))).toEqual([])
    expect(failures).toContain('no_transcript')
  })

  it('lists every error code', () => {
    const code = sources('lib/**/*.ts', 'functions/*.ts').map(read)
    const codes = [...new Set(code.flatMap(errorCodes))]
    expect(codes.filter((word) => !everything.includes(`\`${word}\``)).sort()).toEqual([])
    expect(codes).toEqual(
      expect.arrayContaining([
        'invalid_query',
        'unsupported_version',
        'not_finished',
        'missing_columns',
        'internal_error',
      ]),
    )
  })
})
