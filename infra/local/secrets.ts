import { randomInt, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import * as z from 'zod'
import { readJsonFile, writePrivateJson } from './private-file.ts'

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-secretsmanager-secret-generatesecretstring.html */
export type GenerateSecretString = {
  SecretStringTemplate?: string | undefined
  GenerateStringKey?: string | undefined
  PasswordLength?: number | undefined
  ExcludeCharacters?: string | undefined
  ExcludeNumbers?: boolean | undefined
  ExcludePunctuation?: boolean | undefined
  ExcludeUppercase?: boolean | undefined
  ExcludeLowercase?: boolean | undefined
  IncludeSpace?: boolean | undefined
  RequireEachIncludedType?: boolean | undefined
}

const storedSchema = z.object({
  arn: z.string(),
  name: z.string(),
  value: z.string(),
  version: z.string(),
  createdAt: z.number(),
})
type StoredSecret = z.infer<typeof storedSchema>

export type SecretStore = {
  /** The secret of that name: the stored one, or a new one generated or given. */
  create(
    name: string,
    generate: GenerateSecretString | undefined,
    value: string | undefined,
  ): Promise<StoredSecret>
  /** Puts fields into a JSON secret, as a target attachment does. Throws where there is no such secret. */
  attach(id: string, fields: Record<string, unknown>): Promise<void>
  /** By ARN, by ARN without its six random characters, or by name. */
  find(id: string): StoredSecret | undefined
}

/** Secrets kept in `<data dir>/secrets.json`, which only its owner can read. */
export async function openSecrets(dataDir: string, region: string, accountId: string): Promise<SecretStore> {
  const file = join(dataDir, 'secrets.json')
  const secrets = z.array(storedSchema).parse((await readJsonFile(file)) ?? [])
  // Two resources may be created at once; their writes follow each other.
  let saving = Promise.resolve()
  const save = () => {
    saving = saving.then(() => writePrivateJson(file, secrets))
    return saving
  }
  const find = (id: string) =>
    secrets.find(({ arn, name }) => arn === id || arn.slice(0, -7) === id || name === id)
  return {
    find,
    async create(name, generate, value) {
      const existing = find(name)
      if (existing) return existing
      const suffix = randomText(6, letters + letters.toLowerCase())
      const secret = {
        arn: `arn:aws:secretsmanager:${region}:${accountId}:secret:${name}-${suffix}`,
        name,
        value: value ?? generateSecret(generate ?? {}),
        version: randomUUID(),
        createdAt: Math.floor(Date.now() / 1000),
      }
      secrets.push(secret)
      await save()
      return secret
    },
    async attach(id, fields) {
      const secret = find(id)
      if (!secret) throw new Error(`There is no secret ${id}`)
      const value = JSON.stringify({ ...(JSON.parse(secret.value) as object), ...fields })
      if (value === secret.value) return
      secret.value = value
      secret.version = randomUUID()
      await save()
    },
  }
}

/** One field of a JSON secret, or the whole of it where `key` is empty. */
export function secretField(store: SecretStore, id: string, key: string): string {
  const secret = store.find(id)
  if (!secret) throw new Error(`There is no secret ${id}`)
  if (key === '') return secret.value
  const value = (JSON.parse(secret.value) as Record<string, unknown>)[key]
  if (value === undefined) throw new Error(`The secret ${secret.name} has no field ${key}`)
  return String(value)
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
const punctuation = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'

function randomText(length: number, from: string): string {
  return Array.from({ length }, () => from[randomInt(from.length)]).join('')
}

/** A secret string as Secrets Manager generates it: at least one character of each kind unless told otherwise. */
export function generateSecret(options: GenerateSecretString): string {
  const excluded = new Set(options.ExcludeCharacters ?? '')
  const kinds = [
    options.ExcludeUppercase ? '' : letters,
    options.ExcludeLowercase ? '' : letters.toLowerCase(),
    options.ExcludeNumbers ? '' : '0123456789',
    options.ExcludePunctuation ? '' : punctuation,
    options.IncludeSpace ? ' ' : '',
  ]
    .map((kind) => [...kind].filter((character) => !excluded.has(character)).join(''))
    .filter((kind) => kind !== '')
  if (kinds.length === 0) throw new Error('GenerateSecretString excludes every character')
  const length = options.PasswordLength ?? 32
  const required = options.RequireEachIncludedType === false ? [] : kinds.map((kind) => randomText(1, kind))
  const characters = [...required, ...randomText(length - required.length, kinds.join(''))]
  // Fisher-Yates, so that the required characters do not stand in front.
  for (let at = characters.length - 1; at > 0; at--) {
    const other = randomInt(at + 1)
    const kept = characters[at]!
    characters[at] = characters[other]!
    characters[other] = kept
  }
  const password = characters.join('')
  if (!options.GenerateStringKey) return password
  const template = JSON.parse(options.SecretStringTemplate ?? '{}') as object
  return JSON.stringify({ ...template, [options.GenerateStringKey]: password })
}

export type SecretsAnswer = { status: number; body: Record<string, unknown> }

const requestSchema = z.object({ SecretId: z.string().min(1) })

/** Answers one call of Secrets Manager's JSON protocol; `action` is X-Amz-Target without its prefix. */
export function answerSecretsCall(store: SecretStore, action: string, body: string): SecretsAnswer {
  const failure = (type: string, message: string) => ({
    status: 400,
    body: { __type: type, Message: message },
  })
  if (action !== 'GetSecretValue' && action !== 'DescribeSecret') {
    return failure('InvalidAction', `${action} is not supported by the local cloud`)
  }
  let request: z.infer<typeof requestSchema>
  try {
    request = requestSchema.parse(JSON.parse(body))
  } catch {
    return failure('InvalidParameterException', 'SecretId is missing')
  }
  const secret = store.find(request.SecretId)
  if (!secret) {
    return failure('ResourceNotFoundException', "Secrets Manager can't find the specified secret.")
  }
  const { arn, name, value, version, createdAt } = secret
  const facts = { ARN: arn, Name: name, CreatedDate: createdAt }
  if (action === 'DescribeSecret') {
    return { status: 200, body: { ...facts, VersionIdsToStages: { [version]: ['AWSCURRENT'] } } }
  }
  const current = { SecretString: value, VersionId: version, VersionStages: ['AWSCURRENT'] }
  return { status: 200, body: { ...facts, ...current } }
}
