import type { EventSourceMapping } from '../event-source.ts'
import type { HttpApi } from '../http-api.ts'
import type { FunctionDefinition, InvokeResult } from '../lambda/functions.ts'
import type { BucketSettings } from '../s3/index.ts'
import type { ScheduledTarget } from '../schedules.ts'
import type { SecretStore } from '../secrets.ts'

export type ClusterRequest = { masterUser: string; masterPassword: string; databaseName: string }
/** The fields that an attachment adds to the secret of a cluster. */
export type Cluster = { host: string; port: number; dbname: string; dbClusterIdentifier: string }
export type Alarm = { name: string; properties: Readonly<Record<string, unknown>> }
export type Dashboard = { name: string; body: unknown }

/**
 * What the resources of a template are made of. Whatever would act by itself is collected here first and
 * begins once every resource exists: buckets, event sources, APIs and schedules.
 */
export type Services = {
  region: string
  accountId: string
  /** Where the API will answer. */
  apiUrl: string
  secrets: SecretStore
  createQueue(name: string, attributes: Record<string, string>): { url: string; arn: string }
  /** Of a queue that exists. */
  queueUrl(arn: string): string
  sendMessage(queueArn: string, body: string): void
  defineFunction(definition: FunctionDefinition): { arn: string }
  invoke(functionName: string, payload: string): Promise<InvokeResult>
  startCluster(request: ClusterRequest): Promise<{ host: string; port: number }>
  /** Of the cluster that was started. */
  startReader(): Promise<{ host: string; port: number }>
  /** Answers nothing where this machine has no server for it. */
  startCache(): Promise<{ host: string; port: number } | undefined>
  /** Called when a trigger has run: a migration may have made the roles that functions log in with. */
  refreshLogins(): Promise<void>
  clusters: Map<string, Cluster>
  buckets: Map<string, BucketSettings>
  eventSources: EventSourceMapping[]
  apis: Map<string, HttpApi>
  schedules: ScheduledTarget[]
  alarms: Alarm[]
  dashboards: Dashboard[]
}
