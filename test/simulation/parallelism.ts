import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { text } from 'node:stream/consumers'
import { sum } from './measure.ts'

/** Reads and writes JSON for half a second, which takes memory as well, and says how often in a second of its core. */
const busyLoop = `
const rows = JSON.stringify(Array.from({ length: 10000 }, (_, n) => ({ name: 'Person ' + n, age: n % 95 })))
const until = performance.now() + 500
const before = process.cpuUsage()
let rounds = 0
for (; performance.now() < until; rounds++) JSON.stringify(JSON.parse(rows))
const { user, system } = process.cpuUsage(before)
process.stdout.write(String(rounds / (user + system)))`

const tries = 3

/**
 * How much more processes get done at once, as many as there are cores, than one alone: less than their number
 * where cores share caches, memory or what is below them. Of each the best try, since others can only slow it.
 */
export async function measureParallelism(): Promise<number> {
  const cores = availableParallelism()
  let [alone, together] = [0, 0]
  for (let n = 0; n < tries; n++) {
    alone = Math.max(alone, await speed())
    together = Math.max(together, sum(await Promise.all(Array.from({ length: cores }, speed))))
  }
  return Math.min(cores, together / alone)
}

async function speed(): Promise<number> {
  const child = spawn(process.execPath, ['-e', busyLoop], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return Number(output)
}
