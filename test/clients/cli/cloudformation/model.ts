/** Every state of a stack: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html */
export const statuses = [
  'CREATE_COMPLETE',
  'CREATE_FAILED',
  'CREATE_IN_PROGRESS',
  'DELETE_FAILED',
  'DELETE_IN_PROGRESS',
  'IMPORT_COMPLETE',
  'IMPORT_IN_PROGRESS',
  'IMPORT_ROLLBACK_COMPLETE',
  'IMPORT_ROLLBACK_FAILED',
  'IMPORT_ROLLBACK_IN_PROGRESS',
  'REVIEW_IN_PROGRESS',
  'ROLLBACK_COMPLETE',
  'ROLLBACK_FAILED',
  'ROLLBACK_IN_PROGRESS',
  'UPDATE_COMPLETE',
  'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS',
  'UPDATE_FAILED',
  'UPDATE_IN_PROGRESS',
  'UPDATE_ROLLBACK_COMPLETE',
  'UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS',
  'UPDATE_ROLLBACK_FAILED',
  'UPDATE_ROLLBACK_IN_PROGRESS',
] as const
export type Status = (typeof statuses)[number]

/** Where a stack that is worked on goes by itself; undefined: it is gone. */
const ends: Partial<Record<Status, Status | undefined>> = {
  CREATE_IN_PROGRESS: 'ROLLBACK_IN_PROGRESS',
  ROLLBACK_IN_PROGRESS: 'ROLLBACK_COMPLETE',
  DELETE_IN_PROGRESS: undefined,
  IMPORT_IN_PROGRESS: 'IMPORT_COMPLETE',
  IMPORT_ROLLBACK_IN_PROGRESS: 'IMPORT_ROLLBACK_COMPLETE',
  UPDATE_IN_PROGRESS: 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS',
  UPDATE_COMPLETE_CLEANUP_IN_PROGRESS: 'UPDATE_COMPLETE',
  UPDATE_ROLLBACK_IN_PROGRESS: 'UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS',
  UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS: 'UPDATE_ROLLBACK_COMPLETE',
}

const updatable: Status[] = [
  'CREATE_COMPLETE',
  'UPDATE_COMPLETE',
  'UPDATE_ROLLBACK_COMPLETE',
  'IMPORT_COMPLETE',
  'IMPORT_ROLLBACK_COMPLETE',
  // Only without a rollback.
  'CREATE_FAILED',
  'UPDATE_FAILED',
]
const paused: Status[] = ['CREATE_FAILED', 'UPDATE_FAILED']

export type Stack = {
  name: string
  status: Status
  /** Whether it has ever been complete: that is what a rollback goes back to. */
  whole: boolean
  /** What of it holds data, which is gone for good if CloudFormation deletes it. */
  data: string[]
  changeSet?: 'CREATE' | 'UPDATE'
}

export type Operation = 'change' | 'rollback' | 'delete'

/** As CloudFormation refuses, by the code of its query protocol. */
export class Refusal extends Error {
  readonly code: string

  constructor(message: string, code = 'ValidationError') {
    super(message)
    this.code = code
  }
}

/** The states of stacks and how its operations lead from one to another. What is started is finished at once. */
export class CloudFormation {
  readonly stacks = new Map<string, Stack>()
  /** What held data and was deleted. */
  readonly lost: string[] = []
  /** Operations that are to fail, each once, as `<operation> <stack>`. */
  readonly failing = new Set<string>()
  /** Stacks whose next change replaces a resource. */
  readonly replacing = new Set<string>()
  /** Stacks whose change set is empty. */
  readonly unchanged = new Set<string>()
  /** Every operation that changed something, in order. */
  readonly log: string[] = []

  given(name: string, status: Status, options: { whole?: boolean; data?: string[] } = {}): void {
    const whole = options.whole ?? !/^(CREATE_[FI]|ROLLBACK|REVIEW)/.test(status)
    this.stacks.set(name, { name, status, whole, data: options.data ?? [] })
  }

  fail(operation: Operation, name: string): void {
    this.failing.add(`${operation} ${name}`)
  }

