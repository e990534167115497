import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// Its input ends when this process does, however it ends. What was told to stop at the same moment may write
// for a while: a database its checkpoint, a worker its next folder.
const script = `
trap '' INT TERM HUP
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$1"
  sleep 0.3
done
`

/**
 * Puts every temporary file of the run, also those of its workers and of all that they start, into one folder
 * that goes when this process ends, even by SIGKILL. Names what its tests left there. To be called before
 * anything is started.
 */
export function useRunFolder(): void {
  // The configuration is read again in watch mode.
  if (process.env.INSIGHTA_TEST_FOLDER) return
  const folder = mkdtempSync(join(tmpdir(), 'insighta-test-'))
  // Under root PostgreSQL runs as another user, who must be able to pass through to its own folder.
  chmodSync(folder, 0o711)
  process.env.INSIGHTA_TEST_FOLDER = folder
  process.env.TMPDIR = folder
  const cleaner = spawn('/bin/sh', ['-c', script, 'insighta-test-cleaner', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  cleaner.stdin.on('error', () => {})
  cleaner.unref()
  process.on('exit', (code) => {
    // npm and vitest keep compiled code in the temporary folder.
    const left = readdirSync(folder).filter((name) => name !== 'node-compile-cache')
    if (code === 0 && left.length > 0) console.warn(`Tests left temporary files: ${left.join(', ')}`)
  })
}
