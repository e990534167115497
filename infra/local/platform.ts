import { randomBytes, randomInt } from 'node:crypto'
import { join } from 'node:path'
import * as z from 'zod'
import { readJsonFile, writePrivateJson } from './private-file.ts'

const platformSchema = z.object({
  accessKeyId: z.string(),
  secretAccessKey: z.string(),
  superuserPassword: z.string(),
  applicationPassword: z.string(),
  /** For the control routes of the simulators. */
  simulatorsKey: z.string(),
})

/** The local cloud's own secrets: AWS credentials for every client, and passwords of the database. */
export type Platform = z.infer<typeof platformSchema>

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Those of the data folder, made at the first start and kept in `platform.json` for its owner alone. */
export async function openPlatform(dataDir: string): Promise<Platform> {
  const file = join(dataDir, 'platform.json')
  const stored = z.record(z.string(), z.unknown()).parse((await readJsonFile(file)) ?? {})
  const platform = platformSchema.parse({
    accessKeyId: `AKIA${Array.from({ length: 16 }, () => base32[randomInt(32)]).join('')}`,
    secretAccessKey: randomBytes(30).toString('base64'),
    superuserPassword: randomBytes(24).toString('base64url'),
    applicationPassword: randomBytes(24).toString('base64url'),
    simulatorsKey: randomBytes(24).toString('base64url'),
    ...stored,
  })
  // A folder of an earlier version lacks what has come since.
  if (Object.keys(platform).some((name) => !(name in stored))) await writePrivateJson(file, platform)
  return platform
}
