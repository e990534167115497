import { readFileSync } from 'node:fs'

/** Resident memory of a process in MiB: now, and its peak since it started. */
export type MemoryUse = { currentMb: number; peakMb: number }

const pollMs = 100

/** Reads `/proc/<pid>/status`, in about 20 us; undefined once the process is gone and on systems without /proc. */
export function readMemory(pid: number): MemoryUse | undefined {
  let status: string
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return undefined
  }
  const kilobytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1])
  const currentMb = kilobytes('VmRSS') / 1024
  const peakMb = kilobytes('VmHWM') / 1024
  // A zombie has no Vm lines.
  return Number.isFinite(currentMb) && Number.isFinite(peakMb) ? { currentMb, peakMb } : undefined
}

/**
 * Calls `onExceeded` once when the process holds more than `limitMb`, looking every 100 ms. The returned
 * function ends the watch.
 */
export function watchMemory(pid: number, limitMb: number, onExceeded: () => void): () => void {
  const timer = setInterval(() => {
    const use = readMemory(pid)
    if (use === undefined || use.currentMb <= limitMb) return
    clearInterval(timer)
    onExceeded()
  }, pollMs)
  return () => clearInterval(timer)
}
