import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { root } from '../../../clients/cli/stages.ts'
import { Account, type StageName, stacksOf } from './cloudformation/account.ts'
import type { Terminal } from './cloudformation/cdk.ts'
import { type Status, statuses } from './cloudformation/model.ts'

let account: Account
beforeAll(async () => {
  account = await Account.make()
})
beforeEach(() => account.reset())
afterAll(() => account[Symbol.asyncDispose]())

const withData = (stack: string) => /-(data|identity)$/.test(stack)
const protectedData = (stack: string) => (withData(stack) ? ['Database'] : [])
const situations = ['whole', 'absent behind it'] as const
const terminals: [string, Terminal][] = [
  ['without a terminal', {}],
  // Every question of the CDK about a rollback is one that the command has failed to settle.
  ['with a terminal', { answer: false }],
]

/** The stack in a state, the others as a deployment left them that came as far as it, or behind it. */
function given(stack: string, status: Status, others: (typeof situations)[number], whole?: boolean): void {
  const stacks = stacksOf(stack.split('-')[1] as StageName)
  account.reset()
  for (const other of others === 'whole' ? stacks : stacks.slice(0, stacks.indexOf(stack))) {
    account.cloud.given(other, 'UPDATE_COMPLETE', { data: protectedData(other) })
  }
  const data = protectedData(stack)
  account.cloud.given(stack, status, whole === undefined ? { data } : { data, whole })
}

function expectWell(stage: StageName): void {
  const ends = stacksOf(stage).map((stack) => account.cloud.stacks.get(stack)?.status)
  expect(ends.filter((status) => !/^(CREATE|UPDATE)_COMPLETE$/.test(status ?? ''))).toEqual([])
  expect(account.cloud.lost).toEqual([])
  expect(account.cdkErrors).toEqual([])
  expect(account.written).toContain('A key, shown this once:')
}

/** What a person is told in place of a deployment: nothing was changed, and the last line is what to run. */
async function expectInstruction(run: Promise<void>, command: RegExp): Promise<void> {
  const { message } = await run.then(
    () => expect.fail('it went through'),
    (error: Error) => error,
  )
  expect(message.split('\n').at(-1)).toMatch(command)
  expect(account.changes).toEqual([])
  expect(account.cloud.log).toEqual([])
}

/** States in which a stack with data is left to a person, as is any where a person has imported something. */
const stops = (stack: string, status: Status) =>
  status === 'IMPORT_ROLLBACK_FAILED' ||
  (withData(stack) && /^(ROLLBACK_|DELETE_FAILED|CREATE_IN_PROGRESS)/.test(status))

describe.each(terminals)('the same command %s', (_, terminal) => {
  describe.each(stacksOf('prod'))('on %s', (stack) => {
    it.each(statuses)('goes on from %s, or says what to decide', async (status) => {
      for (const others of terminal.answer === undefined ? situations : situations.slice(1)) {
        given(stack, status, others)
        account.terminal = terminal
        const run = account.deploy('prod', '--yes')
        const region = stack.endsWith('-web') ? ' --region us-east-1' : ''
        if (stops(stack, status)) {
          await expectInstruction(
            run,
            new RegExp(`^aws cloudformation delete-stack --stack-name ${stack}${region}(?! --region)`),
          )
          expect(account.cloud.stacks.has(stack)).toBe(true)
        } else {
          await run
          expectWell('prod')
        }
      }
    })

    it.each(['UPDATE_FAILED', 'CREATE_FAILED'] as const)(
      'goes on from %s of a stack that was never whole',
      async (status) => {
        given(stack, status, 'absent behind it', false)
        account.terminal = terminal
        await account.deploy('prod', '--yes')
        expectWell('prod')
      },
    )

    it('goes on after a creation or an update that failed', async () => {
      for (const first of ['creation', 'update']) {
        account.reset()
        account.terminal = terminal
        if (first === 'update') await account.deploy('prod', '--yes')
        account.forget()
        account.cloud.fail('change', stack)
        await expect(account.deploy('prod', '--yes')).rejects.toThrow('run the same command')
        account.forget()
        await account.deploy('prod', '--yes')
        expectWell('prod')
      }
    })

    it('goes on after a rollback that failed too', async () => {
      await account.deploy('prod', '--yes')
      account.terminal = terminal
      account.cloud.fail('change', stack)
      account.cloud.fail('rollback', stack)
      await expect(account.deploy('prod', '--yes')).rejects.toThrow('UPDATE_ROLLBACK_FAILED (why)')
      account.forget()
      await account.deploy('prod', '--yes')
      expectWell('prod')
    })
  })
})

