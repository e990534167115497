import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { facetsProgram } from '../../../clients/cli/facets.ts'
import { keysProgram } from '../../../clients/cli/keys.ts'

let folder: string
let server: Server
let answer: { body: object; functionError?: string } = { body: {} }
const invocations: { url: string | undefined; authorization: string | undefined; payload: unknown }[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'insighta-keys-'))
  // Lambda's Invoke, as far as this client uses it.
  server = createServer(async (request, response) => {
    const { url, headers } = request
    invocations.push({ url, authorization: headers.authorization, payload: JSON.parse(await text(request)) })
    if (answer.functionError) response.setHeader('x-amz-function-error', answer.functionError)
    response.end(JSON.stringify(answer.body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const aws = {
    endpoint_s3: url,
    endpoint_sqs: url,
    endpoint_lambda: url,
    region: 'eu-west-1',
    access_key_id: 'LOCALKEY',
    secret_access_key: 'secret',
  }
  const functions = { keys_function: 'local-keys', facets_function: 'local-facets' }
  const rest = {
    url,
    api_key: 'ins_key',
    database_url: 'postgres://127.0.0.1',
    simulators: url,
    simulators_key: 'key',
    ...functions,
  }
  await writeFile(join(folder, 'credentials.json'), JSON.stringify({ ...rest, aws }))
  vi.stubEnv('INSIGHTA_DATA_DIR', folder)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true })
})

async function run(...words: string[]): Promise<object> {
  let written = ''
  const program = keysProgram((chunk) => {
    written += chunk
  })
  await program.parseAsync(words, { from: 'user' })
  return JSON.parse(written)
}

describe('the keys command', () => {
  it('makes a key by the function that the local credentials name', async () => {
    answer = { body: { status: 'success', id: '1', key: 'ins_x' } }
    const options = ['--role', 'admin', '--team', 'acme', '--label', 'CI', '--expires-in-days', '30']
    expect(await run('create', ...options)).toEqual({ id: '1', key: 'ins_x' })
    const { url, authorization, payload } = invocations.at(-1)!
    expect(url).toBe('/2015-03-31/functions/local-keys/invocations')
    expect(authorization).toContain('Credential=LOCALKEY/')
    expect(payload).toEqual({
      action: 'create',
      role: 'admin',
      team: 'acme',
      label: 'CI',
      expires_in_days: 30,
    })
  })

  it('gives a key several roles', async () => {
    answer = { body: { status: 'success', id: '1' } }
    await run('create', '--role', 'admin', '--role', 'operator', '--team', 'acme', '--label', 'CI')
    expect(invocations.at(-1)!.payload).toMatchObject({ role: ['admin', 'operator'] })
  })

  it('gives a key a limit, or none, when it is made or later', async () => {
    answer = { body: { status: 'success', id: '1' } }
    const options = ['--role', 'admin', '--team', 'acme', '--label', 'CI']
    for (const [text, rate_limit] of [
      ['60', 60],
      ['none', null],
    ] as const) {
      await run('create', ...options, '--rate-limit', text)
      expect(invocations.at(-1)!.payload).toMatchObject({ action: 'create', rate_limit })
      await run('limit', 'abc', text)
      expect(invocations.at(-1)!.payload).toEqual({ action: 'limit', id: 'abc', rate_limit })
    }
  })

  it('has whoever holds a key told, when it is made or replaced', async () => {
    answer = { body: { status: 'success', id: '2', key: 'ins_y' } }
    const options = ['--role', 'admin', '--team', 'acme', '--label', 'CI']
    await run('create', ...options, '--email', 'ada@example.com')
    expect(invocations.at(-1)!.payload).toMatchObject({ action: 'create', email: 'ada@example.com' })
    expect(await run('reset', 'abc', '--email', 'ada@example.com')).toEqual({ id: '2', key: 'ins_y' })
    expect(invocations.at(-1)!.payload).toEqual({ action: 'reset', id: 'abc', email: 'ada@example.com' })
    await run('reset', 'abc')
    expect(invocations.at(-1)!.payload).toEqual({ action: 'reset', id: 'abc' })
  })

  it('lists and revokes', async () => {
    answer = { body: { status: 'success', keys: [] } }
    expect(await run('list', '--team', 'acme')).toEqual({ keys: [] })
    expect(invocations.at(-1)!.payload).toEqual({ action: 'list', team: 'acme' })
    await run('revoke', 'abc')
    expect(invocations.at(-1)!.payload).toEqual({ action: 'revoke', id: 'abc' })
  })

  it('says what the function refused, and that it failed', async () => {
    answer = { body: { status: 'error', code: 'not_found', message: 'There is no key abc' } }
    await expect(run('revoke', 'abc')).rejects.toThrow('There is no key abc')
    answer = { body: { errorMessage: 'connect ECONNREFUSED' }, functionError: 'Unhandled' }
    await expect(run('list')).rejects.toThrow('local-keys failed')
  })

  it('says what to do where there is no local cloud', async () => {
    vi.stubEnv('INSIGHTA_DATA_DIR', join(folder, 'nowhere'))
    await expect(run('list')).rejects.toThrow('npm start')
    vi.stubEnv('INSIGHTA_DATA_DIR', folder)
  })
})

describe('the facets command', () => {
  const facets = async (word: string) => {
    let written = ''
    const program = facetsProgram((chunk) => {
      written += chunk
    })
    await program.parseAsync([word], { from: 'user' }).catch((error: Error) => {
      written += `${error.message}\n`
    })
    return written
  }

  it('asks the function that the local credentials name, and says what it found', async () => {
    answer = { body: { status: 'success', differences: 0, cells: [] } }
    expect(JSON.parse(await facets('verify'))).toEqual({ differences: 0, cells: [] })
    expect(invocations.at(-1)).toMatchObject({
      url: '/2015-03-31/functions/local-facets/invocations',
      payload: { action: 'verify' },
    })
    await facets('rebuild')
    expect(invocations.at(-1)!.payload).toEqual({ action: 'rebuild' })
  })

  it('fails where the facets are wrong, after showing the cells', async () => {
    const cell = { country_id: 'NG', gender: 'male', age: 3, stored: 2, actual: 1 }
    answer = { body: { status: 'success', differences: 1, cells: [cell] } }
    expect(await facets('verify')).toMatch(/"stored": 2[\s\S]*The facets differ from the profiles/)
  })
})
