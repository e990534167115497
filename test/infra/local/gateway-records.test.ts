import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { recordRequests } from '../../../infra/local/gateway-records.ts'
import { createMetrics } from '../../../infra/local/metrics.ts'

test('the access log has of each request what its format asks for, and a dash for the rest', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-access-'))
  const api = {
    apiId: 'shop',
    name: 'shop',
    stage: '$default',
    routes: [],
    routeThrottles: new Map(),
    accessLogFormat:
      '{"id":"$context.requestId","ip":"$context.identity.sourceIp","x":"$context.identity.user"}',
  }
  recordRequests(
    api,
    createMetrics(),
    folder,
  )({
    requestId: 'r1',
    routeKey: 'GET /items',
    method: 'GET',
    path: '/items',
    sourceIp: '192.0.2.7',
    status: 200,
    bytes: 4,
    durationMs: 1,
    integrationMs: undefined,
    receivedAt: new Date(),
  })
  const log = () => readFile(join(folder, 'shop-access.log'), 'utf8').catch(() => '')
  await expect.poll(log).toBe('{"id":"r1","ip":"192.0.2.7","x":"-"}\n')
  await rm(folder, { recursive: true })
})
