import * as z from 'zod'
import { type Shell, type StageName, typed } from './stages.ts'
import type { Resource } from './templates.ts'

/** What Lambda keeps for functions that reserve nothing. */
const unreserved = 100
/** What AWS raises an account to that began with 10: less is not worth a request. */
const usual = 1000

const settingsSchema = z.object({ AccountLimit: z.object({ ConcurrentExecutions: z.number() }) })

export const quotaCommand = ['aws', 'lambda', 'get-account-settings', '--output', 'json']

/** Concurrent executions that the functions among the resources reserve. */
export function reservedBy(resources: readonly Resource[]): number {
  return resources
    .map(({ Properties }) => z.number().default(0).parse(Properties.ReservedConcurrentExecutions))
    .reduce((total, count) => total + count, 0)
}

/**
 * Rejects if the account may not run as many functions at once as a stage reserves, with both numbers and the
 * way to raise its quota: CloudFormation would find out half way through a deployment.
 */
export async function requireQuota(stage: StageName, reserved: number, at: Shell): Promise<void> {
  const { AccountLimit } = settingsSchema.parse(JSON.parse(await at.read(quotaCommand)))
  const needed = reserved + unreserved
  if (AccountLimit.ConcurrentExecutions >= needed) return
  const request = [
    ...['aws', 'service-quotas', 'request-service-quota-increase'],
    ...['--service-code', 'lambda', '--quota-code', 'L-B99A9384'],
    ...['--desired-value', String(Math.max(needed, usual))],
  ]
  throw new Error(
    `${stage} reserves ${reserved} concurrent executions and Lambda keeps ${unreserved} for the rest, but this ` +
      `account may run ${AccountLimit.ConcurrentExecutions} in this region; at least ${needed} are needed. Ask ` +
      `for more, which takes a day or so, in the console (Service Quotas, AWS Lambda, Concurrent executions) or by\n${typed(request)}`,
  )
}
