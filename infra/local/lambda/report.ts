import { randomBytes } from 'node:crypto'
import type { InvokeResult } from './environment.ts'

export type EndedInvocation = {
  requestId: string
  durationMs: number
  /** Of the first invocation of an environment only. */
  initMs: number | undefined
  memoryMb: number
  /** Undefined when the process is gone already. */
  peakMemoryMb: number | undefined
  result: InvokeResult
}

/** The line that Lambda writes before the function's own. */
export function startLine(requestId: string): string {
  return `START RequestId: ${requestId} Version: $LATEST`
}

/** The lines that Lambda writes after it; what the platform killed has left none of its own to say why. */
export function endLines(ended: EndedInvocation): string[] {
  const { requestId, durationMs, initMs, memoryMb, peakMemoryMb, result } = ended
  const report = [
    `REPORT RequestId: ${requestId}`,
    `Duration: ${durationMs.toFixed(2)} ms`,
    `Billed Duration: ${Math.ceil(durationMs + (initMs ?? 0))} ms`,
    `Memory Size: ${memoryMb} MB`,
    ...(peakMemoryMb === undefined ? [] : [`Max Memory Used: ${Math.ceil(peakMemoryMb)} MB`]),
    ...(initMs === undefined ? [] : [`Init Duration: ${initMs.toFixed(2)} ms`]),
  ].join('\t')
  return [...platformError(result), `END RequestId: ${requestId}`, report]
}

function platformError({ payload, functionError }: InvokeResult): string[] {
  if (functionError === undefined) return []
  const { errorType, errorMessage } = JSON.parse(payload) as { errorType?: unknown; errorMessage?: unknown }
  const isPlatforms = ['Sandbox.Timedout', 'Runtime.ExitError', 'Function.ResponseSizeTooLarge'].includes(
    String(errorType),
  )
  return isPlatforms ? [`${new Date().toISOString()} ${String(errorMessage)}`] : []
}

/** https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader */
export function traceHeader(): string {
  const seconds = Math.floor(Date.now() / 1000).toString(16)
  return `Root=1-${seconds}-${randomBytes(12).toString('hex')};Parent=${randomBytes(8).toString('hex')};Sampled=0`
}
