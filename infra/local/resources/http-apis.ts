import * as z from 'zod'
import type { HttpApi, Throttle } from '../http-api.ts'
import { adapter, boolean, functionOf, number } from './adapter.ts'
import type { Services } from './services.ts'

const texts = z.array(z.string()).optional()

export const api = adapter({
  honoured: z.object({
    Name: z.string(),
    ProtocolType: z.literal('HTTP'),
    CorsConfiguration: z
      .strictObject({
        AllowOrigins: texts,
        AllowMethods: texts,
        AllowHeaders: texts,
        ExposeHeaders: texts,
        AllowCredentials: boolean.optional(),
        MaxAge: number.optional(),
      })
      .optional(),
  }),
  withoutEffect: ['Description', 'DisableExecuteApiEndpoint', 'IpAddressType'],
  async create({ Name, CorsConfiguration }, context, services) {
    if (services.apis.size > 0) context.warn('only the first HTTP API of the templates is served')
    const apiId = Name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
    services.apis.set(apiId, {
      apiId,
      name: Name,
      stage: '$default',
      routes: [],
      routeThrottles: new Map(),
      // Undefined values are what the type leaves out.
      ...(CorsConfiguration && { cors: JSON.parse(JSON.stringify(CorsConfiguration)) }),
    })
    return { ref: apiId, attributes: { ApiId: apiId, ApiEndpoint: services.apiUrl } }
  },
})

function apiOf(services: Services, apiId: string): HttpApi {
  const found = services.apis.get(apiId)
  if (!found) throw new Error(`There is no HTTP API ${apiId}`)
  return found
}

/** Its Ref carries the function: routes name their integration by nothing else. */
export const integration = adapter({
  honoured: z.object({
    ApiId: z.string(),
    IntegrationType: z.literal('AWS_PROXY'),
    IntegrationUri: z.string(),
    PayloadFormatVersion: z.literal('2.0'),
  }),
  async create({ IntegrationUri }) {
    return { ref: functionOf(IntegrationUri) }
  },
})

export const route = adapter({
  honoured: z.object({
    ApiId: z.string(),
    RouteKey: z.string(),
    Target: z.string().startsWith('integrations/'),
    // An authorizer that is not run must not leave its route open.
    AuthorizationType: z.literal('NONE', 'authorizers are not supported by the local cloud').optional(),
  }),
  withoutEffect: ['OperationName'],
  async create({ ApiId, RouteKey, Target }, _context, services) {
    apiOf(services, ApiId).routes.push({
      routeKey: RouteKey,
      functionName: Target.slice('integrations/'.length),
    })
    return { ref: RouteKey }
  },
})

const routeSettings = z.strictObject({
  ThrottlingBurstLimit: number.optional(),
  ThrottlingRateLimit: number.optional(),
})

export const stage = adapter({
  honoured: z.object({
    ApiId: z.string(),
    StageName: z.literal('$default', 'only the stage $default is supported by the local cloud'),
    AccessLogSettings: z
      .strictObject({ Format: z.string(), DestinationArn: z.string().optional() })
      .optional(),
    DefaultRouteSettings: routeSettings.optional(),
    RouteSettings: z.record(z.string(), routeSettings).optional(),
  }),
  withoutEffect: ['AutoDeploy', 'Description'],
  async create(properties, _context, services) {
    const target = apiOf(services, properties.ApiId)
    const throttle = throttleOf(properties.DefaultRouteSettings)
    if (throttle) target.throttle = throttle
    for (const [routeKey, settings] of Object.entries(properties.RouteSettings ?? {})) {
      const own = throttleOf(settings)
      if (own) target.routeThrottles.set(routeKey, own)
    }
    if (properties.AccessLogSettings) target.accessLogFormat = properties.AccessLogSettings.Format
    return { ref: properties.StageName }
  },
})

/** The account's own limits stand in for what is left open. */
function throttleOf(settings: z.output<typeof routeSettings> | undefined): Throttle | undefined {
  if (settings?.ThrottlingRateLimit === undefined && settings?.ThrottlingBurstLimit === undefined)
    return undefined
  return { rate: settings.ThrottlingRateLimit ?? 10_000, burst: settings.ThrottlingBurstLimit ?? 5_000 }
}
