import { remoteFunction } from '../lib/platform/remote.ts'
import { enrichmentFromEnvironment } from '../lib/profiles/enrichment.ts'
import { factsRequestSchema } from '../lib/profiles/name-facts.ts'

const enrichment = enrichmentFromEnvironment()

/**
 * Asks third parties about a name. It runs where there is a way out to the internet and none to the database;
 * the profiles function invokes it.
 */
export const handler = remoteFunction(factsRequestSchema, ({ name }, options) =>
  enrichment.enrich(name, options),
)
