import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Api, createApi } from '../../clients/cli/api.ts'
import { type Cloud, startCloud } from '../../infra/local/cloud.ts'
import { synthesise } from '../../infra/local/synthesis.ts'
import { createPool, type Sql } from '../../lib/platform/db.ts'
import type { Run } from './run.ts'

export type BenchCloud = Cloud & {
  api: Api
  /** As the master user, who owns the tables. */
  sql: Sql
}

/** What a sweep varies; without a value the local stage's own. */
export type Settings = { sliceRecords?: number; insertWorkers?: number }

/** A folder of its own that the database's account may pass through, which mkdtemp's mode does not allow. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-bench-'))
  await chmod(folder, 0o711)
  return folder
}

/** A local cloud on the folder, on any free port. It ends with close() or with the run. */
export async function openCloud(run: Run, dataDir: string, settings: Settings = {}): Promise<BenchCloud> {
  const starting = start(run, dataDir, settings)
  run.onStop(() => starting.then((cloud) => cloud.close()))
  return starting
}

async function start({ stopped }: Run, dataDir: string, settings: Settings): Promise<BenchCloud> {
  const outDir = await assembly(settings, stopped)
  const removeAssembly = () => rm(outDir, { recursive: true, force: true })
  const cloud = await startCloud({ dataDir, outDir, port: 0, signal: stopped }).catch(
    async (error: unknown) => {
      await removeAssembly()
      throw error
    },
  )
  const sql = masterPool(cloud.credentials.database_url)
  const close = async () => {
    await sql.end({ timeout: 2 })
    await cloud.close()
    await removeAssembly()
  }
  return { ...cloud, api: createApi(cloud.url, cloud.credentials.api_key), sql, close }
}

export function masterPool(databaseUrl: string, max = 4): Sql {
  const url = new URL(databaseUrl)
  return createPool({
    host: url.hostname,
    port: Number(url.port),
    database: url.pathname.slice(1),
    user: decodeURIComponent(url.username),
    password: () => decodeURIComponent(url.password),
    tls: false,
    max,
    // To fill the table takes minutes.
    transactionTimeoutSeconds: 3600,
    applicationName: 'bench',
  })
}

async function assembly({ sliceRecords, insertWorkers }: Settings, signal: AbortSignal): Promise<string> {
  const outDir = await temporaryFolder()
  try {
    await synthesise({
      outDir,
      context: {
        ...(sliceRecords && { sliceRecords: String(sliceRecords) }),
        ...(insertWorkers && insertWorkers > 1 && { insertWorkers: String(insertWorkers) }),
      },
      signal,
    })
    if (insertWorkers === 1) await useOneWorker(join(outDir, 'Insighta-local-imports.template.json'))
    return outDir
  } catch (error) {
    await rm(outDir, { recursive: true, force: true })
    throw error
  }
}

/** AWS accepts no maximum concurrency below 2, nor does CDK; the local event source takes any. */
async function useOneWorker(templateFile: string): Promise<void> {
  const template: { Resources: Record<string, { Type: string; Properties: Record<string, unknown> }> } =
    JSON.parse(await readFile(templateFile, 'utf8'))
  for (const { Type, Properties } of Object.values(template.Resources)) {
    if (Type !== 'AWS::Lambda::EventSourceMapping') continue
    if (!JSON.stringify(Properties.FunctionName).includes('Insert')) continue
    Properties.ScalingConfig = { MaximumConcurrency: 1 }
  }
  await writeFile(templateFile, JSON.stringify(template))
}
