/** Thrown where something has not answered in the time that it was given. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError'
}

/** What `work` answers. Rejects with NoAnswerError after so many milliseconds; the work goes on unheard. */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const error = new NoAnswerError(`No answer within ${milliseconds} ms`)
    timer = setTimeout(() => reject(error), milliseconds)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
