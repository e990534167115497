import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'

const module = pathToFileURL(`${import.meta.dirname}/run.ts`).href

/** A run in a process of its own, which says where its folder is. */
function startRun(work: string) {
  const script = `
    import { writeFile } from 'node:fs/promises'
    import { setTimeout as wait } from 'node:timers/promises'
    import { inRun } from ${JSON.stringify(module)}
    await inRun(false, async (run) => {
      await writeFile(run.folder + '/file', '')
      console.log(run.folder)
      ${work}
    })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: `${import.meta.dirname}/../..`,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  return { child, ended, lines: createInterface(child.stdout)[Symbol.asyncIterator]() }
}

it('a run removes its folder when it ends', async () => {
  const { ended, lines } = startRun('')
  const { value: folder } = await lines.next()
  expect(await ended).toEqual([0, null])
  expect(folder).toContain('insighta-bench-')
  expect(existsSync(folder!)).toBe(false)
})

it('a run that is stopped waits for what still writes there, then removes its folder', async () => {
  const { child, ended, lines } = startRun(`
    run.onStop(async () => {
      await wait(50)
      await writeFile(run.folder + '/last', '')
      console.log('closed')
    })
    await new Promise((resolve, reject) => {
      run.stopped.addEventListener('abort', () => reject(run.stopped.reason))
      setInterval(() => {}, 1000)
    })`)
  const { value: folder } = await lines.next()
  child.kill('SIGINT')
  expect((await lines.next()).value).toBe('closed')
  expect(await ended).toEqual([130, null])
  expect(existsSync(folder!)).toBe(false)
})
