import type { FunctionName } from './names.ts'

/** What a key may be; it has one or more of them. In the order in which they are listed. */
export const roleNames = ['admin', 'operator', 'recruiter', 'analyst'] as const
export type Role = (typeof roleNames)[number]

/** The roles of which one is needed. An admin has the rights of an analyst and a recruiter, within its team. */
export const openedBy = {
  analyst: ['analyst', 'admin'],
  recruiter: ['recruiter', 'admin'],
  admin: ['admin'],
  operator: ['operator'],
  'admin or operator': ['admin', 'operator'],
} as const satisfies Record<string, readonly Role[]>

/** Who may call a route. `anyone` needs no key, `key` any valid one. */
export type Access = 'anyone' | 'key' | keyof typeof openedBy

export type Route = { function: FunctionName; access: Access }

/**
 * Each route of the API, once: the gateway's route table is generated from it, and the access check reads it.
 * Keys are API Gateway route keys.
 */
export const routes = {
  'GET /api/profiles': { function: 'profiles', access: 'analyst' },
  'POST /api/profiles': { function: 'profiles', access: 'admin' },
  'GET /api/profiles/search': { function: 'profiles', access: 'analyst' },
  'GET /api/profiles/stats': { function: 'profiles', access: 'analyst' },
  'GET /api/profiles/export': { function: 'exports', access: 'analyst' },
  'GET /api/profiles/{id}': { function: 'profiles', access: 'analyst' },
  'PATCH /api/profiles/{id}': { function: 'profiles', access: 'admin' },
  'DELETE /api/profiles/{id}': { function: 'profiles', access: 'admin' },
  'GET /api/imports': { function: 'imports', access: 'admin' },
  'POST /api/imports': { function: 'imports', access: 'admin' },
  'GET /api/imports/{id}': { function: 'imports', access: 'admin' },
  'GET /api/imports/{id}/rejects': { function: 'imports', access: 'admin' },
  'POST /api/imports/{id}/retry': { function: 'imports', access: 'admin' },
  'POST /api/imports/{id}/commit': { function: 'imports', access: 'admin' },
  'POST /api/imports/{id}/cancel': { function: 'imports', access: 'admin' },
  'DELETE /api/imports/{id}/profiles': { function: 'imports', access: 'admin' },
  'POST /api/exports': { function: 'exports', access: 'analyst' },
  'GET /api/exports': { function: 'exports', access: 'analyst' },
  'GET /api/exports/{id}': { function: 'exports', access: 'analyst' },
  'GET /api/exports/{id}/file': { function: 'exports', access: 'analyst' },
  'GET /api/candidates': { function: 'candidates', access: 'recruiter' },
  'POST /api/candidates': { function: 'candidates', access: 'recruiter' },
  'GET /api/candidates/{id}': { function: 'candidates', access: 'recruiter' },
  'PATCH /api/candidates/{id}': { function: 'candidates', access: 'recruiter' },
  'DELETE /api/candidates/{id}': { function: 'candidates', access: 'recruiter' },
  'GET /api/candidates/{id}/data': { function: 'candidates', access: 'recruiter' },
  'POST /api/candidates/{id}/consents': { function: 'candidates', access: 'recruiter' },
  'GET /api/candidates/{id}/resume': { function: 'candidates', access: 'recruiter' },
  'GET /api/candidates/{id}/resume/file': { function: 'candidates', access: 'recruiter' },
  'POST /api/candidates/{id}/resume/retry': { function: 'candidates', access: 'recruiter' },
  'POST /api/candidates/{id}/resume': { function: 'candidates', access: 'recruiter' },
  'GET /api/suppressions': { function: 'candidates', access: 'recruiter' },
  'DELETE /api/suppressions/{id}': { function: 'candidates', access: 'recruiter' },
  'POST /api/erasures': { function: 'candidates', access: 'admin or operator' },
  'GET /api/interviews': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/search': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/{id}': { function: 'interviews', access: 'recruiter' },
  'PATCH /api/interviews/{id}': { function: 'interviews', access: 'recruiter' },
  'DELETE /api/interviews/{id}': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/confirm': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/cancel': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/invite': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/{id}/emails': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/emails/retry': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/join-token': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/questions': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/{id}/history': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/{id}/transcript': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/{id}/transcript/export': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/{id}/assessment': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/assessment/generate': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/assessment/retry': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/{id}/assessment/export': { function: 'interviews', access: 'recruiter' },
  'PUT /api/interviews/{id}/verdict': { function: 'interviews', access: 'recruiter' },
  'DELETE /api/interviews/{id}/verdict': { function: 'interviews', access: 'recruiter' },
  'GET /api/interviews/{id}/ask': { function: 'interviews', access: 'recruiter' },
  'POST /api/interviews/{id}/ask': { function: 'interviews', access: 'recruiter' },
  'POST /webhooks/agent': { function: 'webhooks', access: 'anyone' },
  'POST /webhooks/livekit': { function: 'webhooks', access: 'anyone' },
  'POST /webhooks/resend': { function: 'webhooks', access: 'anyone' },
  'GET /api/ops/queues': { function: 'operations', access: 'admin or operator' },
  'GET /api/ops/dead-letters/{queue}': { function: 'operations', access: 'admin or operator' },
  'POST /api/ops/dead-letters/{queue}/redrive': { function: 'operations', access: 'admin or operator' },
  'POST /api/ops/dead-letters/{queue}/discard': { function: 'operations', access: 'admin or operator' },
  'GET /api/ops/refused': { function: 'operations', access: 'operator' },
  'POST /api/ops/refused/retry': { function: 'operations', access: 'operator' },
  'GET /api/ops/unmatched-events': { function: 'operations', access: 'operator' },
  'GET /api/ops/teams/{id}/quotas': { function: 'operations', access: 'operator' },
  'PUT /api/ops/teams/{id}/quotas': { function: 'operations', access: 'operator' },
  'GET /api/me': { function: 'system', access: 'key' },
  'GET /api/usage': { function: 'system', access: 'key' },
  'GET /api/health': { function: 'system', access: 'anyone' },
  'GET /api/openapi.json': { function: 'system', access: 'anyone' },
  'GET /api/docs': { function: 'system', access: 'anyone' },
  'GET /join': { function: 'system', access: 'anyone' },
  $default: { function: 'system', access: 'anyone' },
} as const satisfies Record<string, Route>

export type RouteKey = keyof typeof routes

/** The route that takes the calls of a key of the gateway: those of HEAD are GET's. */
export function servedBy(gatewayKey: string): string {
  return gatewayKey.replace(/^HEAD /, 'GET ')
}

type Served = { key: string; function: (typeof routes)[RouteKey]['function'] }

/** Every key of the gateway's route table with its function: the routes above, and HEAD wherever GET is. */
export const gatewayRoutes: readonly Served[] = Object.entries(routes).flatMap(([key, route]) => {
  const keys = key.startsWith('GET ') ? [key, key.replace('GET ', 'HEAD ')] : [key]
  return keys.map((each) => ({ key: each, function: route.function }))
})
