import { Logger } from '@aws-lambda-powertools/logger'

/**
 * The structured log of this execution environment: one JSON object a line, with the service from
 * POWERTOOLS_SERVICE_NAME. Keys and ids go in; names, e-mails and secrets never do.
 */
export const logger = new Logger()
