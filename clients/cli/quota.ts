import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { type Shell, type StageName, typed } from './stages.ts'

/** What Lambda keeps for functions that reserve nothing. */
const unreserved = 100
/** What an account has in the end that began with 10; for less nobody needs to ask. */
const usual = 1000

const templateSchema = z.object({
  Resources: z
    .record(
      z.string(),
      z.object({
        Properties: z.object({ ReservedConcurrentExecutions: z.number().default(0) }).default({
          ReservedConcurrentExecutions: 0,
        }),
      }),
    )
    .default({}),
})
const settingsSchema = z.object({ AccountLimit: z.object({ ConcurrentExecutions: z.number() }) })

export const quotaCommand = ['aws', 'lambda', 'get-account-settings', '--output', 'json']

/** Concurrent executions that the functions of the stacks reserve, as their templates under `folder` say. */
export async function reservedBy(stacks: readonly string[], folder: string): Promise<number> {
  const sums = stacks.map(async (stack) => {
    const file = join(folder, 'cdk.out', `${stack}.template.json`)
    const { Resources } = templateSchema.parse(JSON.parse(await readFile(file, 'utf8')))
    return Object.values(Resources).reduce(
      (sum, { Properties }) => sum + Properties.ReservedConcurrentExecutions,
      0,
    )
  })
  return (await Promise.all(sums)).reduce((total, sum) => total + sum, 0)
}

/**
 * Rejects where the account may not run as many functions at once as a stage reserves, with both numbers and
 * the way to raise its quota: CloudFormation would find out half way through a deployment.
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
      `account may run ${AccountLimit.ConcurrentExecutions} in this region, ${needed} at the least are needed. Ask ` +
      `for more, which takes a day or so, in the console (Service Quotas, AWS Lambda, Concurrent executions) or by\n${typed(request)}`,
  )
}
