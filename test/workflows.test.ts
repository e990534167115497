import { existsSync, globSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

type Step = { uses?: string; run?: string; env?: Record<string, string>; with?: Record<string, unknown> }
type Job = {
  uses?: string
  needs?: string
  if?: string
  environment?: string
  permissions?: Record<string, string>
  concurrency?: { group: string; 'cancel-in-progress': unknown }
  'timeout-minutes'?: number
  steps?: Step[]
}
type Workflow = {
  on: Record<string, { branches?: string[]; tags?: string[] } | null>
  permissions: Record<string, string>
  jobs: Record<string, Job>
}

const root = resolve(import.meta.dirname, '..')
// The parser that comes inside the CDK.
const inCdk = createRequire(join(root, 'node_modules/aws-cdk-lib/package.json'))
const { parse }: { parse(text: string): Workflow } = inCdk('yaml')

const texts = new Map(
  globSync('.github/workflows/*.yml', { cwd: root }).map((file) => [
    basename(file, '.yml'),
    readFileSync(join(root, file), 'utf8'),
  ]),
)
const workflow = (name: string) => parse(texts.get(name)!)
const all = [...texts.keys()].map((name) => ({ name, ...workflow(name) }))
const jobs = all.flatMap(({ name, jobs }) =>
  Object.entries(jobs).map(([id, job]) => ({ id: `${name}.${id}`, ...job })),
)
const commands = (job: Job) => (job.steps ?? []).flatMap(({ run }) => (run === undefined ? [] : [run]))

describe('the workflows', () => {
  it('check pull requests by the test command, compare them, deploy main and tags, and try Nodes at night', () => {
    expect(Object.fromEntries(all.map(({ name, on }) => [name, Object.keys(on)]))).toEqual({
      check: ['pull_request', 'workflow_call'],
      deploy: ['push', 'workflow_dispatch'],
      diff: ['pull_request'],
      matrix: ['schedule', 'workflow_dispatch'],
    })
    expect(workflow('deploy').on.push).toEqual({ branches: ['main'], tags: ['v*'] })
    expect(commands(workflow('check').jobs.check!)).toContain('.ci/run')
  })

  it('deploy dev from main and prod from a tag that is on main, after the check, in an environment', () => {
    const { check, dev, prod } = workflow('deploy').jobs
    expect(check!.uses).toBe('./.github/workflows/check.yml')
    expect(dev).toMatchObject({ needs: 'check', if: "github.ref == 'refs/heads/main'", environment: 'dev' })
    expect(prod).toMatchObject({
      needs: 'check',
      if: "startsWith(github.ref, 'refs/tags/v')",
      environment: 'prod',
    })
    expect(commands(prod!).join('\n')).toContain('git merge-base --is-ancestor "$GITHUB_SHA" origin/main')
    for (const [stage, job] of Object.entries({ dev, prod })) {
      expect(commands(job!).at(-1)).toBe(`npm run deploy -- ${stage} --yes`)
      // A deployment that is stopped half way keeps the next one waiting.
      expect(job!.concurrency).toEqual({ group: `deploy-${stage}`, 'cancel-in-progress': false })
    }
  })

  it('compare no pull request of a fork', () => {
    const condition = workflow('diff').jobs.diff!.if
    expect(condition).toContain('github.event.pull_request.head.repo.full_name == github.repository')
  })

  it('may read the code, and more only where a job needs it', () => {
    expect(all.map(({ permissions }) => permissions)).toEqual(all.map(() => ({ contents: 'read' })))
    const more = jobs.filter(({ permissions }) => permissions)
    expect(Object.fromEntries(more.map(({ id, permissions }) => [id, permissions]))).toEqual({
      'deploy.dev': { contents: 'read', 'id-token': 'write' },
      'deploy.prod': { contents: 'read', 'id-token': 'write' },
      'diff.diff': { contents: 'read', 'id-token': 'write', 'pull-requests': 'write' },
    })
    const checkouts = jobs.flatMap(({ steps = [] }) => steps.filter(({ uses }) => uses?.includes('checkout')))
    expect(checkouts.every((step) => step.with?.['persist-credentials'] === false)).toBe(true)
    expect(checkouts).toHaveLength(5)
  })

  it('hold no secret and no account, and put no text of a pull request into a command', () => {
    for (const [name, text] of texts) {
      expect(text, name).not.toMatch(/secrets\.|AKIA|aws-secret-access-key|arn:aws|\b\d{12}\b/)
    }
    for (const job of jobs) expect(commands(job).join('\n'), job.id).not.toContain('${{')
  })

  it('name npm scripts and files that exist, and pin each action to a major version', () => {
    const { scripts }: { scripts: object } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const lines = jobs.flatMap(commands).join('\n')
    const named = [...lines.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name]) => name)
    expect(named).toHaveLength(4)
    expect(named.filter((name) => !(name! in scripts))).toEqual([])
    const actions = jobs.flatMap(({ uses, steps = [] }) => [uses, ...steps.map((step) => step.uses)])
    for (const action of actions.filter((name) => name !== undefined)) {
      if (action.startsWith('./')) expect(existsSync(join(root, action)), action).toBe(true)
      else expect(action).toMatch(/^(?:actions|aws-actions)\/[\w-]+@v\d+$/)
    }
    expect(existsSync(join(root, '.ci/run'))).toBe(true)
  })

  it('end: every job that runs has a limit', () => {
    const limits = jobs.filter(({ steps }) => steps).map((job) => job['timeout-minutes'])
    expect(limits.every((limit) => limit !== undefined && limit <= 120)).toBe(true)
  })
})
