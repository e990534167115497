import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'

const schema = z.object({
  url: z.url(),
  api_key: z.string(),
  database_url: z.string(),
  aws: z.object({
    endpoint_s3: z.url(),
    endpoint_sqs: z.url(),
    endpoint_lambda: z.url(),
    region: z.string(),
    access_key_id: z.string(),
    secret_access_key: z.string(),
  }),
  keys_function: z.string(),
  facets_function: z.string(),
  /** Where the third parties are simulated. */
  simulators: z.url(),
  /** As a bearer token for what controls them. */
  simulators_key: z.string(),
})

/** How to reach a local cloud. */
export type LocalCredentials = z.output<typeof schema>

/**
 * What the local cloud wrote at its start: from INSIGHTA_DATA_DIR, else `.insighta`. Throws with what to do
 * where there is none.
 */
export async function localCredentials(): Promise<LocalCredentials> {
  const file = join(dataDir(), 'credentials.json')
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new Error(`${file} cannot be read: start the local cloud first (npm start)`, { cause })
  })
  return schema.parse(JSON.parse(text))
}

/** Where the local cloud keeps what it stores. */
export function dataDir(): string {
  return process.env.INSIGHTA_DATA_DIR ?? '.insighta'
}
