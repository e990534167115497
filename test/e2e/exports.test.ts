import { rm } from 'node:fs/promises'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cloud, startCloud } from '../../infra/local/cloud.ts'
import { apiOf, dataFolder, importsOf, until } from './cloud.ts'

let dataDir: string
let cloud: Cloud
let call: ReturnType<typeof apiOf>

beforeAll(async () => {
  dataDir = await dataFolder()
  cloud = await startCloud({ dataDir, port: 0, context: { exportInlineRows: '10' } })
  call = apiOf(cloud.url, cloud.credentials.api_key)
  const people = Array.from({ length: 25 }, (_, n) => `Person ${n},male,${n},NG\n`).join('')
  const report = await importsOf(call).run(`name,gender,age,country_id\n${people}=1+1,female,30,GH\n`)
  expect(report).toMatchObject({ state: 'completed', inserted: 26 })
})
afterAll(async () => {
  await cloud?.close()
  await rm(dataDir, { recursive: true, force: true })
})

const rowsOf = (csv: string): Record<string, string>[] => parse(csv, { columns: true })

test('a few profiles are answered at once', async () => {
  const { status, text, headers } = await call('GET /api/profiles/export?format=csv&country_id=gh')
  expect(status).toBe(200)
  expect(headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present')
  expect(rowsOf(text)).toMatchObject([{ name: "'=1+1", country_name: 'Ghana', gender_probability: '' }])
})

test('many are written into a file, which is fetched from S3', async () => {
  const asked = await call('GET /api/profiles/export?format=csv&country_id=ng&sort_by=age&order=desc')
  expect(asked).toMatchObject({ status: 202, body: { rows_total: 25 } })
  const location = asked.headers.get('location')
  await until(async () => (await call(`GET ${location}`)).body.finished_at !== null)
  const { body } = await call(`GET ${location}`)
  expect(body).toMatchObject({ state: 'completed', rows_done: 25, filter: { country_id: ['NG'] } })
  const { status, headers } = await call(`GET ${body.file_url}`)
  expect(status).toBe(302)
  const file = await fetch(headers.get('location') ?? '')
  expect(file.headers.get('content-disposition')).toContain('.csv"')
  const ages = rowsOf(await file.text()).map(({ age }) => Number(age))
  expect(ages).toEqual(Array.from({ length: 25 }, (_, n) => 24 - n))
})
