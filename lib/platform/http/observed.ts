import type { MiddlewareObj } from '@middy/core'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import { replacePool } from '../db.ts'
import { isInsightaError } from '../errors.ts'
import { logger } from '../log.ts'
import { MetricUnit, metrics } from '../metrics.ts'
import { errorAnswer, shownError, toGatewayResult } from './envelope.ts'

type HttpMiddleware = MiddlewareObj<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>

const plainId = /^[\w.:-]{1,128}$/

/**
 * One log line a request, with its ids on every line between; the error envelope; the metrics of the request.
 * Neither the query nor the body is logged: they may name people. `headersOf` names further headers of an
 * answer, whatever it is.
 */
export function observed(
  headersOf: (event: APIGatewayProxyEventV2) => Record<string, string>,
): HttpMiddleware {
  const begun = new WeakMap<APIGatewayProxyEventV2, { started: number; correlationId: string }>()

  const finish = (event: APIGatewayProxyEventV2, response: APIGatewayProxyStructuredResultV2) => {
    const { requestId, http } = event.requestContext
    const { started, correlationId } = begun.get(event)!
    const status = response.statusCode ?? 200
    response.headers = {
      ...response.headers,
      ...headersOf(event),
      'x-request-id': requestId,
      'x-correlation-id': correlationId,
      'x-api-version': '1',
    }
    const duration = Math.round((performance.now() - started) * 10) / 10
    logger.info('Request', { method: http.method, route: event.routeKey, status, duration_ms: duration })
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
      logger.resetKeys()
      logger.addContext(context)
      logger.appendKeys({ request_id: requestId, correlation_id: correlationId })
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
      request.response = toGatewayResult(errorAnswer(shown, requestId))
      finish(request.event, request.response)
    },
  }
}

function causeOf(error: Error): Error {
  return isInsightaError(error) && error.cause instanceof Error ? error.cause : error
}
