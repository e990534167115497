/** One entry of a price list. */
export type Price = {
  dollars: number
  /** What the dollars buy. */
  unit: string
  /** Where it was compared in 2026-11; `unverified` where nothing newer than common knowledge was at hand. */
  source: string
}

const seen = (site: string) => `${site}, 2026`
const unverified = 'unverified'

/**
 * List prices of us-east-1 as of 2026-11, first tier, without free tiers and taxes. The only place of a price:
 * every cost in docs/scaling.md is computed from these.
 */
export const prices = {
  lambdaSecond: { dollars: 0.0000133334, unit: 'GB-second, arm64', source: seen('cloudchipr.com') },
  lambdaRequest: { dollars: 0.2 / 1e6, unit: 'invocation', source: seen('cloudchipr.com') },
  gatewayRequest: { dollars: 1 / 1e6, unit: 'request of an HTTP API', source: seen('apigatewaycost.com') },
  transferOut: { dollars: 0.09, unit: 'GB to the internet', source: seen('apigatewaycost.com') },
  capacityHour: { dollars: 0.12, unit: 'ACU-hour, Aurora Standard', source: seen('factualminds.com') },
  auroraStorage: { dollars: 0.1, unit: 'GB-month of Aurora', source: seen('awsnegotiations.com') },
  auroraRequest: { dollars: 0.2 / 1e6, unit: 'read or write of Aurora Standard', source: seen('jusdb.com') },
  storage: { dollars: 0.023, unit: 'GB-month of S3 Standard', source: seen('cloudburn.io') },
  storagePut: { dollars: 0.005 / 1000, unit: 'PUT', source: unverified },
  storageGet: { dollars: 0.0004 / 1000, unit: 'GET', source: unverified },
  queueRequest: { dollars: 0.4 / 1e6, unit: 'request of SQS', source: seen('cloudburn.io') },
  logBytes: { dollars: 0.5, unit: 'GB of logs taken in', source: seen('factualminds.com') },
  metric: { dollars: 0.3, unit: 'metric-month', source: seen('signoz.io') },
  alarm: { dollars: 0.1, unit: 'alarm-month', source: unverified },
  dashboard: { dollars: 3, unit: 'dashboard-month', source: seen('factualminds.com') },
  secret: { dollars: 0.4, unit: 'secret-month', source: seen('hivebook.wiki') },
  endpointHour: { dollars: 0.01, unit: 'hour of an endpoint in a zone', source: seen('zacfukuda.com') },
  endpointTraffic: { dollars: 0.01, unit: 'GB through an endpoint', source: seen('zacfukuda.com') },
  natHour: { dollars: 0.045, unit: 'hour of a NAT gateway', source: seen('zacfukuda.com') },
  natTraffic: { dollars: 0.045, unit: 'GB through a NAT gateway', source: seen('zacfukuda.com') },
  valkeyHour: { dollars: 0.084, unit: 'GB-hour of Valkey, 0.1 GB at least', source: seen('usage.ai') },
  valkeyUnits: { dollars: 0.0023 / 1e6, unit: 'ECPU of Valkey', source: seen('usage.ai') },
  cdnRequest: { dollars: 0.01 / 10_000, unit: 'HTTPS request of CloudFront', source: seen('wring.co') },
  cdnTransfer: { dollars: 0.085, unit: 'GB of CloudFront', source: seen('wring.co') },
  firewallRequest: { dollars: 0.6 / 1e6, unit: 'request of WAF', source: seen('c3x.dev') },
  firewallList: { dollars: 5, unit: 'month of a web ACL', source: seen('c3x.dev') },
  firewallRule: { dollars: 1, unit: 'month of a rule', source: seen('c3x.dev') },
  modelInput: { dollars: 1.5 / 1e6, unit: 'token to Gemini 3.5 Flash', source: seen('morphllm.com') },
  modelOutput: { dollars: 9 / 1e6, unit: 'token from Gemini 3.5 Flash', source: seen('morphllm.com') },
  email: { dollars: 0.9 / 1000, unit: 'e-mail of Resend beyond a plan', source: seen('owostack.com') },
} as const satisfies Record<string, Price>

export type PriceName = keyof typeof prices
/** So much of each, in the units of the list. */
export type Usage = Partial<Record<PriceName, number>>

export const hoursPerMonth = 730

/** Dollars of a usage, the greatest first, and their sum. */
export function bill(usage: Usage): { total: number; lines: [name: PriceName, dollars: number][] } {
  const lines = (Object.entries(usage) as [PriceName, number][]).map(
    ([name, amount]): [PriceName, number] => [name, amount * prices[name].dollars],
  )
  return {
    total: lines.reduce((sum, [, dollars]) => sum + dollars, 0),
    lines: lines.toSorted(([, a], [, b]) => b - a),
  }
}
