import { Metrics } from '@aws-lambda-powertools/metrics'

export { MetricUnit } from '@aws-lambda-powertools/metrics'

/**
 * Metrics as embedded metric format lines in the log; each function publishes what it stored at its end. Their
 * namespace is that of the stage, from the environment.
 */
export const metrics = new Metrics()
