import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestCloud, type TestCloud, until } from '../../e2e/cloud.ts'
import { describeInBrowser, openPage } from './browser.ts'

describeInBrowser('a page of another origin', () => {
  let cloud: TestCloud
  let window: Awaited<ReturnType<typeof openPage>>
  let importPath: string

  beforeAll(async () => {
    cloud = await startTestCloud()
    window = await openPage()
  })
  afterAll(async () => {
    await window?.close()
    await cloud?.close()
  })

  const own = () => ({ authorization: `Bearer ${cloud.credentials.api_key}` })
  const get = (path: string, headers: Record<string, string> = {}) =>
    window.fetch(cloud.url + path, { headers: { ...own(), ...headers } })
  const post = (path: string, body: object) =>
    window.fetch(cloud.url + path, {
      method: 'POST',
      headers: { ...own(), 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
      body: JSON.stringify(body),
    })
  const finished = (path: string) =>
    until(async () => JSON.parse((await get(path)).text).finished_at !== null)
  /** The address that a route gives a page in JSON. */
  const addressOf = async (path: string): Promise<string> =>
    JSON.parse((await get(path, { accept: 'application/json' })).text).url

  async function exported(body: object): Promise<string> {
    const { status, headers } = await post('/api/exports', body)
    expect(status).toBe(202)
    await finished(headers.location!)
    return addressOf(`${headers.location}/file`)
  }

  test('uploads a file, and reads the rows that were skipped', async () => {
    const csv = 'name,gender,age,country_id\nAda Example,female,36,NG\nBo Example,robot,20,GH\n'
    const asked = await post('/api/imports', { filename: 'people.csv', size: csv.length })
    const { id, upload } = JSON.parse(asked.text)
    const { url, method, headers } = upload
    expect((await window.fetch(url, { method, headers, body: csv })).status).toBe(200)
    importPath = asked.headers.location!
    await finished(importPath)
    const rejects = await window.fetch(await addressOf(`${importPath}/rejects`))
    expect(rejects.text).toContain('2,3,invalid_gender,gender,robot,')
    expect(rejects.headers['content-disposition']).toBe(`attachment; filename="rejects-${id}.csv"`)
  })

  test('cannot follow the redirect, which is why there is an address in JSON', async () => {
    await expect(get(`${importPath}/rejects`)).rejects.toThrow('Failed to fetch')
  })

  test('exports profiles, and reads the file, compressed or not', async () => {
    const plain = await window.fetch(await exported({ country_id: ['NG'] }))
    expect(plain.text).toMatch(/^id,name,[^\r]*\r\n[^,]+,Ada Example,female,[^\r]*\r\n$/)
    const address = await exported({ country_id: ['NG'], compression: 'gzip' })
    const unpacked = await window.page.evaluate(async (url) => {
      const { body } = await fetch(url)
      return new Response(body!.pipeThrough(new DecompressionStream('gzip'))).text()
    }, address)
    expect(unpacked).toBe(plain.text)
  })

  test('asks for an export in the background by Prefer, and sees that it is followed', async () => {
    const { status, headers } = await get('/api/profiles/export', { prefer: 'respond-async' })
    expect([status, headers['preference-applied']]).toEqual([202, 'respond-async'])
  })
})
