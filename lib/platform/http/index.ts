export { errorSchema } from './envelope.ts'
export { type HttpFunction, httpFunction, type RouteHandlers } from './http-function.ts'
export { type Answer, type HttpRequest, json, openRoute, type Route, route } from './route.ts'
