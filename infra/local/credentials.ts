import { join } from 'node:path'
import * as z from 'zod'
import type { InvokeResult } from './lambda/functions.ts'
import { readJsonFile, writePrivateJson } from './private-file.ts'

/** `credentials.json`: all that a client of the local cloud needs, in one file that only its owner can read. */
export type Credentials = {
  url: string
  /** Of an administrator, without a rate limit. */
  api_key: string
  /** As the master user. */
  database_url: string
  aws: {
    endpoint_s3: string
    endpoint_sqs: string
    endpoint_lambda: string
    endpoint_secretsmanager: string
    region: string
    access_key_id: string
    secret_access_key: string
  }
  keys_function: string
  facets_function: string
  /** Where the third parties are simulated. */
  simulators: string
  /** As a bearer token for what controls the simulators: faults, sent mails, webhooks. */
  simulators_key: string
}

const storedSchema = z.object({ api_key: z.string().min(1) })
const answerSchema = z.object({ status: z.literal('success'), key: z.string().min(1) })

/**
 * Writes the file of this start. The key of an earlier one is kept unless the database is new; else the keys
 * function makes one. Throws where that fails.
 */
export async function writeCredentials(
  dataDir: string,
  facts: Omit<Credentials, 'api_key'>,
  databaseIsNew: boolean,
  invoke: (functionName: string, payload: string) => Promise<InvokeResult>,
): Promise<Credentials> {
  const file = join(dataDir, 'credentials.json')
  const stored = storedSchema.safeParse(await readJsonFile(file)).data
  const api_key = stored && !databaseIsNew ? stored.api_key : await createKey(facts.keys_function, invoke)
  const { url, ...rest } = facts
  const credentials = { url, api_key, ...rest }
  await writePrivateJson(file, credentials)
  return credentials
}

async function createKey(
  keysFunction: string,
  invoke: (functionName: string, payload: string) => Promise<InvokeResult>,
): Promise<string> {
  const request = {
    role: ['admin', 'operator'],
    team: 'local',
    label: 'local administrator',
    rate_limit: null,
  }
  const result = await invoke(keysFunction, JSON.stringify({ action: 'create', ...request }))
  const answer = result.functionError ? undefined : answerSchema.safeParse(JSON.parse(result.payload)).data
  if (!answer) throw new Error(`${keysFunction} made no access key: ${result.payload}`)
  return answer.key
}
