import { join } from 'node:path'
import type { GatewayAnswer } from './gateway.ts'
import { accessLogLine, type HttpApi } from './http-api.ts'
import { openLogFile } from './logs.ts'
import type { Metrics } from './metrics.ts'

/**
 * What API Gateway leaves behind for each request: its metrics, under the dimensions that alarms and
 * dashboards use, and a line in the access log, `<log dir>/<api name>-access.log`.
 */
export function recordRequests(
  api: HttpApi,
  metrics: Metrics,
  logDir: string,
): (answer: GatewayAnswer) => void {
  const log = api.accessLogFormat ? openLogFile(join(logDir, `${api.name}-access.log`)) : undefined
  const dimensionSets = [{ ApiId: api.apiId }, { ApiId: api.apiId, Stage: api.stage }]
  return (answer) => {
    const { status, durationMs, integrationMs } = answer
    const points = {
      Count: 1,
      '4xx': status >= 400 && status < 500 ? 1 : 0,
      '5xx': status >= 500 ? 1 : 0,
      Latency: durationMs,
      ...(integrationMs !== undefined && { IntegrationLatency: integrationMs }),
    }
    for (const dimensions of dimensionSets) {
      for (const [metric, value] of Object.entries(points)) {
        const unit = metric.endsWith('Latency') ? 'Milliseconds' : 'Count'
        metrics.record({ namespace: 'AWS/ApiGateway', metric, dimensions, value, unit })
      }
    }
    log?.write(accessLogLine(api.accessLogFormat ?? '', accessFacts(api, answer)))
  }
}

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html */
function accessFacts(api: HttpApi, answer: GatewayAnswer): Record<string, unknown> {
  const { integrationMs } = answer
  return {
    apiId: api.apiId,
    stage: api.stage,
    requestId: answer.requestId,
    requestTime: answer.receivedAt.toISOString(),
    requestTimeEpoch: answer.receivedAt.getTime(),
    routeKey: answer.routeKey,
    httpMethod: answer.method,
    path: answer.path,
    'identity.sourceIp': answer.sourceIp,
    status: answer.status,
    responseLatency: Math.round(answer.durationMs),
    responseLength: answer.bytes,
    ...(integrationMs !== undefined && { integrationLatency: Math.round(integrationMs) }),
  }
}