describe('dev', () => {
  const data = 'Insighta-dev-data'

  it.each(terminals)(
    'makes its data stack again %s once nothing is left of its creation',
    async (_, terminal) => {
      account.terminal = terminal
      account.cloud.fail('change', data)
      await expect(account.deploy('dev', '--yes')).rejects.toThrow(
        /\(1\)\n\nInsighta-dev-data is ROLLBACK_COMPLETE: it was never complete. The CDK deletes it and creates it again.\n.* run the same command/,
      )
      account.forget()
      await account.deploy('dev', '--yes')
      expectWell('dev')
    },
  )

  it('says what a creation that was rolled back left of its data, and leaves it', async () => {
    given(data, 'ROLLBACK_COMPLETE', 'absent behind it')
    await expect(account.deploy('dev', '--yes')).rejects.toThrow(
      'Insighta-dev-data is ROLLBACK_COMPLETE and left Database (AWS::RDS::DBCluster): a deployment neither',
    )
  })

  it('has its destruction finished before it is deployed again', async () => {
    given(data, 'DELETE_FAILED', 'whole')
    await expectInstruction(account.deploy('dev', '--yes'), /^npm run destroy -- dev --yes$/)
    await account.destroy('dev', '--yes')
    account.forget()
    account.cloud.lost.splice(0)
    await account.deploy('dev', '--yes')
    expectWell('dev')
  })
})

describe('a first deployment of prod', () => {
  it('rolls back nothing of what holds data, and the rest as ever', async () => {
    await account.deploy('prod', '--yes')
    expect(account.cloud.log.filter((line) => line.endsWith('without rollback'))).toEqual([
      'create Insighta-prod-data without rollback',
      'create Insighta-prod-identity without rollback',
    ])
    account.reset()
    account.cloud.given('Insighta-prod-data', 'ROLLBACK_COMPLETE')
    await account.deploy('prod', '--yes')
    expect(account.cloud.log).toContain('create Insighta-prod-data without rollback')
    account.reset()
    await account.deploy('dev', '--yes')
    expect(account.cloud.log.join()).not.toContain('without rollback')
  })

  it('deploys each group of stacks alone, so that none is deployed with the flags of another', async () => {
    await account.deploy('prod', '--yes')
    const deployed = account.changes.map((line) => line.replace(/ --(outputs-file|require).*/, ''))
    expect(deployed).toEqual([
      'npx cdk deploy Insighta-prod-network --exclusively',
      'npx cdk deploy Insighta-prod-data Insighta-prod-identity --exclusively --no-rollback',
      `npx cdk deploy ${stacksOf('prod').slice(3, -1).join(' ')} --exclusively`,
      expect.stringContaining('npx cdk deploy Insighta-prod-web --exclusively --parameters'),
    ])
  })
})

describe('stacks that have to be rolled back or deleted', () => {
  it('are, before any is deployed, and those that need others before them', async () => {
    given('Insighta-prod-network', 'DELETE_FAILED', 'whole')
    account.cloud.given('Insighta-prod-api', 'UPDATE_FAILED')
    account.cloud.given('Insighta-prod-web', 'UPDATE_ROLLBACK_FAILED')
    await account.deploy('prod', '--yes')
    const context = /-c mailFrom=.* -c stage=prod$/
    expect(account.changes.slice(0, 3)).toEqual([
      expect.stringMatching(/^npx cdk rollback Insighta-prod-web -c /),
      expect.stringMatching(/^npx cdk rollback Insighta-prod-api -c /),
      expect.stringMatching(/^npx cdk destroy Insighta-prod-network --exclusively --force -c /),
    ])
    for (const line of account.changes.slice(0, 3)) expect(line.replaceAll("'", '')).toMatch(context)
    expect(account.written).toContain(
      'Insighta-prod-api is UPDATE_FAILED (why): it is rolled back, then deployed.',
    )
    expectWell('prod')
  })

  it('are continued by the next run, which names what to do if a rollback fails for good', async () => {
    given('Insighta-prod-api', 'UPDATE_ROLLBACK_FAILED', 'whole')
    account.cloud.fail('rollback', 'Insighta-prod-api')
    await expect(account.deploy('prod', '--yes')).rejects.toThrow(
      /npx cdk rollback failed \(1\)\n\nInsighta-prod-api is UPDATE_ROLLBACK_FAILED \(why\): its rollback is continued.*\nnpx cdk rollback Insighta-prod-api --orphan '<logical id>' -c /,
    )
    expect(account.changes).toHaveLength(1)
    account.forget()
    await account.deploy('prod', '--yes')
    expectWell('prod')
  })

  it('are left for the next run if their deletion fails', async () => {
    given('Insighta-prod-api', 'DELETE_FAILED', 'whole')
    account.cloud.fail('delete', 'Insighta-prod-api')
    await expect(account.deploy('prod', '--yes')).rejects.toThrow(
      'Insighta-prod-api is DELETE_FAILED (why): its deletion is finished, then it is created again.',
    )
    account.forget()
    await account.deploy('prod', '--yes')
    expectWell('prod')
  })

  it.each([
    ['Insighta-prod-api', 'UPDATE_FAILED'],
    ['Insighta-prod-data', 'ROLLBACK_FAILED'],
  ] as const)('are not deployed if %s is found in %s afterwards', async (other, status) => {
    given('Insighta-prod-api', 'UPDATE_FAILED', 'whole')
    // Another deployment begins and fails behind the back of this one.
    const { cloud } = account
    const rollbackStack = cloud.rollbackStack.bind(cloud)
    const describe = cloud.describe.bind(cloud)
    vi.spyOn(cloud, 'rollbackStack').mockImplementationOnce((name) => {
      rollbackStack(name)
      vi.spyOn(cloud, 'describe').mockImplementation((stack) => {
        if (stack === other) cloud.given(other, status)
        return describe(stack)
      })
    })
    await expect(account.deploy('prod', '--yes')).rejects.toThrow(new RegExp(`^${other} is ${status}`))
    expect(account.changes).toHaveLength(1)
  })
})

