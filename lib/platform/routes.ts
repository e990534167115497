import type { FunctionName } from './names.ts'

/** Who may call a route. `anyone` needs no key, `key` any valid one; admin includes analyst and recruiter. */
export type Access = 'anyone' | 'key' | 'analyst' | 'recruiter' | 'admin'
export type Role = 'admin' | 'analyst' | 'recruiter'

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
  'DELETE /api/profiles/{id}': { function: 'profiles', access: 'admin' },
  'GET /api/imports': { function: 'imports', access: 'admin' },
  'POST /api/imports': { function: 'imports', access: 'admin' },
  'GET /api/imports/{id}': { function: 'imports', access: 'admin' },
  'GET /api/imports/{id}/rejects': { function: 'imports', access: 'admin' },
  'POST /api/imports/{id}/retry': { function: 'imports', access: 'admin' },
  'POST /api/imports/{id}/cancel': { function: 'imports', access: 'admin' },
  'DELETE /api/imports/{id}/profiles': { function: 'imports', access: 'admin' },
  'GET /api/exports': { function: 'exports', access: 'analyst' },
  'GET /api/exports/{id}': { function: 'exports', access: 'analyst' },
  'GET /api/exports/{id}/file': { function: 'exports', access: 'analyst' },
  'GET /api/ops/queues': { function: 'operations', access: 'admin' },
  'GET /api/ops/dead-letters/{queue}': { function: 'operations', access: 'admin' },
  'POST /api/ops/dead-letters/{queue}/redrive': { function: 'operations', access: 'admin' },
  'POST /api/ops/dead-letters/{queue}/discard': { function: 'operations', access: 'admin' },
  'GET /api/me': { function: 'system', access: 'key' },
  'GET /api/health': { function: 'system', access: 'anyone' },
  'GET /api/openapi.json': { function: 'system', access: 'anyone' },
  'GET /api/docs': { function: 'system', access: 'anyone' },
  $default: { function: 'system', access: 'anyone' },
} as const satisfies Record<string, Route>

export type RouteKey = keyof typeof routes
