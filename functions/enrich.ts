import middy from '@middy/core'
import { logger } from '../lib/platform/log.ts'
import { enrichmentFromEnvironment } from '../lib/profiles/enrichment.ts'
import { type FactsAnswer, factsRequestSchema, failureAnswer } from '../lib/profiles/name-facts.ts'

const enrichment = enrichmentFromEnvironment()

/** Milliseconds before the deadline by which the answer is on its way. */
const reserve = 250

/**
 * Asks third parties about a name. It runs where there is a way out to the internet and none to the database;
 * the profiles function invokes it. The name is nowhere logged.
 */
export const handler = middy<unknown, FactsAnswer>().handler(async (event, context) => {
  logger.resetKeys()
  logger.addContext(context)
  const { name } = factsRequestSchema.parse(event)
  try {
    const remainingMs = () => context.getRemainingTimeInMillis() - reserve
    return { status: 'known', facts: await enrichment.enrich(name, { remainingMs }) }
  } catch (error) {
    const answer = failureAnswer(error)
    logger.warn('A third party failed', { error: error as Error })
    return answer
  }
})
