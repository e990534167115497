import { timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { InvokeApi } from './lambda/invoke-api.ts'
import { answerSecretsCall, type SecretStore } from './secrets.ts'

export type AwsApiOptions = {
  port: number
  accessKeyId: string
  secrets: SecretStore
  lambda: InvokeApi
  log(line: string): void
}

/**
 * Lambda's and Secrets Manager's wire protocols on one port of 127.0.0.1. A request must name the access key
 * of this data folder, which no web page and no other user knows; its signature is not checked.
 */
export async function startAwsApi(options: AwsApiOptions): Promise<{ url: string; close(): Promise<void> }> {
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!namesKey(request.headers.authorization, options.accessKeyId)) {
      return json(response, 403, {
        __type: 'UnrecognizedClientException',
        message: 'The security token included in the request is invalid.',
      })
    }
    const [service, action = ''] = String(request.headers['x-amz-target'] ?? '').split('.')
    if (service === 'secretsmanager') {
      const { status, body } = answerSecretsCall(options.secrets, action, await text(request))
      return json(response, status, body)
    }
    if (await options.lambda.handle(request, response)) return
    json(response, 404, {
      __type: 'UnknownOperationException',
      message: `${service || request.url} is not served by the local cloud`,
    })
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      options.log(`AWS API: ${String(error)}`)
      response.destroy()
    })
  })
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

function namesKey(header: string | undefined, accessKeyId: string): boolean {
  const given = Buffer.from(/Credential=([^/,\s=]+)\//.exec(header ?? '')?.[1] ?? '')
  const expected = Buffer.from(accessKeyId)
  return given.length === expected.length && timingSafeEqual(given, expected)
}
