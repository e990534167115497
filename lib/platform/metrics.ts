import { Metrics } from '@aws-lambda-powertools/metrics'
import { metricsNamespace } from './names.ts'

export { MetricUnit } from '@aws-lambda-powertools/metrics'

/** Metrics as embedded metric format lines in the log; each function publishes what it stored at its end. */
export const metrics = new Metrics({ namespace: metricsNamespace })
