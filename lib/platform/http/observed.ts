import type { MiddlewareObj } from '@middy/core'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import type { Caller } from '../auth.ts'
import { replacePool } from '../db.ts'
import { isInsightaError, UnauthorizedError } from '../errors.ts'
import { beginLog, correlate, logger } from '../log.ts'
import { MetricUnit, metrics } from '../metrics.ts'
import { errorAnswer, shownError } from './envelope.ts'
import { respond, withVary } from './respond.ts'

type HttpMiddleware = MiddlewareObj<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>

const plainId = /^[\w.:-]{1,128}$/

/** CloudFront's id of a request, which is base64 for URLs. */
const edgeId = /^[\w-]{1,128}={0,2}$/

/**
 * One log line a request, with its ids on every line between; the error envelope; the metrics of the request.
 * Neither the query nor the body is logged: they may name people. `headersOf` names further headers of an
 * answer, whatever it is; `callerOf` says whose key it was, where that is known.
 */
export function observed(
  headersOf: (event: APIGatewayProxyEventV2) => Record<string, string>,
  callerOf: (event: APIGatewayProxyEventV2) => Caller | undefined,
): HttpMiddleware {
  const begun = new WeakMap<APIGatewayProxyEventV2, { started: number; correlationId: string }>()

  const finish = (
    event: APIGatewayProxyEventV2,
    response: APIGatewayProxyStructuredResultV2,
    error?: unknown,
  ) => {
    const { requestId, http } = event.requestContext
    const { started, correlationId } = begun.get(event)!
    const status = response.statusCode ?? 200
    response.headers = {
      ...response.headers,
      ...headersOf(event),
      'x-request-id': requestId,
      'x-correlation-id': correlationId,
      'x-api-version': '1',
      'x-content-type-options': 'nosniff',
      // The gateway puts the origin that it allows beside it.
      vary: withVary(response.headers?.vary?.toString(), 'Origin'),
    }
    const duration = Math.round((performance.now() - started) * 10) / 10
    const caller = callerOf(event)
    const keyId = error instanceof UnauthorizedError ? error.keyId : undefined
    const edge = event.headers['x-amz-cf-id']
    logger.info('Request', {
      method: http.method,
      route: event.routeKey,
      status,
      duration_ms: duration,
      ...(caller && { key_id: caller.keyId, team_id: caller.teamId, roles: caller.roles }),
      ...(keyId !== undefined && { key_id: keyId }),
      ...(edge !== undefined && edgeId.test(edge) && { edge_request_id: edge }),
    })
    if (status >= 500) metrics.addMetric('RequestErrors', MetricUnit.Count, 1)
    if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics()
  }

  return {
    before: function observeRequest({ event, context }) {
      const started = performance.now()
      const { requestId } = event.requestContext
      const sent = event.headers['x-correlation-id']
      const correlationId = sent !== undefined && plainId.test(sent) ? sent : requestId
      begun.set(event, { started, correlationId })
      beginLog(context)
      logger.appendKeys({ request_id: requestId })
      correlate(correlationId)
    },
    after: function observeAnswer(request) {
      finish(request.event, request.response!)
    },
    onError: function answerError(request) {
      const { requestId } = request.event.requestContext
      const shown = shownError(request.error)
      // Down, or too slow to tell from it: what is left of the connections is not to be trusted.
      if (shown?.status === 503) replacePool()
      if (!shown) logger.error('Request failed', { error: request.error })
      else if (shown.status >= 500) logger.warn('Request refused', { error: causeOf(shown) })
      request.response = respond(request.event, errorAnswer(shown, requestId))
      finish(request.event, request.response, request.error)
    },
  }
}

function causeOf(error: Error): Error {
  return isInsightaError(error) && error.cause instanceof Error ? error.cause : error
}
