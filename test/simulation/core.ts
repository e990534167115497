/**
 * A discrete-event simulation. Processes are generators that yield what they wait for; at equal times they go on in
 * the order in which they began to wait, so that the same input gives the same run. All times are in seconds.
 */
export type Process = Generator<Request, void>
/** Something that takes time; it calls `resume` when it is over. */
export type Request = (resume: () => void) => void

type Event = { at: number; order: number; run: () => void }

export class Simulation {
  #now = 0
  #order = 0
  readonly #events: Event[] = []

  /** Seconds since the beginning. */
  get now(): number {
    return this.#now
  }

  /** Calls `run` after so many seconds. */
  after(seconds: number, run: () => void): void {
    push(this.#events, { at: this.#now + seconds, order: this.#order++, run })
  }

  start(process: Process): void {
    const step = () => {
      const { value, done } = process.next()
      if (!done) value(step)
    }
    this.after(0, step)
  }

  wait(seconds: number): Request {
    return (resume) => this.after(seconds, resume)
  }

  /** Runs until nothing is left to happen, or up to that time, at which the clock then stands. */
  run(until = Number.POSITIVE_INFINITY): void {
    for (let event = this.#events[0]; event !== undefined && event.at <= until; event = this.#events[0]) {
      pop(this.#events)
      this.#now = event.at
      event.run()
    }
    if (Number.isFinite(until)) this.#now = until
  }
}

const before = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order)

/** Onto a binary heap with the earliest on top. */
function push(heap: Event[], event: Event): void {
  let at = heap.length
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (before(heap[parent]!, event)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = event
}

function pop(heap: Event[]): void {
  const last = heap.pop()!
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
    if (before(last, heap[child]!)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
}

export type CoresOptions = {
  /** How many there are; a fraction is a share of one. */
  count: number
  /** How much of a core one job may have: 1 where it is not given. */
  share?: number
}

/** Processor sharing: all jobs run at once at the same speed, none faster than its share of a core. */
export class Cores {
  readonly #sim: Simulation
  readonly #count: number
  readonly #share: number
  /** Jobs with the service, in core-seconds, at which each ends: all have had the same since they came. */
  readonly #jobs: Event[] = []
  #served = 0
  #since = 0
  #busy = 0
  #order = 0
  /** Of the completion that is planned; an older one is void. */
  #plan = 0

  constructor(sim: Simulation, { count, share = 1 }: CoresOptions) {
    this.#sim = sim
    this.#count = count
    this.#share = share
  }

  /** Work of so many core-seconds. */
  use(seconds: number): Request {
    return (resume) => {
      this.#advance()
      push(this.#jobs, { at: this.#served + seconds, order: this.#order++, run: resume })
      this.#planNext()
    }
  }

  /** Core-seconds that were used until now. */
  get busy(): number {
    this.#advance()
    return this.#busy
  }

  get #speed(): number {
    return Math.min(this.#share, this.#count / this.#jobs.length)
  }

  #advance(): void {
    const elapsed = this.#sim.now - this.#since
    this.#since = this.#sim.now
    if (this.#jobs.length === 0) return
    this.#served += elapsed * this.#speed
    this.#busy += elapsed * this.#speed * this.#jobs.length
  }

  #planNext(): void {
    const plan = ++this.#plan
    const next = this.#jobs[0]
    if (next === undefined) return
    this.#sim.after(Math.max(0, next.at - this.#served) / this.#speed, () => {
      if (plan !== this.#plan) return
      this.#advance()
      pop(this.#jobs)
      this.#planNext()
      next.run()
    })
  }
}

/** So many places, given in the order of asking: workers that take messages, or with one place a lock. */
export class Places {
  readonly #sim: Simulation
  readonly #count: number
  readonly #waiting: { since: number; resume: () => void }[] = []
  #first = 0
  #taken = 0
  #since = 0
  #busy = 0
  #given = 0
  #waited = 0
  #longest = 0
  #peak = 0

  constructor(sim: Simulation, count: number) {
    this.#sim = sim
    this.#count = count
  }

  take(): Request {
    return (resume) => {
      if (this.#taken < this.#count) return this.#give(this.#sim.now, resume)
      this.#waiting.push({ since: this.#sim.now, resume })
      this.#peak = Math.max(this.#peak, this.waiting)
    }
  }

  release(): void {
    this.#advance()
    this.#taken--
    const next = this.#waiting[this.#first]
    if (next === undefined) return
    this.#first++
    // Shifting a long array at each message would take time with its square.
    if (this.#first > 1000) {
      this.#waiting.splice(0, this.#first)
      this.#first = 0
    }
    this.#give(next.since, next.resume)
  }

  #give(since: number, resume: () => void): void {
    this.#advance()
    this.#taken++
    this.#given++
    this.#waited += this.#sim.now - since
    this.#longest = Math.max(this.#longest, this.#sim.now - since)
    this.#sim.after(0, resume)
  }

  #advance(): void {
    this.#busy += this.#taken * (this.#sim.now - this.#since)
    this.#since = this.#sim.now
  }

  /** Place-seconds that were taken until now. */
  get busy(): number {
    this.#advance()
    return this.#busy
  }

  get waiting(): number {
    return this.#waiting.length - this.#first
  }

  /** The most that ever waited, seconds that one waited in the mean and at the most, over all that got a place. */
  get queue(): { peak: number; meanWait: number; longestWait: number } {
    return { peak: this.#peak, meanWait: this.#waited / this.#given, longestWait: this.#longest }
  }
}
