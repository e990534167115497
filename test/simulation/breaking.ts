import type { Stage } from '../../infra/stage.ts'
import type { Calibration } from './calibration.ts'
import { assumed } from './costs.ts'
import { base, demand, limits, unitsFor } from './loads.ts'
import { onAws } from './pipeline.ts'
import { prices } from './prices.ts'

export type Limit = {
  what: string
  unit: string
  /** What the base load uses of it, and what there is in the stage as it is. */
  used: number
  limit: number
  /** The setting or the person that moves it. */
  answer: string
  /** What it takes and costs at so many times the base. */
  takes(times: number): string
}

/** Every limit that a growing load comes to, the first one first. */
export function limitsOf(calibration: Calibration, stage: Stage): Limit[] {
  const used = demand(calibration)
  const { aurora, workerConcurrency, apiConcurrency, throttle, edge } = stage
  const cores = aurora.maxCapacity * onAws.coresPerCapacityUnit * assumed.databaseUse
  const indexMemory = aurora.maxCapacity * limits.gibibytesPerUnit * 2 ** 30 * limits.pagesInMemory
  const whole = (value: number) => Math.ceil(value).toLocaleString('en')
  const units = (amount: number) =>
    `${unitsFor(amount)} units, $${(unitsFor(amount) * prices.capacityHour.dollars).toFixed(2)} an hour`
  const workers = (amount: number) => `${whole(amount / assumed.databaseUse)} at once, as many connections`
  const found: Limit[] = [
    {
      what: 'assessments wait for a worker',
      unit: 'workers',
      used: used.assessing,
      limit: workerConcurrency.assess,
      answer: '`workerConcurrency.assess`',
      takes: (times) => workers(used.assessing * times),
    },
    {
      what: 'the gateway answers 429',
      unit: 'requests/s',
      used: used.requestsPerSecond,
      limit: throttle.rate,
      answer: '`throttle`',
      takes: (times) => `${whole(used.requestsPerSecond * times)} a second; each is paid for anyway`,
    },
    {
      what: 'the firewall answers 429 to the busiest address',
      unit: 'requests in 5 min',
      used: base.queriesPerSecond * limits.busiestAddress * 300,
      limit: edge.requests.api,
      answer: '`edge.requests.api`, or more addresses',
      takes: (times) => `${whole(base.queriesPerSecond * limits.busiestAddress * 300 * times)}; nothing`,
    },
    {
      what: "the firewall answers 429 to the agent's address",
      unit: 'webhooks in 5 min',
      used: used.eventsPerSecond * 300,
      limit: edge.requests.webhooks,
      answer: '`edge.requests.webhooks`',
      takes: (times) => `${whole(used.eventsPerSecond * 300 * times)}; nothing`,
    },
    {
      what: 'Resend answers 429',
      unit: 'e-mails/s',
      used: used.emailsPerSecond,
      limit: limits.emailsPerSecond,
      answer: 'ask Resend; until then e-mails wait',
      takes: (times) => `${(used.emailsPerSecond * times).toFixed(1)} a second`,
    },
    {
      what: 'Gemini answers 429',
      unit: 'calls/min',
      used: used.modelCallsPerMinute,
      limit: limits.modelCallsPerMinute,
      answer: 'a higher tier at Google, or `-c geminiModel`; until then assessments wait',
      takes: (times) => `${whole(used.modelCallsPerMinute * times)} a minute`,
    },
    {
      what: 'the writer has no core left',
      unit: 'cores',
      used: used.writer,
      limit: cores,
      answer: '`aurora.maxCapacity`, 256 at most',
      takes: (times) => units(used.writer * times),
    },
    {
      what: 'the reader has no core left',
      unit: 'cores',
      used: used.reader,
      limit: cores * Math.max(1, aurora.readers),
      answer: '`aurora.readers`, or `-c cache=valkey`',
      takes: (times) => units(used.reader * times),
    },
    {
      what: 'queries find no environment',
      unit: 'environments',
      used: used.queryEnvironments,
      limit: apiConcurrency.profiles,
      answer: '`apiConcurrency.profiles`',
      takes: (times) =>
        `${whole((used.queryEnvironments * times) / assumed.databaseUse)} reserved, two connections each`,
    },
    {
      what: 'slices wait for a worker',
      unit: 'workers',
      used: used.inserting,
      limit: workerConcurrency.insert,
      answer: '`-c insertWorkers`',
      takes: (times) => workers(used.inserting * times),
    },
    {
      what: 'events of interviews wait for a worker',
      unit: 'workers',
      used: used.applying,
      limit: workerConcurrency['apply-event'],
      answer: "`workerConcurrency['apply-event']`",
      takes: (times) => workers(used.applying * times),
    },
    {
      what: "slices wait for the dataset's row",
      unit: 'of the time',
      used: used.lock,
      limit: 1,
      answer: 'larger slices: `-c sliceRecords`',
      takes: (times) => `${(used.lock * times).toFixed(2)} of it`,
    },
    {
      what: 'the account has no environment left',
      unit: 'environments',
      used: used.environments,
      limit: limits.accountConcurrency,
      answer: 'a quota of Lambda',
      takes: (times) => `${whole(used.environments * times)} at once; nothing`,
    },
    {
      what: 'the indexes outgrow the memory within a month',
      unit: 'rows',
      used: used.rowsPerMonth,
      limit: indexMemory / calibration.indexBytesPerRow,
      answer: '`aurora.maxCapacity`, or fewer indexes',
      takes: (times) => {
        const bytes = used.rowsPerMonth * times * calibration.indexBytesPerRow
        const needed = Math.ceil(bytes / 2 ** 30 / limits.gibibytesPerUnit / limits.pagesInMemory)
        return `${whole(needed)} units${needed > 256 ? ', more than there are: partition' : ''}`
      },
    },
  ]
  return found.toSorted((a, b) => a.limit / a.used - b.limit / b.used)
}
