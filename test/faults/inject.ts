import { setTimeout as wait } from 'node:timers/promises'
import { SendMessageCommand, SetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs'
import type { Cloud } from '../../infra/local/cloud.ts'
import type { S3Fault, S3FaultRule } from '../../infra/local/s3/index.ts'
import type { Sql } from '../../lib/platform/db.ts'
import { uploadPrefix } from '../../lib/platform/names.ts'
import { environmentsOf, killEnvironment } from '../support/environments.ts'
import type { Fault } from './plan.ts'
import type { Random } from './random.ts'

export type Injector = {
  /** Lets one fault strike; resolves when it is over. `ids` are the imports in the order of the files. */
  strike(fault: Fault, ids: readonly string[], random: Random): Promise<void>
  /** Ends every fault that still goes on. */
  calm(): Promise<void>
  close(): void
}

export function createInjector(cloud: Cloud, sql: Sql): Injector {
  const { region, access_key_id, secret_access_key, endpoint_sqs } = cloud.credentials.aws
  const client = new SQSClient({
    region,
    endpoint: endpoint_sqs,
    useQueueUrlAsEndpoint: false,
    credentials: { accessKeyId: access_key_id, secretAccessKey: secret_access_key },
  })
  const rules = new Set<S3FaultRule>()
  const applyRules = () =>
    cloud.s3.injectFault((request) => {
      for (const rule of rules) {
        const fault = rule(request)
        if (fault) return fault
      }
      return undefined
    })

  function queueUrl(name: string): string {
    const queue = cloud.sqs.queues().find((queue) => queue.name === `insighta-local-${name}`)
    if (!queue) throw new Error(`There is no queue ${name}`)
    return queue.url
  }

  const send = (queue: string, body: object, DelaySeconds: number) =>
    client.send(
      new SendMessageCommand({ QueueUrl: queueUrl(queue), MessageBody: JSON.stringify(body), DelaySeconds }),
    )

  const delay = (queue: string, seconds: number) =>
    client.send(
      new SetQueueAttributesCommand({
        QueueUrl: queueUrl(queue),
        Attributes: { DelaySeconds: String(seconds) },
      }),
    )

  function failRequests(requests: number, fault: S3Fault, matches: (request: S3Request) => boolean): void {
    let left = requests
    const rule: S3FaultRule = (request) => {
      if (left === 0 || !matches(request)) return undefined
      if (--left === 0) rules.delete(rule)
      return fault
    }
    rules.add(rule)
    applyRules()
  }

  async function strike(fault: Fault, ids: readonly string[], random: Random): Promise<void> {
    switch (fault.kind) {
      case 'kill': {
        const pids = await environmentsOf(`-imports-${fault.worker}`)
        if (pids.length > 0) killEnvironment(random.pick(pids))
        return
      }
      case 'end sessions':
        await sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name ilike ${`%-${fault.worker}`} and pid <> pg_backend_pid()`
        return
      case 'database outage':
        await cloud.database.stop()
        await wait(fault.ms)
        return cloud.database.start()
      case 'S3 errors':
        return failRequests(fault.requests, { status: fault.status }, () => true)
      case 'S3 cut':
        return failRequests(1, { cutAfterBytes: fault.bytes }, isRead)
      case 'S3 answers lost':
        return failRequests(fault.requests, { cutAfterBytes: 0 }, isWrite)
      case 'slice again': {
        const import_id = ids[fault.file]!
        const [file] = await sql<{ slices: number }[]>`
          select slices_total as slices from imports where id = ${import_id}`
        const slice_no = Math.floor((file?.slices ?? 0) * fault.share)
        await send('import-slices', { import_id, slice_no }, fault.delaySeconds)
        return
      }
      case 'event again': {
        const [file] = await sql<{ object_key: string; etag: string | null }[]>`
          select object_key, etag from imports where id = ${ids[fault.file]!}`
        const object = { key: file!.object_key, eTag: (file!.etag ?? '').replaceAll('"', '') }
        const body = { Records: [{ eventName: 'ObjectCreated:Put', s3: { object } }] }
        await send('import-objects', body, fault.delaySeconds)
        return
      }
      case 'finish again':
        await send('import-finish', { import_id: ids[fault.file]! }, fault.delaySeconds)
        return
      case 'late messages':
        await delay(fault.queue, fault.seconds)
        await wait(fault.ms)
        await delay(fault.queue, 0)
    }
  }

  return {
    strike,
    async calm() {
      rules.clear()
      cloud.s3.injectFault()
      for (const queue of ['import-slices', 'import-finish']) await delay(queue, 0)
    },
    close: () => client.destroy(),
  }
}

type S3Request = Parameters<S3FaultRule>[0]

const isRead = ({ method, key }: S3Request): boolean => method === 'GET' && key.startsWith(uploadPrefix)
const isWrite = ({ method }: S3Request): boolean => method === 'PUT'
