import * as z from 'zod'
import type { Shell } from './stages.ts'
import type { Resource } from './templates.ts'

/** What the database runs on, as RDS names it (`aurora-postgresql` and `18.6`), and the stack that has it. */
export type Engine = { stack: string; name: string; version: string }

const clusterSchema = z.object({ Engine: z.string(), EngineVersion: z.string().optional() })
const versionsSchema = z.array(z.string())

/** The engine of the database among the resources; undefined if there is none, or if RDS is to choose its version. */
export function engineOf(resources: readonly Resource[]): Engine | undefined {
  const cluster = resources.find(({ Type }) => Type === 'AWS::RDS::DBCluster')
  if (!cluster) return undefined
  const { Engine, EngineVersion } = clusterSchema.parse(cluster.Properties)
  return EngineVersion === undefined
    ? undefined
    : { stack: cluster.stack, name: Engine, version: EngineVersion }
}

export const engineCommand = (name: string) => [
  ...['aws', 'rds', 'describe-db-engine-versions', '--engine', name],
  ...['--query', 'DBEngineVersions[].EngineVersion', '--output', 'json'],
]

/**
 * Asks whether RDS offers the engine's version in this region. Returns what to do if it does not, which matters
 * to a database that is to be created: one that runs on the version already goes on with it.
 */
export async function engineProblem({ name, version }: Engine, at: Shell): Promise<string | undefined> {
  const offered = versionsSchema.parse(JSON.parse(await at.read(engineCommand(name))))
  // A version without its minor is every one of them.
  if (offered.some((other) => other === version || other.startsWith(`${version}.`))) return undefined
  const [major] = version.split('.')
  const near = offered.filter((other) => other.split('.')[0] === major)
  return (
    `RDS does not offer ${name} ${version} in this region, but ${(near.length > 0 ? near : offered).join(', ') || 'no version of it'}. ` +
    'Name one of these in infra/stacks/data.ts, or deploy to another region (AWS_REGION)'
  )
}