  /** As a stack stands now; one that is worked on stands elsewhere the next time. */
  describe(name: string): Stack | undefined {
    const stack = this.stacks.get(name)
    if (!stack) return undefined
    const seen = { ...stack }
    if (stack.status in ends) {
      const next = ends[stack.status]
      if (next === undefined) this.stacks.delete(name)
      else stack.status = next
    }
    return seen
  }

  createChangeSet(name: string, type: 'CREATE' | 'UPDATE'): void {
    if (type === 'CREATE') {
      const stack = this.stacks.get(name)
      if (stack && stack.status !== 'REVIEW_IN_PROGRESS') throw new Refusal(`Stack [${name}] already exists`)
      if (!stack) this.given(name, 'REVIEW_IN_PROGRESS')
    } else if (!updatable.includes(this.existing(name).status)) {
      throw this.refusal(name, 'updated')
    }
    this.existing(name).changeSet = type
  }

  deleteChangeSet(name: string): void {
    delete this.existing(name).changeSet
  }

  executeChangeSet(name: string, disableRollback: boolean): void {
    const stack = this.existing(name)
    const { changeSet, status } = stack
    if (changeSet === undefined) throw new Refusal(`ChangeSet of ${name} does not exist`, 'ChangeSetNotFound')
    if (paused.includes(status) && !disableRollback) {
      throw new Refusal(`This stack is currently in a non-terminal [${status}] state.`)
    }
    if (disableRollback && this.replacing.has(name)) {
      throw new Refusal('Replacement type updates not supported on stack with disable-rollback.')
    }
    this.log.push(
      `${changeSet === 'CREATE' ? 'create' : 'update'} ${name}${disableRollback ? ' without rollback' : ''}`,
    )
    delete stack.changeSet
    if (!this.fails('change', name)) {
      stack.status = changeSet === 'CREATE' ? 'CREATE_COMPLETE' : 'UPDATE_COMPLETE'
      stack.whole = true
      this.replacing.delete(name)
    } else if (disableRollback) {
      stack.status = changeSet === 'CREATE' ? 'CREATE_FAILED' : 'UPDATE_FAILED'
    } else {
      this.goBack(stack)
    }
  }

  rollbackStack(name: string): void {
    const stack = this.existing(name)
    if (!paused.includes(stack.status)) throw this.refusal(name, 'rolled back')
    this.log.push(`roll back ${name}`)
    this.goBack(stack)
  }

  continueUpdateRollback(name: string): void {
    const stack = this.existing(name)
    if (stack.status !== 'UPDATE_ROLLBACK_FAILED') throw this.refusal(name, 'rolled back')
    this.log.push(`continue rollback ${name}`)
    this.goBack(stack)
  }

  deleteStack(name: string): void {
    const stack = this.stacks.get(name)
    if (!stack) return
    if (stack.status in ends) throw this.refusal(name, 'deleted')
    this.log.push(`delete ${name}`)
    if (this.fails('delete', name)) {
      stack.status = 'DELETE_FAILED'
      return
    }
    this.lost.push(...stack.data)
    this.stacks.delete(name)
  }

  private goBack(stack: Stack): void {
    const failed = this.fails('rollback', stack.name)
    if (stack.whole) stack.status = failed ? 'UPDATE_ROLLBACK_FAILED' : 'UPDATE_ROLLBACK_COMPLETE'
    else {
      stack.status = failed ? 'ROLLBACK_FAILED' : 'ROLLBACK_COMPLETE'
      if (!failed) this.lost.push(...stack.data.splice(0))
    }
  }

  private fails(operation: Operation, name: string): boolean {
    return this.failing.delete(`${operation} ${name}`)
  }

  private existing(name: string): Stack {
    const stack = this.stacks.get(name)
    if (!stack) throw new Refusal(`Stack with id ${name} does not exist`)
    return stack
  }

  private refusal(name: string, done: string): Refusal {
    return new Refusal(`Stack:${name} is in ${this.existing(name).status} state and can not be ${done}.`)
  }
}
