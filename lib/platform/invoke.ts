import { UnavailableError } from './errors.ts'
import { isTransient } from './transient.ts'

/**
 * Invokes another function and answers what it returned. Rejects with UnavailableError where Lambda does not
 * run it now, and with an Error where it ran and failed: its own log says why.
 */
export async function invokeFunction(name: string, payload: object, signal?: AbortSignal): Promise<unknown> {
  // Bundled, yet only loaded by those who come here: it costs a cold start 30 ms.
  const { InvokeCommand, LambdaClient } = await import('./lambda-client.ts')
  client ??= new LambdaClient()
  const command = new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(payload) })
  let answer: import('@aws-sdk/client-lambda').InvokeCommandOutput
  try {
    answer = await client.send(command, { ...(signal && { abortSignal: signal }) })
  } catch (error) {
    if (signal?.aborted || !isTransient(error)) throw error
    throw new UnavailableError('A function of ours cannot run now', error)
  }
  const text = Buffer.from(answer.Payload ?? []).toString('utf8')
  if (answer.FunctionError) throw new Error(`${name} failed (${answer.FunctionError}, ${errorType(text)})`)
  return JSON.parse(text)
}

let client: import('@aws-sdk/client-lambda').LambdaClient | undefined

/** Not the message, which may name a person. */
function errorType(payload: string): string {
  return /"errorType":"([\w.]{1,80})"/.exec(payload)?.[1] ?? 'unknown'
}
