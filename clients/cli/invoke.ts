import { InvokeCommand, LambdaClient, type LambdaClientConfig } from '@aws-sdk/client-lambda'
import { localCredentials } from './credentials.ts'

type Answer = { status: string; message?: string; [field: string]: unknown }
type Target = { functionName: string; config: LambdaClientConfig }

/** The functions for operators that the local cloud's credentials file names. */
export type LocalFunction = 'keys_function' | 'facets_function'

async function localTarget(name: LocalFunction): Promise<Target> {
  const { aws, ...rest } = await localCredentials()
  return {
    functionName: rest[name],
    config: {
      endpoint: aws.endpoint_lambda,
      region: aws.region,
      credentials: { accessKeyId: aws.access_key_id, secretAccessKey: aws.secret_access_key },
      // Counting ten million profiles takes a while, and asking twice would not make it faster.
      maxAttempts: 1,
    },
  }
}

/**
 * What a function answered: the one named, on AWS, else the local cloud's. Throws with its message where it
 * refused or failed.
 */
export async function invoke(
  functionName: string | undefined,
  local: LocalFunction,
  payload: object,
): Promise<Answer> {
  const target = functionName ? { functionName, config: {} } : await localTarget(local)
  const client = new LambdaClient(target.config)
  try {
    const { FunctionError, Payload } = await client.send(
      new InvokeCommand({ FunctionName: target.functionName, Payload: JSON.stringify(payload) }),
    )
    const text = Payload?.transformToString() ?? ''
    if (FunctionError) throw new Error(`${target.functionName} failed: ${text}`)
    const answer: Answer = JSON.parse(text)
    if (answer.status !== 'success') throw new Error(answer.message ?? text)
    return answer
  } finally {
    client.destroy()
  }
}
