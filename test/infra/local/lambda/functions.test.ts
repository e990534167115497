import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { isLambdaError, isTooManyRequests } from '../../../../infra/local/lambda/errors.ts'
import type { LambdaOptions } from '../../../../infra/local/lambda/functions.ts'
import { createMetrics } from '../../../../infra/local/metrics.ts'
import { isAlive, startTestLambda, until } from './handlers.ts'

let current: Awaited<ReturnType<typeof startTestLambda>> | undefined
afterEach(async () => {
  await current?.close()
  current = undefined
})

async function start(options: Partial<LambdaOptions> = {}) {
  current = await startTestLambda(options)
  return current
}

const pidHandler = 'export const handler = async () => process.pid'

describe('an invocation', () => {
  test('gets the event and the context, and its answer comes back as JSON', async () => {
    const { define, lambda } = await start()
    await define(
      'echo',
      `export const handler = async (event, context) => ({
        event, name: context.functionName, arn: context.invokedFunctionArn, memory: context.memoryLimitInMB,
        remaining: context.getRemainingTimeInMillis(), id: context.awsRequestId })`,
      { timeoutSeconds: 7, memoryMb: 300 },
    )
    const { payload, functionError } = await lambda.invoke('echo', '{"name":"Zoë 🎉"}')
    expect(functionError).toBeUndefined()
    const answer = JSON.parse(payload)
    expect(answer).toMatchObject({
      event: { name: 'Zoë 🎉' },
      name: 'echo',
      arn: 'arn:aws:lambda:eu-west-1:000000000000:function:echo',
      memory: '300',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    expect(answer.remaining).toBeGreaterThan(0)
    expect(answer.remaining).toBeLessThanOrEqual(7000)
  })

  test('that answers nothing answers null', async () => {
    const { define, lambda } = await start()
    await define('nothing', 'export const handler = async () => {}')
    expect(await lambda.invoke('nothing', '{}')).toEqual({ payload: 'null' })
  })

  test('of a handler that throws is a function error with its type, message and stack', async () => {
    const { define, lambda } = await start()
    await define('thrower', `export const handler = async () => { throw new RangeError('too far') }`)
    const { payload, functionError } = await lambda.invoke('thrower', '{}')
    expect(functionError).toBe('Unhandled')
    const error = JSON.parse(payload)
    expect(error).toMatchObject({ errorType: 'RangeError', errorMessage: 'too far' })
    expect(error.trace[0]).toBe('RangeError: too far')
  })

  test('past its deadline is killed, and the next one gets a new environment', async () => {
    const { define, lambda } = await start()
    await define(
      'slow',
      `export const handler = async (event) => event.sleep ? new Promise(() => setInterval(() => {}, 1000)) : process.pid`,
      { timeoutSeconds: 1 },
    )
    const before = await lambda.invoke('slow', '{}')
    const { payload, functionError } = await lambda.invoke('slow', '{"sleep":true}')
    expect(functionError).toBe('Unhandled')
    expect(JSON.parse(payload)).toEqual({
      errorType: 'Sandbox.Timedout',
      errorMessage: expect.stringMatching(
        /^RequestId: [0-9a-f-]{36} Error: Task timed out after 1\.00 seconds$/,
      ),
    })
    const after = await lambda.invoke('slow', '{}')
    expect(after.payload).not.toBe(before.payload)
    await until(() => !isAlive(Number(before.payload)))
  })

  test('that blocks the event loop is killed at its deadline too', async () => {
    const { define, lambda } = await start()
    await define('busy', 'export const handler = async () => { for (;;); }', { timeoutSeconds: 1 })
    const { payload } = await lambda.invoke('busy', '{}')
    expect(JSON.parse(payload).errorType).toBe('Sandbox.Timedout')
  })

  test('that takes more memory than the function has is killed', async () => {
    const { define, lambda } = await start()
    await define(
      'greedy',
      `const kept = []
       export const handler = async () => {
         for (;;) {
           kept.push(Buffer.alloc(8 * 1024 * 1024, 1))
           await new Promise((resolve) => setTimeout(resolve, 10))
         }
       }`,
      { memoryMb: 160 },
    )
    const { payload, functionError } = await lambda.invoke('greedy', '{}')
    expect(functionError).toBe('Unhandled')
    expect(JSON.parse(payload)).toEqual({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringMatching(/Runtime exited with error: signal: killed$/),
    })
  })

  test.each([
    ['process.exit(3)', 'Runtime exited with error: exit status 3'],
    ['process.exit(0)', 'Runtime exited without providing a reason'],
    [`process.kill(process.pid, 'SIGKILL')`, 'Runtime exited with error: signal: killed'],
  ])('in which the process ends by %s is a Runtime.ExitError', async (statement, reason) => {
    const { define, lambda } = await start()
    await define('leaver', `export const handler = () => new Promise(() => { ${statement} })`)
    const { payload, functionError } = await lambda.invoke('leaver', '{}')
    expect(functionError).toBe('Unhandled')
    expect(JSON.parse(payload)).toEqual({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringMatching(new RegExp(`^RequestId: \\S+ Error: ${reason}$`)),
    })
  })

  test('with an answer over 6,291,556 bytes fails, and one of exactly that passes', async () => {
    const { define, lambda } = await start()
    await define('big', `export const handler = async ({ length }) => 'x'.repeat(length - 2)`)
    const exact = await lambda.invoke('big', '{"length":6291556}')
    expect(exact.functionError).toBeUndefined()
    expect(exact.payload).toHaveLength(6_291_556)
    const { payload, functionError } = await lambda.invoke('big', '{"length":6291557}')
    expect(functionError).toBe('Unhandled')
    expect(JSON.parse(payload)).toEqual({
      errorType: 'Function.ResponseSizeTooLarge',
      errorMessage: 'Response payload size exceeded maximum allowed payload size (6291556 bytes).',
    })
    // The environment survives it.
    expect((await lambda.invoke('big', '{"length":4}')).payload).toBe('"xx"')
  })

  test('with an event over 6 MiB is refused', async () => {
    const { define, lambda } = await start()
    await define('echo', pidHandler)
    const error = await lambda
      .invoke('echo', JSON.stringify('x'.repeat(6 * 1024 * 1024)))
      .catch((e: unknown) => e)
    expect(isLambdaError(error) && error.type).toBe('RequestTooLargeException')
  })

  test('of an unknown function is refused', async () => {
    const { lambda } = await start()
    const error = await lambda.invoke('nobody', '{}').catch((e: unknown) => e)
    expect(isLambdaError(error) && error.type).toBe('ResourceNotFoundException')
  })

  test('whose caller gives up runs on to its end', async () => {
    const { define, lambda, dir } = await start()
    await define(
      'steady',
      `import { existsSync, writeFileSync } from 'node:fs'
       const dir = ${JSON.stringify(dir)}
       export const handler = async () => {
         writeFileSync(dir + '/begun', '')
         while (!existsSync(dir + '/release')) await new Promise((resolve) => setTimeout(resolve, 5))
         writeFileSync(dir + '/ended', '')
       }`,
    )
    const controller = new AbortController()
    const refused = expect(lambda.invoke('steady', '{}', { signal: controller.signal })).rejects.toThrow(
      'gave up',
    )
    await until(() => existsSync(join(dir, 'begun')))
    controller.abort(new Error('gave up'))
    await refused
    await writeFile(join(dir, 'release'), '')
    await until(() => existsSync(join(dir, 'ended')))
  })

  test('whose caller gives up before it began never begins', async () => {
    const { define, lambda, dir } = await start()
    const mark = join(dir, 'begun')
    await define(
      'unwanted',
      `import { writeFileSync } from 'node:fs'
       export const handler = async ({ mark }) => { if (mark) writeFileSync(mark, '') }`,
    )
    const controller = new AbortController()
    const gone = lambda.invoke('unwanted', JSON.stringify({ mark }), { signal: controller.signal })
    controller.abort(new Error('gave up'))
    await expect(gone).rejects.toThrow('gave up')
    await lambda.invoke('unwanted', '{}')
    expect(existsSync(mark)).toBe(false)
  })
})

describe('an init', () => {
  test('that throws fails the invocation with its error', async () => {
    const { define, lambda } = await start()
    await define('broken', `throw new TypeError('no configuration')\nexport const handler = async () => 1`)
    for (let round = 0; round < 2; round++) {
      const { payload, functionError } = await lambda.invoke('broken', '{}')
      expect(functionError).toBe('Unhandled')
      expect(JSON.parse(payload)).toMatchObject({ errorType: 'TypeError', errorMessage: 'no configuration' })
    }
  })

  test('without the handler says so', async () => {
    const { define, lambda } = await start()
    await define('nameless', 'export const other = async () => 1')
    const { payload } = await lambda.invoke('nameless', '{}')
    expect(JSON.parse(payload)).toMatchObject({
      errorType: 'Runtime.HandlerNotFound',
      errorMessage: 'index.handler is undefined or not exported',
    })
  })

  test('that ends the process fails the invocation', async () => {
    const { define, lambda } = await start()
    await define('leaver', 'process.exit(7)\nexport const handler = async () => 1')
    const { payload } = await lambda.invoke('leaver', '{}')
    expect(JSON.parse(payload)).toEqual({
      errorType: 'Runtime.ExitError',
      errorMessage: 'Runtime exited with error: exit status 7',
    })
  })

  test('that never ends is cut off', async () => {
    const { define, lambda } = await start({ initTimeoutMs: 600 })
    await define(
      'stuck',
      'await new Promise(() => setInterval(() => {}, 1000))\nexport const handler = async () => 1',
    )
    const { payload } = await lambda.invoke('stuck', '{}')
    expect(JSON.parse(payload)).toMatchObject({ errorType: 'Sandbox.Timedout' })
  })
})

describe('environments', () => {
  test('are reused one invocation after another', async () => {
    const { define, lambda } = await start()
    await define('pid', pidHandler)
    const pids = new Set<string>()
    for (let i = 0; i < 20; i++) pids.add((await lambda.invoke('pid', '{}')).payload)
    expect(pids.size).toBe(1)
  })

  test('run one invocation at a time: two at once are two processes', async () => {
    const { define, lambda } = await start()
    await define(
      'meet',
      `import { existsSync, writeFileSync } from 'node:fs'
       export const handler = async ({ me, other }) => {
         writeFileSync(me, '')
         while (!existsSync(other)) await new Promise((r) => setTimeout(r, 5))
         return process.pid
       }`,
    )
    const [a, b] = [join(current!.dir, 'a'), join(current!.dir, 'b')]
    const answers = await Promise.all([
      lambda.invoke('meet', JSON.stringify({ me: a, other: b })),
      lambda.invoke('meet', JSON.stringify({ me: b, other: a })),
    ])
    expect(answers[0].payload).not.toBe(answers[1].payload)
  })

  test('see the variables of their function and of the platform, and nothing of the parent', async () => {
    process.env.SECRET_OF_THE_PARENT = 'x'
    const { define, lambda } = await start({ platformEnvironment: () => ({ ENDPOINT: 'platform' }) })
    await define('env', 'export const handler = async () => process.env', {
      environment: { TABLE: 'profiles', ENDPOINT: 'function' },
      memoryMb: 200,
    })
    const env = JSON.parse((await lambda.invoke('env', '{}')).payload)
    delete process.env.SECRET_OF_THE_PARENT
    expect(env).toMatchObject({
      TABLE: 'profiles',
      ENDPOINT: 'platform',
      AWS_REGION: 'eu-west-1',
      AWS_DEFAULT_REGION: 'eu-west-1',
      AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
      AWS_LAMBDA_FUNCTION_NAME: 'env',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '200',
      AWS_LAMBDA_LOG_GROUP_NAME: '/aws/lambda/env',
      AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
      TZ: ':UTC',
      _HANDLER: 'index.handler',
      _X_AMZN_TRACE_ID: expect.stringMatching(
        /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0$/,
      ),
    })
    expect(env).not.toHaveProperty('SECRET_OF_THE_PARENT')
    expect(env).not.toHaveProperty('HOME')
  })

  test('idle for too long are stopped', async () => {
    const { define, lambda } = await start({ idleMs: 20 })
    await define('pid', pidHandler)
    const pid = Number((await lambda.invoke('pid', '{}')).payload)
    await until(() => !isAlive(pid))
  })

  test('of an older definition are replaced', async () => {
    const { define, lambda } = await start()
    await define('version', 'export const handler = async () => 1')
    expect((await lambda.invoke('version', '{}')).payload).toBe('1')
    await define('version', 'export const handler = async () => 2')
    expect((await lambda.invoke('version', '{}')).payload).toBe('2')
  })

  test('are no more than the account may run: an idle one of another function makes way', async () => {
    const { define, lambda } = await start({ maxConcurrency: 1 })
    await define('one', pidHandler)
    await define('two', pidHandler)
    const first = Number((await lambda.invoke('one', '{}')).payload)
    await lambda.invoke('two', '{}')
    await until(() => !isAlive(first))
  })

  test('end with close, and so does what a handler started', async () => {
    const { define, lambda, close } = await start()
    await define(
      'parent',
      `import { spawn } from 'node:child_process'
       const child = spawn('sleep', ['600'])
       export const handler = async () => [process.pid, child.pid]`,
    )
    const pids = JSON.parse((await lambda.invoke('parent', '{}')).payload) as number[]
    await close()
    await until(() => pids.every((pid) => !isAlive(pid)))
    current = undefined
  })
})

describe('concurrency', () => {
  const holder = `
    import { existsSync, writeFileSync } from 'node:fs'
    export const handler = async ({ begun, release }) => {
      writeFileSync(begun, '')
      while (!existsSync(release)) await new Promise((r) => setTimeout(r, 5))
    }`

  test('over the account limit is refused, and counted as a throttle', async () => {
    const metrics = createMetrics()
    const { define, lambda, dir } = await start({ maxConcurrency: 1, metrics })
    await define('holder', holder)
    const release = join(dir, 'release')
    const held = lambda.invoke('holder', JSON.stringify({ begun: join(dir, 'begun'), release }))
    const error = await lambda.invoke('holder', '{}').catch((e: unknown) => e)
    expect(isTooManyRequests(error)).toBe(true)
    await writeFile(release, '')
    expect((await held).functionError).toBeUndefined()
    const dimensions = { FunctionName: 'holder' }
    const sum = (metric: string) =>
      metrics
        .query({ namespace: 'AWS/Lambda', metric, dimensions, statistic: 'Sum' })
        .reduce((s, p) => s + p.value, 0)
    expect([sum('Invocations'), sum('Throttles'), sum('Errors')]).toEqual([1, 1, 0])
  })

  test('reserved for one function is its limit, beside what the others share', async () => {
    const { define, lambda, dir } = await start({ maxConcurrency: 1 })
    await define('kept', holder, { reservedConcurrency: 1 })
    await define('other', holder)
    const event = JSON.stringify({ begun: join(dir, 'begun'), release: join(dir, 'release') })
    const held = [lambda.invoke('kept', event), lambda.invoke('other', event)]
    for (const name of ['kept', 'other']) {
      expect(isTooManyRequests(await lambda.invoke(name, event).catch((e: unknown) => e))).toBe(true)
    }
    await writeFile(join(dir, 'release'), '')
    await Promise.all(held)
  })

  test('in a burst starts a few environments at a time, and all are answered', async () => {
    const { define, lambda } = await start({ maxStarting: 2 })
    await define('pid', pidHandler)
    const answers = await Promise.all(Array.from({ length: 30 }, () => lambda.invoke('pid', '{}')))
    expect(answers.every(({ functionError }) => functionError === undefined)).toBe(true)
  })
})

describe('the log', () => {
  test('has START, the output, END and REPORT of each invocation', async () => {
    const { define, lambda, logDir } = await start()
    await define(
      'talker',
      `export const handler = async () => { console.log('hello'); process.stderr.write('raw') }`,
    )
    await lambda.invoke('talker', '{}')
    await lambda.invoke('talker', '{}')
    await lambda.close()
    const log = await readFile(join(logDir, 'talker.log'), 'utf8')
    expect(log).toMatch(/^START RequestId: \S+ Version: \$LATEST$/m)
    expect(log).toMatch(/^\S+Z\t[0-9a-f-]{36}\tINFO\thello$/m)
    expect(log).toMatch(/^raw/m)
    expect(log).toMatch(/^END RequestId: \S+$/m)
    const reports = log.split('\n').filter((line) => line.startsWith('REPORT'))
    expect(reports).toHaveLength(2)
    expect(reports[0]).toMatch(
      /Duration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\tMax Memory Used: \d+ MB\tInit Duration: [\d.]+ ms$/,
    )
    expect(reports[1]).not.toContain('Init Duration')
  })

  test('lines in Embedded Metric Format become metrics', async () => {
    const metrics = createMetrics()
    const { define, lambda } = await start({ metrics })
    await define(
      'measured',
      `export const handler = async () => {
        process.stdout.write(JSON.stringify({
          _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: 'Insighta', Dimensions: [['service']],
            Metrics: [{ Name: 'rowsInserted', Unit: 'Count' }] }] },
          service: 'insert', rowsInserted: 42 }) + '\\n')
      }`,
    )
    await lambda.invoke('measured', '{}')
    const query = {
      namespace: 'Insighta',
      metric: 'rowsInserted',
      dimensions: { service: 'insert' },
      statistic: 'Sum',
    } as const
    await until(() => metrics.query(query).length > 0)
    expect(metrics.query(query)[0]?.value).toBe(42)
  })
})
