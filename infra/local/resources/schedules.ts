import { randomUUID } from 'node:crypto'
import * as z from 'zod'
import { adapter, functionOf, type ResourceContext } from './adapter.ts'
import type { Services } from './services.ts'

const ruleTarget = z.strictObject({
  Id: z.string().optional(),
  Arn: z.string(),
  Input: z.string().optional(),
})

export const eventRule = adapter({
  honoured: z.object({
    Name: z.string().optional(),
    ScheduleExpression: z.string(),
    State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
    Targets: z.array(ruleTarget).default([]),
  }),
  withoutEffect: ['Description', 'RoleArn'],
  async create(properties, context, services) {
    const name = properties.Name ?? context.physicalName
    const arn = `arn:aws:events:${services.region}:${services.accountId}:rule/${name}`
    for (const [index, target] of properties.Targets.entries()) {
      if (properties.State === 'DISABLED') continue
      const input = target.Input
      addSchedule(
        services,
        `${name}-${target.Id ?? index}`,
        properties.ScheduleExpression,
        target.Arn,
        (at) => (input === undefined ? scheduledEvent(services, arn, at) : input),
      )
    }
    return { ref: name, attributes: { Arn: arn } }
  },
})

export const schedule = adapter({
  honoured: z.object({
    Name: z.string().optional(),
    ScheduleExpression: z.string(),
    ScheduleExpressionTimezone: z
      .enum(['UTC', 'Etc/UTC'], 'only UTC is supported by the local cloud')
      .optional(),
    State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
    Target: z.object({ Arn: z.string(), Input: z.string().default('{}') }),
  }),
  withoutEffect: ['Description', 'FlexibleTimeWindow', 'GroupName', 'KmsKeyArn'],
  async create(properties, context: ResourceContext, services) {
    const name = properties.Name ?? context.physicalName
    const { Arn, Input } = properties.Target
    if (properties.State === 'ENABLED') {
      addSchedule(services, name, properties.ScheduleExpression, Arn, () => Input)
    }
    return {
      ref: name,
      attributes: {
        Arn: `arn:aws:scheduler:${services.region}:${services.accountId}:schedule/default/${name}`,
      },
    }
  },
})

function addSchedule(
  services: Services,
  name: string,
  expression: string,
  targetArn: string,
  input: (scheduledAt: Date) => string,
): void {
  const run = async (at: Date) => {
    if (targetArn.includes(':sqs:')) return services.sendMessage(targetArn, input(at))
    const result = await services.invoke(functionOf(targetArn), input(at))
    if (result.functionError) throw new Error(`${functionOf(targetArn)} failed: ${result.payload}`)
  }
  services.schedules.push({ name, expression, run })
}

/** https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-scheduled-events.html */
function scheduledEvent(services: Services, ruleArn: string, at: Date): string {
  return JSON.stringify({
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account: services.accountId,
    time: at.toISOString().replace(/\.\d+Z$/, 'Z'),
    region: services.region,
    resources: [ruleArn],
    detail: {},
  })
}
