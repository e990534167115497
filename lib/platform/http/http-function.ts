import middy, { type MiddyfiedHandler } from '@middy/core'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda'
import { type Authenticate, authenticate, authorize, type Caller } from '../auth.ts'
import { BadRequestError, ConfigurationError, RateLimitedError, UnavailableError } from '../errors.ts'
import { type CountRequest, countRequest, type Quota, quotaHeaders } from '../rate-limit.ts'
import { type RouteKey, routes, servedBy } from '../routes.ts'
import { elsewhere } from './elsewhere.ts'
import { plainTags } from './etag.ts'
import { observed } from './observed.ts'
import { parseBody, parsePath, parseQuery } from './parse.ts'
import { respond } from './respond.ts'
import type { Route } from './route.ts'
import { isOfAnotherPath, unknownRoute } from './unknown-route.ts'

type OpenKey = { [K in RouteKey]: (typeof routes)[K]['access'] extends 'anyone' ? K : never }[RouteKey]

/** Routes by their key in `lib/platform/routes.ts`; those that need a key there are made by `route` here. */
export type RouteHandlers = {
  [K in Exclude<RouteKey, '$default'>]?: Route<K extends OpenKey ? 'open' : 'keyed'>
}

export type HttpFunction = MiddyfiedHandler<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2> & {
  /** What the function serves, for the API's description. */
  routes: RouteHandlers
}

export const apiVersion = '1'

/** Milliseconds before the function's deadline at which the caller is told, while there is time to. */
const timeoutEarly = 200

/**
 * A Lambda handler for routes of the HTTP API (payload v2): request log and metrics, error envelope, version
 * header, key, its rate limit and its role, then query, path and body by the route's schemas, then its handler.
 */
export function httpFunction(
  handlers: RouteHandlers,
  auth: Authenticate = authenticate,
  count: CountRequest = countRequest,
): HttpFunction {
  for (const [key, handler] of Object.entries(handlers)) {
    if ((routes[key as RouteKey].access === 'anyone') !== (handler.access === 'open')) {
      throw new ConfigurationError(`${key} is made for other callers than lib/platform/routes.ts says`)
    }
  }
  const served = new Map<string, Route>(Object.entries(handlers))
  const quotas = new WeakMap<APIGatewayProxyEventV2, Quota>()
  const callers = new WeakMap<APIGatewayProxyEventV2, Caller>()

  async function admit(event: APIGatewayProxyEventV2): Promise<Caller | undefined> {
    const { access } = routes[servedBy(event.routeKey) as RouteKey]
    if (access === 'anyone') return undefined
    const caller = await auth(event.headers)
    callers.set(event, caller)
    await keepLimit(event, caller)
    authorize(caller, access)
    return caller
  }

  /** Before the role is looked at, so that a refusal for want of a role counts and tells the quota too. */
  async function keepLimit(event: APIGatewayProxyEventV2, { keyId, rateLimit }: Caller): Promise<void> {
    if (rateLimit === null) return
    const quota = await count(keyId, rateLimit)
    quotas.set(event, quota)
    if (quota.exceeded) throw new RateLimitedError(quota.limit, quota.resetSeconds)
  }

  function headersOf(event: APIGatewayProxyEventV2): Record<string, string> {
    const quota = quotas.get(event)
    return quota ? quotaHeaders(quota) : {}
  }

  async function dispatch(
    event: APIGatewayProxyEventV2,
    context: Context,
    { signal }: { signal: AbortSignal },
  ): Promise<APIGatewayProxyStructuredResultV2> {
    const { http, requestId } = event.requestContext
    const routeKey = servedBy(event.routeKey)
    const route = served.get(routeKey)
    if (!route || isOfAnotherPath(routeKey, event.rawPath)) {
      const redirect = elsewhere(http.method, event.rawPath, event.rawQueryString)
      if (redirect) return respond(event, redirect)
      throw unknownRoute(http.method, event.rawPath)
    }
    const caller = await admit(event)
    const query = parseQuery(route.query, event.rawQueryString)
    const path = parsePath(route.path, event.pathParameters ?? {})
    const body = route.body && parseBody(route.body, event, route.bodyTypes)
    const remainingMs = () => context.getRemainingTimeInMillis() - timeoutEarly
    const seen = { ...event, routeKey, headers: withPlainTags(event.headers) }
    const request = { query, body, path, requestId, event: seen, signal, remainingMs }
    const handle = http.method === 'HEAD' && route.head ? route.head : route.handle
    return respond(event, await handle(request, caller))
  }

  const stack = middy<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>({
    timeoutEarlyInMillis: timeoutEarly,
    timeoutEarlyResponse: () => {
      throw new UnavailableError('The answer was not ready in time')
    },
  })
    .use(observed(headersOf, (event) => callers.get(event)))
    .before(checkVersion)
    .handler(dispatch)
  return Object.assign(stack, { routes: handlers }) as HttpFunction
}

/** With the tags of conditional requests as those of bodies without a coding, which is what handlers know. */
function withPlainTags(headers: APIGatewayProxyEventV2['headers']): APIGatewayProxyEventV2['headers'] {
  const plain = { ...headers }
  for (const name of ['if-match', 'if-none-match']) {
    if (plain[name] !== undefined) plain[name] = plainTags(plain[name])
  }
  return plain
}

function checkVersion({ event }: { event: APIGatewayProxyEventV2 }): void {
  const version = event.headers['x-api-version']
  if (version === undefined || version === apiVersion) return
  const message = `This API has the version ${apiVersion}`
  throw new BadRequestError(message, [{ field: 'X-API-Version', message }], 'unsupported_version')
}
