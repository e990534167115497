import {
  type Simulators,
  type SimulatorsOptions,
  startSimulators,
} from '../../infra/local/simulators/index.ts'

export type Fault = {
  path: string
  status?: number
  times?: number
  delay_ms?: number
  retry_after?: number | string
  body?: string | object
}

export type ThirdParties = Simulators & {
  /** Scripts what goes wrong next, over HTTP as anybody would. */
  fault(fault: Fault): Promise<void>
  /** Faults that have not been met, which are then forgotten. */
  unmet(): Promise<Fault[]>
  /** Requests so far, by path. */
  asked: Map<string, number>
  /** Of the control routes. */
  key: string
}

/** The simulated third parties on a port of their own, with a count of who was asked. */
export async function startThirdParties(
  webhooks: Pick<SimulatorsOptions, 'outgoing' | 'webhookWaitsMs'> = {},
): Promise<ThirdParties> {
  const asked = new Map<string, number>()
  const key = 'test-key'
  const simulators = await startSimulators({
    port: 0,
    key,
    ...webhooks,
    onRequest: (path) => asked.set(path, (asked.get(path) ?? 0) + 1),
  })
  const script = async (method: string, fault?: Fault): Promise<{ faults: Fault[] }> => {
    const answer = await fetch(`${simulators.url}/faults`, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(fault && { body: JSON.stringify(fault) }),
    })
    if (!answer.ok) throw new Error(`${method} /faults: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as { faults: Fault[] }
  }
  return {
    ...simulators,
    asked,
    key,
    fault: async (fault) => void (await script('POST', fault)),
    async unmet() {
      const { faults } = await script('GET')
      await script('DELETE')
      return faults
    },
  }
}
