import { spawn } from 'node:child_process'

/**
 * Kills process groups once this process is gone, even by SIGKILL. An environment whose handler blocks the
 * event loop could not notice by itself and would burn a core for ever.
 */
export type Reaper = {
  watch(group: number): void
  forget(group: number): void
  /** Ends the reaper, which kills the groups it still watches. */
  close(): Promise<void>
}

// Its input ends when the last holder of the pipe, this process, ends. Ctrl-C must not end it before that.
const script = `
trap '' INT TERM HUP
groups=' '
while read -r change group; do
  case $change in
    +) groups="$groups$group " ;;
    -) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
`

export function startReaper(): Reaper {
  const shell = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => resolve())
    shell.once('error', () => resolve())
  })
  // Without a shell, environments still end by themselves when their next poll fails.
  shell.stdin.on('error', () => undefined)
  shell.unref()
  return {
    watch: (group) => void shell.stdin.write(`+ ${group}\n`),
    forget: (group) => void shell.stdin.write(`- ${group}\n`),
    close() {
      shell.stdin.end()
      return ended
    },
  }
}
