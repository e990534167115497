import middy from '@middy/core'
import * as z from 'zod'
import { connect } from '../lib/platform/db.ts'
import { beginLog, logger } from '../lib/platform/log.ts'
import { MetricUnit, metrics } from '../lib/platform/metrics.ts'
import { rebuildFacets, verifyFacets } from '../lib/profiles/facets.ts'

/** `{"action":"verify"}` by the schedule and by people, `{"action":"rebuild"}` by people. */
const payloadSchema = z.strictObject({ action: z.enum(['verify', 'rebuild']) })

/** Cells that an answer shows; wrong facets are wrong in few cells or in all. */
const shown = 100

/**
 * Compares the facets with a full count, or makes them anew and then compares. Invoked directly and by no
 * route: who may invoke it is a matter of IAM.
 */
export const handler = middy<unknown, object>().handler(async (event, context) => {
  beginLog(context)
  const { success, data } = payloadSchema.safeParse(event)
  if (!success) {
    return { status: 'error', code: 'invalid_value', message: 'The action must be verify or rebuild' }
  }
  const { action } = data
  const sql = connect()
  const started = performance.now()
  if (action === 'rebuild') await rebuildFacets(sql)
  const differences = await verifyFacets(sql)
  const duration_ms = Math.round(performance.now() - started)
  metrics.addMetric('FacetDifferences', MetricUnit.Count, differences.length)
  metrics.publishStoredMetrics()
  const log = { action, differences: differences.length, duration_ms }
  if (differences.length > 0) logger.error('The facets differ from the profiles', log)
  else logger.info('The facets are right', log)
  return {
    status: 'success',
    action,
    differences: differences.length,
    cells: differences.slice(0, shown),
    duration_ms,
  }
})
