import { docsPage } from '../lib/platform/http/docs-page.ts'
import type { HttpFunction, RouteHandlers } from '../lib/platform/http/index.ts'
import { openApiDocument } from '../lib/platform/http/openapi.ts'
import { routes } from '../lib/platform/routes.ts'

// A program of the build, run by description.ts: writes the files of the API's description to stdout, as JSON.

const handlers: RouteHandlers = {}
for (const name of new Set(Object.values(routes).map((route) => route.function))) {
  const { handler }: { handler: HttpFunction } = await import(`../functions/${name}.ts`)
  Object.assign(handlers, handler.routes)
}
const document = openApiDocument(handlers)
process.stdout.write(
  JSON.stringify({ 'openapi.json': JSON.stringify(document), 'docs.html': docsPage(document) }),
)
