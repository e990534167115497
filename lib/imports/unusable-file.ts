import { InsightaError } from '../platform/errors.ts'
import type { Failure } from './report.ts'
import type { Learnt } from './store.ts'

/** Thrown when a file cannot be imported at all. The import fails with it; nothing has been written. */
export class UnusableFileError extends InsightaError {
  readonly failure: Failure
  /** What was learnt of the file before that showed. */
  readonly learnt: Learnt | undefined
  constructor(failure: Failure, learnt?: Learnt) {
    super(failure.message, { code: failure.code, status: 422 })
    this.failure = failure
    this.learnt = learnt
  }
}

export function notCsv(message: string): UnusableFileError {
  return new UnusableFileError({ code: 'not_csv', message })
}

export function unknownEncoding(message: string, learnt?: Learnt): UnusableFileError {
  return new UnusableFileError({ code: 'unknown_encoding', message }, learnt)
}
