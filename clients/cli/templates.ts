import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'

const templateSchema = z.object({
  Resources: z
    .record(
      z.string(),
      z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
    )
    .default({}),
})

export type Resource = { stack: string; Type: string; Properties: Record<string, unknown> }

/** Every resource of the stacks, as their templates under `folder` have it. */
export async function resourcesOf(stacks: readonly string[], folder: string): Promise<Resource[]> {
  const found = stacks.map(async (stack) => {
    const file = join(folder, 'cdk.out', `${stack}.template.json`)
    const { Resources } = templateSchema.parse(JSON.parse(await readFile(file, 'utf8')))
    return Object.values(Resources).map((resource) => ({ stack, ...resource }))
  })
  return (await Promise.all(found)).flat()
}
