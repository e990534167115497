import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { forOwnHosts } from './hosts.ts'
import { type InvokeApi, isInvocation } from './lambda/invoke-api.ts'
import { answerSecretsCall, type SecretStore } from './secrets.ts'
import { isSignatureRefusal } from './sigv4/refusal.ts'
import { readSignedBody } from './sigv4/signed-body.ts'
import type { AwsCredentials } from './sigv4/verify.ts'
import { errorNames } from './sigv4/wire-errors.ts'

export type AwsApiOptions = {
  port: number
  region: string
  credentials: AwsCredentials
  secrets: SecretStore
  lambda: InvokeApi
  log(line: string): void
}

/** The largest event of a synchronous invocation, in bytes: more than any other request here. */
const bodyLimit = 6 * 1024 * 1024

/**
 * Lambda's and Secrets Manager's wire protocols on one port of 127.0.0.1, for requests signed with the key pair of
 * this data folder.
 */
export async function startAwsApi(options: AwsApiOptions): Promise<{ url: string; close(): Promise<void> }> {
  const { credentials, region, secrets, lambda } = options

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [targetService, action = ''] = String(request.headers['x-amz-target'] ?? '').split('.')
    const isSecrets = targetService === 'secretsmanager'
    if (!isSecrets && !isInvocation(request)) {
      const message = `${targetService || request.url} is not served by the local cloud`
      return refuse(response, 404, 'UnknownOperationException', message)
    }
    const service = isSecrets ? 'secretsmanager' : 'lambda'
    try {
      const body = await readSignedBody(request, { credentials, region, service }, bodyLimit)
      if (!isSecrets) return await lambda.handle(request, body, response)
      const answer = answerSecretsCall(secrets, action, body.bytes.toString())
      json(response, answer.status, answer.body)
    } catch (error) {
      if (!isSignatureRefusal(error)) throw error
      refuse(response, isSecrets ? 400 : 403, errorNames(error).type, error.message)
    }
  }

  const server = createServer(
    forOwnHosts((request, response) => {
      serve(request, response).catch((error: unknown) => {
        options.log(`AWS API: ${String(error)}`)
        response.destroy()
      })
    }),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${options.port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
  response.end(JSON.stringify(body))
}

function refuse(response: ServerResponse, status: number, type: string, message: string): void {
  response.setHeader('x-amzn-errortype', type)
  json(response, status, { __type: type, message })
}
