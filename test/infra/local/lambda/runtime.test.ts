import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestLambda, until } from './handlers.ts'

let bench: Awaited<ReturnType<typeof startTestLambda>>
beforeAll(async () => {
  bench = await startTestLambda()
})
afterAll(() => bench.close())

let functions = 0

/** Runs a function with this module as its bundle once, or as often as there are events. */
async function run(source: string, events: unknown[] = [{}], handler = 'index.handler') {
  const name = `f${functions++}`
  await bench.define(name, source, { handler, timeoutSeconds: 5 })
  const results = []
  for (const event of events) {
    const { payload, functionError } = await bench.lambda.invoke(name, JSON.stringify(event))
    results.push({ failed: functionError !== undefined, body: JSON.parse(payload) })
  }
  const log = async () => {
    let text = ''
    // An answer does not wait for its lines to be written.
    await until(async () => {
      text = await readFile(join(bench.logDir, `${name}.log`), 'utf8').catch(() => '')
      return text.match(/^REPORT .*\n/gm)?.length === events.length
    })
    return text
  }
  return { results, log }
}

async function errorOf(
  source: string,
  handler?: string,
): Promise<{ errorType: string; errorMessage: string }> {
  const { results } = await run(source, [{}], handler)
  expect(results[0]?.failed).toBe(true)
  return results[0]?.body
}

describe('the init of the runtime client', () => {
  test.each([
    ['a module that is not there', `import './missing.mjs'`, 'Runtime.ImportModuleError', /missing\.mjs/],
    [
      'a package that is not there',
      `import 'no-such-package'`,
      'Runtime.ImportModuleError',
      /no-such-package/,
    ],
    ['code that does not parse', 'export const handler = async () => {', 'Runtime.UserCodeSyntaxError', /./],
    [
      'a handler that is no function',
      'export const handler = 7',
      'Runtime.HandlerNotFound',
      /not a function/,
    ],
    [
      'a handler that takes a callback',
      'export const handler = (event, context, callback) => callback(null, 1)',
      'Runtime.CallbackHandlerDeprecated',
      /callback/,
    ],
    [
      'a promise that nobody handles',
      `Promise.reject(new RangeError('far'))\nawait new Promise(() => setInterval(() => {}, 1000))`,
      'Runtime.UnhandledPromiseRejection',
      /RangeError: far/,
    ],
  ])('reports %s', async (_, source, errorType, message) => {
    expect(await errorOf(source)).toMatchObject({ errorType, errorMessage: expect.stringMatching(message) })
  })

  test.each([
    ['index', 'Runtime.MalformedHandlerName'],
    ['../index.handler', 'Runtime.MalformedHandlerName'],
    ['other.handler', 'Runtime.ImportModuleError'],
  ])('refuses the handler name %s', async (handler, errorType) => {
    expect(await errorOf('export const handler = async () => 1', handler)).toMatchObject({ errorType })
  })

  test('finds a nested export, also of a default export', async () => {
    const nested = 'export const api = { get: { handler: async () => 1 } }'
    expect((await run(nested, [{}], 'index.api.get.handler')).results[0]?.body).toBe(1)
    expect((await run('export default { handler: () => 2 }')).results[0]?.body).toBe(2)
  })
})

describe('the runtime client in an invocation', () => {
  test.each([
    ['uncaught exception', `throw new TypeError('late')`, 'TypeError', 'late', 'Uncaught Exception'],
    [
      'unhandled rejection',
      `Promise.reject(new Error('lost'))`,
      'Runtime.UnhandledPromiseRejection',
      'Error: lost',
      'Unhandled Promise Rejection',
    ],
  ])(
    'reports an %s, then ends, and the next one runs elsewhere',
    async (_, statement, type, message, title) => {
      const source = `export const handler = ({ fail }) =>
      fail ? new Promise(() => { setTimeout(() => { ${statement} }); setInterval(() => {}, 1000) }) : process.pid`
      const { results, log } = await run(source, [{}, { fail: true }, {}])
      expect(results[1]).toMatchObject({ failed: true, body: { errorType: type, errorMessage: message } })
      expect(results[0]?.body).not.toBe(results[2]?.body)
      expect(await log()).toContain(`\tERROR\t${title} {"errorType":"${type}"`)
    },
  )

  test('tells how much of its time is left, less as it goes on', async () => {
    const source = `export const handler = async (_, context) => {
      const before = context.getRemainingTimeInMillis()
      const until = Date.now() + 5
      while (Date.now() < until);
      return [before, context.getRemainingTimeInMillis()]
    }`
    const [before, after] = (await run(source)).results[0]!.body as [number, number]
    expect(before).toBeLessThanOrEqual(5000)
    expect(after).toBeLessThanOrEqual(before - 5)
  })

  test('whose process gets SIGTERM ends as one that was terminated', async () => {
    const source = `export const handler = () => new Promise(() => {
      setInterval(() => {}, 1000)
      process.kill(process.pid, 'SIGTERM')
    })`
    expect(await errorOf(source)).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringMatching(/Runtime exited with error: signal: terminated$/),
    })
  })

  test('leaves SIGTERM to a handler that listens for it', async () => {
    const source = `export const handler = () => new Promise((resolve) => {
      const alive = setInterval(() => {}, 1000)
      process.once('SIGTERM', () => { clearInterval(alive); resolve('tidied up') })
      process.kill(process.pid, 'SIGTERM')
    })`
    expect((await run(source)).results[0]).toEqual({ failed: false, body: 'tidied up' })
  })

  test('reports what is thrown and is no error, and what JSON cannot hold', async () => {
    expect(await errorOf(`export const handler = async () => { throw 'a text' }`)).toEqual({
      errorType: 'string',
      errorMessage: 'a text',
      trace: [],
    })
    expect(await errorOf('export const handler = async () => 1n')).toMatchObject({ errorType: 'TypeError' })
  })

  test('answers with what a handler returns without a promise, and goes on after an error', async () => {
    const source = `export const handler = ({ fail }) => { if (fail) throw new Error('once'); return process.pid }`
    const { results } = await run(source, [{}, { fail: true }, {}])
    expect(results.map(({ failed }) => failed)).toEqual([false, true, false])
    expect(results[2]?.body).toBe(results[0]?.body)
  })

  test('writes each message of the console as one line with level and request, and errors with their causes', async () => {
    const source = `export const handler = async () => {
      console.warn('first\\nsecond %d', 2)
      const error = new Error('above', { cause: new RangeError('below') })
      throw Object.assign(error, { code: 'E_CODE', self: error })
    }
    console.info('at init')`
    const { log } = await run(source)
    const text = await log()
    expect(text).toMatch(/^\S+Z\tundefined\tINFO\tat init$/m)
    expect(text).toMatch(/^\S+Z\t[0-9a-f-]{36}\tWARN\tfirst\rsecond 2$/m)
    const line = text.split('\n').find((one) => one.includes('\tERROR\tInvoke Error '))
    expect(line).toContain('"errorMessage":"above"')
  })

  test('logs codes and causes of an error', async () => {
    const source = `export const handler = async () => {
      throw Object.assign(new Error('above', { cause: new RangeError('below') }), { code: 'E_CODE' })
    }`
    const text = await (await run(source)).log()
    const [, json = ''] = /\tERROR\tInvoke Error (.*)$/m.exec(text) ?? []
    expect(JSON.parse(json)).toMatchObject({
      errorType: 'Error',
      code: 'E_CODE',
      cause: { errorType: 'RangeError', errorMessage: 'below', stack: expect.any(Array) },
    })
  })
})
