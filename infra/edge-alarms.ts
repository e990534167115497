import { Duration, type Stack } from 'aws-cdk-lib'
import type { Distribution } from 'aws-cdk-lib/aws-cloudfront'
import { Metric } from 'aws-cdk-lib/aws-cloudwatch'
import { type Condition, makeAlarmTopic, raise } from './alarms.ts'
import { firewallName, rateRules } from './firewall.ts'
import type { Stage } from './stage.ts'

/**
 * Alarms on the distribution and its firewall, and the topic that they go to: their metrics are in us-east-1,
 * and an alarm hears of no other region.
 */
export function addEdgeAlarms(scope: Stack, stage: Stage, distribution: Distribution): void {
  const period = Duration.minutes(5)
  // Metrics are found by all their dimensions: CloudFront's have a Region, those of its firewall have none.
  const errors = new Metric({
    namespace: 'AWS/CloudFront',
    metricName: '5xxErrorRate',
    dimensionsMap: { DistributionId: distribution.distributionId, Region: 'Global' },
    statistic: 'Average',
    period,
  })
  const blocked = (Rule: string) =>
    new Metric({
      namespace: 'AWS/WAFV2',
      metricName: 'BlockedRequests',
      dimensionsMap: { WebACL: firewallName(stage), Rule },
      statistic: 'Sum',
      period,
    })
  const topic = makeAlarmTopic(scope)
  raise(scope, topic, [
    {
      id: 'EdgeErrors',
      says: 'For a quarter of an hour one answer in twenty was 5xx.',
      runbook: 'edge-errors',
      metric: errors,
      above: 5,
      periods: 3,
    },
    ...Object.values(rateRules).map(
      (rule): Condition => ({
        id: `${rule}Blocked`,
        says: 'The firewall refuses an address for its many requests.',
        runbook: 'edge-blocked',
        metric: blocked(rule),
        above: 0,
      }),
    ),
  ])
}
