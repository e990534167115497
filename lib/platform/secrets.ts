import type * as z from 'zod'
import { ConfigurationError, UnavailableError } from './errors.ts'
import { isTransient } from './transient.ts'

/** Milliseconds that a secret is kept: a rotated one is in use that much later at the most. */
const keptFor = 5 * 60_000

const kept = new Map<string, { until: number; text: Promise<string> }>()

/**
 * The secret under this ARN, whose text is JSON of the schema. Rejects with ConfigurationError, which says how
 * to set it, where it is not there or lacks a field; with UnavailableError where Secrets Manager is out.
 */
export async function secretJson<Schema extends z.ZodType>(
  arn: string,
  schema: Schema,
): Promise<z.output<Schema>> {
  const text = await secretText(arn)
  const parsed = schema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  // Whoever sets it now is not to wait.
  kept.delete(arn)
  const fields = [...new Set(parsed.error.issues.map(({ path }) => path.join('.')))].filter(Boolean)
  throw new ConfigurationError(
    fields.length === 0
      ? `The secret ${arn} is not a JSON object: ${howToSet(arn, ['field'])}`
      : `The secret ${arn} lacks ${fields.join(', ')}: ${howToSet(arn, fields)}`,
  )
}

function secretText(arn: string): Promise<string> {
  const known = kept.get(arn)
  if (known && known.until > Date.now()) return known.text
  const text = readSecret(arn)
  kept.set(arn, { until: Date.now() + keptFor, text })
  text.catch(() => {
    if (kept.get(arn)?.text === text) kept.delete(arn)
  })
  return text
}

async function readSecret(arn: string): Promise<string> {
  // Bundled, yet only loaded by those who come here.
  const { GetSecretValueCommand, SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager')
  client ??= new SecretsManagerClient()
  try {
    const answer = await client.send(new GetSecretValueCommand({ SecretId: arn }))
    return answer.SecretString ?? ''
  } catch (error) {
    if (error instanceof Error && error.name === 'ResourceNotFoundException') {
      throw new ConfigurationError(`The secret ${arn} has no value: ${howToSet(arn, ['field'])}`)
    }
    if (!isTransient(error)) throw error
    throw new UnavailableError('Secrets Manager does not answer', error)
  }
}

let client: import('@aws-sdk/client-secrets-manager').SecretsManagerClient | undefined

function howToSet(arn: string, fields: readonly string[]): string {
  const value = fields.map((field) => `"${field}":"..."`).join(',')
  return `aws secretsmanager put-secret-value --secret-id ${arn} --secret-string '{${value}}' (all its fields)`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
