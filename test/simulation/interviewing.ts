import { randomFrom } from '../faults/random.ts'
import { Places, type Process, Simulation } from './core.ts'
import { assumed } from './costs.ts'

/** From docs/benchmarks.md, one machine for both sides of the queue: upper bounds of a worker that has a core. */
export const measuredInterviews = {
  /** Two workers apply 199 events a second. */
  eventSeconds: 2 / 199,
  /** From the end of a session to its assessment, with a model that answers at once. */
  assessmentSeconds: 1.149,
}

export type QueueResult = {
  /** Share of the workers' time. */
  use: number
  longestWait: number
  /** Messages that wait at the end. */
  left: number
}

/** Messages that come by chance, so many a second, to workers that need so long for one each; from empty on. */
export function simulateQueue(
  perSecond: number,
  workers: number,
  service: number,
  seconds: number,
): QueueResult {
  const random = randomFrom(1)
  const sim = new Simulation()
  const places = new Places(sim, workers)
  function* message(): Process {
    yield places.take()
    yield sim.wait(service)
    places.release()
  }
  function* arrivals(): Process {
    for (;;) {
      yield sim.wait(-Math.log(1 - random.share()) / perSecond)
      sim.start(message())
    }
  }
  sim.start(arrivals())
  sim.run(seconds)
  return {
    use: places.busy / (workers * seconds),
    longestWait: places.queue.longestWait,
    left: places.waiting,
  }
}

/** An hour of assessments, and as much of the webhooks as some ten thousand of them take. */
export function simulateInterviews(perHour: number, workers: { 'apply-event': number; assess: number }) {
  const perSecond = perHour / 3600
  const { turns, otherEvents } = assumed.interview
  const events = perSecond * (turns + otherEvents)
  const { eventSeconds, assessmentSeconds } = measuredInterviews
  return {
    events: simulateQueue(events, workers['apply-event'], eventSeconds, Math.min(3600, 20_000 / events)),
    assessments: simulateQueue(perSecond, workers.assess, assessmentSeconds + assumed.modelSeconds, 3600),
  }
}
