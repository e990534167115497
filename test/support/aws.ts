import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startAwsApi } from '../../infra/local/aws-api.ts'
import type { InvokeResult, Lambda } from '../../infra/local/lambda/functions.ts'
import { serveInvokeApi } from '../../infra/local/lambda/invoke-api.ts'
import { randomFreePort } from '../../infra/local/ports.ts'
import { openSecrets, type SecretStore } from '../../infra/local/secrets.ts'
import { lambdaContext } from './http-event.ts'

/** A function in this process, which gets what an invocation carries. */
export type TestFunction = (event: unknown, context: ReturnType<typeof lambdaContext>) => unknown

export type TestAws = {
  /** Functions by name. */
  functions: Record<string, TestFunction>
  /** Answers in place of the functions, where it is set. */
  lambdaAnswers: (() => Promise<InvokeResult>) | undefined
  secrets: SecretStore
  /** What the SDK needs to call here. */
  /** What every request is to be signed for. */
  region: string
  environment: Record<string, string>
  close(): Promise<void>
}

/** Lambda's and Secrets Manager's own APIs over HTTP, in front of functions in this process. */
export async function startTestAws(timeoutMs = 12_000): Promise<TestAws> {
  const folder = await mkdtemp(join(tmpdir(), 'insighta-aws-'))
  const secrets = await openSecrets(folder, 'us-east-1', '000000000000')
  const lambda: Pick<Lambda, 'names' | 'arnOf' | 'invoke'> = {
    names: () => Object.keys(aws.functions),
    arnOf: (name) => name,
    async invoke(name, payload) {
      if (aws.lambdaAnswers) return aws.lambdaAnswers()
      try {
        const answer = await aws.functions[name]?.(JSON.parse(payload), lambdaContext(timeoutMs))
        return { payload: JSON.stringify(answer) }
      } catch (error) {
        const { name: errorType, message: errorMessage } = error as Error
        return { functionError: 'Unhandled', payload: JSON.stringify({ errorType, errorMessage }) }
      }
    },
  }
  const credentials = { accessKeyId: 'TESTTESTTESTTESTTEST', secretAccessKey: 'secret' }
  const region = 'eu-west-1'
  const invokeApi = serveInvokeApi(lambda as Lambda)
  const port = await randomFreePort()
  const api = await startAwsApi({ port, region, credentials, secrets, lambda: invokeApi, log: () => {} })
  const aws: TestAws = {
    functions: {},
    lambdaAnswers: undefined,
    secrets,
    region,
    environment: {
      AWS_ENDPOINT_URL_LAMBDA: api.url,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: api.url,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_MAX_ATTEMPTS: '1',
    },
    async close() {
      invokeApi.close()
      await api.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return aws
}