describe('a stack with data that a failure left unfinished', () => {
  const data = 'Insighta-prod-data'

  it('is not rolled back without a person for a change that replaces a resource', async () => {
    for (const answer of [undefined, false]) {
      given(data, 'CREATE_FAILED', 'absent behind it')
      account.terminal = { answer }
      account.cloud.replacing.add(data)
      await expect(account.deploy('prod', '--yes')).rejects.toThrow(
        /CREATE_FAILED \(why\) and holds data: .* take that change out, or decide on a terminal, where the CDK asks\./,
      )
      expect(account.cloud.log.filter((line) => line.includes(data))).toEqual([])
      expect(account.cloud.lost).toEqual([])
    }
  })

  it('is told apart from a success if CloudFormation found nothing to change', async () => {
    given(data, 'UPDATE_FAILED', 'whole')
    account.cloud.unchanged.add(data)
    await expect(account.deploy('prod', '--yes')).rejects.toThrow(
      /UPDATE_FAILED \(why\) still: CloudFormation found nothing to change in it\. .*\nnpx cdk rollback Insighta-prod-data -c /,
    )
    expect(account.smoke).not.toHaveBeenCalled()
    given(data, 'CREATE_FAILED', 'whole')
    account.cloud.unchanged.add(data)
    await expect(account.deploy('prod', '--yes')).rejects.toThrow(
      /found nothing to change in it: .*\n[\s\S]*\naws cloudformation delete-stack --stack-name Insighta-prod-data$/,
    )
  })
})

describe('a stack that CloudFormation works on', () => {
  it('is waited for, and what it ends in decides', async () => {
    given('Insighta-prod-api', 'UPDATE_ROLLBACK_IN_PROGRESS', 'whole')
    await account.deploy('prod', '--yes')
    expect(account.written).toContain(
      'Insighta-prod-api is UPDATE_ROLLBACK_IN_PROGRESS: a deployment is at work, or was cut off. Waiting for its end.\n',
    )
    expectWell('prod')
  })

  it('is not waited for without an end', async () => {
    given('Insighta-prod-api', 'UPDATE_IN_PROGRESS', 'whole')
    vi.spyOn(account.cloud, 'describe').mockImplementation((name) => account.cloud.stacks.get(name))
    await expect(account.deploy('prod', '--yes')).rejects.toThrow(
      'Insighta-prod-api is UPDATE_IN_PROGRESS without an end. Run the same command once CloudFormation has finished',
    )
    expect(account.changes).toEqual([])
    // Once, not at each look.
    expect(account.written.match(/Waiting/g)).toHaveLength(1)
  })

  it('is named if it came in between', async () => {
    given('Insighta-prod-api', 'UPDATE_COMPLETE', 'whole')
    account.failing = { 'cdk deploy': 'npx cdk deploy failed (1)' }
    const describe = account.cloud.describe.bind(account.cloud)
    vi.spyOn(account.cloud, 'describe').mockImplementation((name) => {
      if (account.changes.length > 0) account.cloud.given('Insighta-prod-api', 'UPDATE_IN_PROGRESS')
      return describe(name)
    })
    await expect(account.deploy('prod', '--yes')).rejects.toThrow(
      /\(1\)\n\nInsighta-prod-api is UPDATE_IN_PROGRESS: a deployment is at work. Run the same command once CloudFormation has finished\.$/,
    )
  })
})

