import type { CorsConfiguration } from './http-cors.ts'
import type { RouteTarget } from './http-routes.ts'

/** Requests per second, and how many may come at once. */
export type Throttle = { rate: number; burst: number }

/** What Api, Integration, Route and Stage resources add up to. */
export type HttpApi = {
  apiId: string
  name: string
  stage: string
  cors?: CorsConfiguration
  throttle?: Throttle
  routeThrottles: Map<string, Throttle>
  routes: RouteTarget[]
  /** A line for each request, with `$context.` variables. */
  accessLogFormat?: string
}

/** As https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html has it. */
export function tokenBucket({ rate, burst }: Throttle, now: () => number = () => performance.now()) {
  let tokens = burst
  let at = now()
  return {
    /** Whether a request may pass now. */
    take(): boolean {
      const passed = now()
      tokens = Math.min(burst, tokens + ((passed - at) / 1000) * rate)
      at = passed
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
  }
}

/** The format with its variables filled in; those that have no value here become `-`, as on AWS. */
export function accessLogLine(format: string, facts: Readonly<Record<string, unknown>>): string {
  return format.replaceAll(/\$context\.([A-Za-z.]+)/g, (_, name: string) => {
    const value = facts[name]
    return value === undefined ? '-' : JSON.stringify(String(value)).slice(1, -1)
  })
}
