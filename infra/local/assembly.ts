import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'

/** One resource as the template writes it, its intrinsics unresolved. */
export type TemplateResource = {
  Type: string
  Properties: Record<string, unknown>
  DependsOn: string[]
  Metadata: Record<string, unknown>
}

export type TemplateOutput = { value: unknown; exportName: unknown }

export type Stack = {
  name: string
  region: string
  accountId: string
  resources: ReadonlyMap<string, TemplateResource>
  outputs: ReadonlyMap<string, TemplateOutput>
  /** Asset hash to the absolute folder (or file) that it was staged in. */
  assets: ReadonlyMap<string, string>
}

const manifestSchema = z.object({
  artifacts: z.record(
    z.string(),
    z.object({
      type: z.string(),
      environment: z.string().optional(),
      dependencies: z.array(z.string()).default([]),
      properties: z.object({ templateFile: z.string().optional() }).loose().default({}),
    }),
  ),
})

const templateSchema = z.object({
  Conditions: z.record(z.string(), z.unknown()).optional(),
  Resources: z
    .record(
      z.string(),
      z.object({
        Type: z.string(),
        Properties: z.record(z.string(), z.unknown()).default({}),
        DependsOn: z.union([z.array(z.string()), z.string().transform((one) => [one])]).default([]),
        Metadata: z.record(z.string(), z.unknown()).default({}),
        Condition: z.string().optional(),
      }),
    )
    .default({}),
  Outputs: z
    .record(z.string(), z.object({ Value: z.unknown(), Export: z.object({ Name: z.unknown() }).optional() }))
    .default({}),
})

const assetsSchema = z.object({
  files: z.record(z.string(), z.object({ source: z.object({ path: z.string().optional() }) })).default({}),
})

async function readJson<T>(schema: z.ZodType<T>, file: string): Promise<T> {
  const text = await readFile(file, 'utf8')
  const result = schema.safeParse(JSON.parse(text))
  if (!result.success) throw new Error(`${file} is not as expected: ${z.prettifyError(result.error)}`)
  return result.data
}

/** The one account of the local S3 and SQS. */
const accountId = '000000000000'

/** The region of `aws://account/region`; one that synthesis left open is us-east-1 here. */
function regionOf(environment: string | undefined): string {
  const region = /^aws:\/\/[^/]+\/(.+)$/.exec(environment ?? '')?.[1] ?? ''
  return region === '' || region === 'unknown-region' ? 'us-east-1' : region
}

/**
 * The stacks of a cloud assembly in an order in which each follows those it depends on.
 * Throws where a file is missing or has another shape, and where stacks depend on each other in a circle.
 */
export async function readAssembly(outDir: string): Promise<Stack[]> {
  const { artifacts } = await readJson(manifestSchema, join(outDir, 'manifest.json'))
  const ordered: string[] = []
  const open = new Set<string>()
  const visit = (id: string): void => {
    const artifact = artifacts[id]
    if (artifact?.type !== 'aws:cloudformation:stack' || ordered.includes(id)) return
    if (open.has(id)) throw new Error(`The stacks ${[...open].join(', ')} depend on each other`)
    open.add(id)
    artifact.dependencies.forEach(visit)
    open.delete(id)
    ordered.push(id)
  }
  Object.keys(artifacts).sort().forEach(visit)
  return Promise.all(
    ordered.map((id) => {
      const artifact = artifacts[id]!
      const file = artifact.properties.templateFile ?? `${id}.template.json`
      return readStack(outDir, id, file, regionOf(artifact.environment))
    }),
  )
}

async function readStack(outDir: string, name: string, templateFile: string, region: string): Promise<Stack> {
  const template = await readJson(templateSchema, join(outDir, templateFile))
  const conditional = Object.entries(template.Resources).find(([, resource]) => resource.Condition)
  if (template.Conditions || conditional) {
    throw new Error(
      `${name}: Conditions are not supported by the local cloud (${conditional?.[0] ?? 'unused'})`,
    )
  }
  const assetsFile = join(outDir, templateFile.replace(/\.template\.json$/, '.assets.json'))
  const { files } = await readJson(assetsSchema, assetsFile).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { files: {} }
    throw error
  })
  const assets = new Map<string, string>()
  for (const [hash, { source }] of Object.entries(files)) {
    if (source.path) assets.set(hash, join(outDir, source.path))
  }
  return {
    name,
    region,
    accountId,
    resources: new Map(Object.entries(template.Resources)),
    outputs: new Map(
      Object.entries(template.Outputs).map(([key, { Value, Export }]) => [
        key,
        { value: Value, exportName: Export?.Name },
      ]),
    ),
    assets,
  }
}