describe('after a failure', () => {
  it('what the CDK said stays if AWS does not tell how the stacks stand', async () => {
    account.failing = { 'cdk deploy': 'npx cdk deploy failed (1)' }
    const describe = account.cloud.describe.bind(account.cloud)
    vi.spyOn(account.cloud, 'describe').mockImplementation((name) => {
      if (account.changes.length > 0) throw new Error('ExpiredToken')
      return describe(name)
    })
    await expect(account.deploy('prod', '--yes')).rejects.toThrow(
      'npx cdk deploy failed (1)\n\nHow the stacks stand could not be asked: ExpiredToken',
    )
  })
})

/** The commands among the lines that a plan prints before it names the stacks. */
function commands(text: string): string[] {
  const [plan = ''] = text.split(/\nThat is a first|\nStacks, in this order/)
  return plan.split('\n').filter((line) => /^(aws|npx|npm) /.test(line))
}

/** As a plan has them: each question once, and what only the deployment tells in angle brackets. */
function called(): string[] {
  const web = "'Insighta-prod-web:ApiDomain=<host of ApiUrl>'"
  const lines = account.called.map((line) =>
    line
      .replace('https://api.example ', '<ApiUrl> ')
      .replace('https://d1.cloudfront.example', 'https://<DistributionDomain>')
      .replace('Insighta-prod-web:ApiDomain=api.example', web)
      .replace(/--secret-id \S+/, "--secret-id '<each output ...SecretName>'")
      .replace(
        /--region \S+ --topic-arn \S+/,
        "--region '<region>' --topic-arn 'arn:aws:sns:<region>:<each output ...TopicArn>'",
      ),
  )
  return [...new Set(lines)].filter((line) => !/cdk list|list-stack-resources/.test(line))
}

describe('the words of a plan', () => {
  it.each([['prod', '--yes'], ['prod'], ['dev', '--yes'], ['dev']])(
    'are those of a first deployment in a dry run, which calls nothing of AWS: %s %s',
    async (...words) => {
      account.terminal = { answer: true, permissions: true }
      await account.deploy(...words, '--dry-run')
      expect(account.called).toEqual([expect.stringMatching(/^npx cdk list /)])
      const planned = commands(account.written)
      account.forget()
      await account.deploy(...words)
      // dev has no secrets in this account, and so none is asked for.
      const secrets = words[0] === 'dev' ? /describe-secret/ : /^$/
      expect(called()).toEqual(planned.filter((line) => !secrets.test(line)))
    },
  )

  it.each(stacksOf('prod'))('are those that are run, in whichever state %s is', async (stack) => {
    for (const status of statuses) {
      given(stack, status, 'whole')
      await account.deploy('prod', '--yes', '--plan')
      expect(account.changes).toEqual([])
      expect(account.cloud.log).toEqual([])
      const planned = commands(account.written)
      const [before] = account.written.split('\naws sts')
      if (status.endsWith('_IN_PROGRESS') && status !== 'REVIEW_IN_PROGRESS') {
        expect(before).toContain(`${stack} is ${status}: a deployment is at work.`)
        expect(planned).toEqual([])
        continue
      }
      account.forget()
      if (stops(stack, status)) {
        await expectInstruction(account.deploy('prod', '--yes'), new RegExp(`^${planned.at(-1)}$`))
      } else {
        await account.deploy('prod', '--yes')
        expect(called()).toEqual(planned)
      }
    }
  })

  it('have the recovery from each state in a dry run too', async () => {
    await account.deploy('prod', '--yes', '--dry-run')
    const printed = account.written.split('\n')
    for (const [stack, placeholder] of [
      ['Insighta-prod-api', 'Insighta-prod-STACK'],
      ['Insighta-prod-data', 'Insighta-prod-data'],
    ] as const) {
      for (const status of statuses.filter((name) => /FAILED$/.test(name))) {
        if (stops(stack, status)) continue
        given(stack, status, 'whole')
        await account.deploy('prod', '--yes')
        const [recovery = ''] = account.changes.filter((line) => /rollback|destroy/.test(line))
        if (recovery !== '') expect(printed).toContain(recovery.replace(stack, placeholder))
      }
    }
  })
})

describe('the table of states in the documentation', () => {
  it('has a row for every state, which says whether a person has to decide', async () => {
    const text = await readFile(join(root, 'docs/deploying.md'), 'utf8')
    const [, section = ''] = text.split('## A deployment that stopped')
    const [table = ''] = section.split('\n\nWhere the command stops')
    const rows = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
    for (const status of statuses) {
      const found = rows.filter(([, states = '']) => states.includes(`\`${status}\``))
      if (status.endsWith('_IN_PROGRESS') && found.length === 0) continue
      expect(found, status).toHaveLength(1)
      const [, , without = '', having = ''] = found[0]!
      expect(without.includes('stops'), status).toBe(stops('Insighta-prod-api', status))
      expect(having.includes('stops'), status).toBe(stops('Insighta-prod-data', status))
    }
  })
})
