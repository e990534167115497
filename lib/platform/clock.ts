/**
 * A clock in milliseconds that never goes back, and goes on while an execution environment is frozen. The
 * monotonic clock may stand still then (https://github.com/nodejs/node/issues/47724), and the wall clock may be
 * set back: whatever either says has passed since the last look has passed. Where they differ it runs fast, so
 * that what it says is too old may be younger, never the other way round.
 */
export function elapsedClock(
  monotonic: () => number = () => performance.now(),
  wall: () => number = () => Date.now(),
): () => number {
  let passed = 0
  let last = { monotonic: monotonic(), wall: wall() }
  return () => {
    const now = { monotonic: monotonic(), wall: wall() }
    passed += Math.max(now.monotonic - last.monotonic, now.wall - last.wall, 0)
    last = now
    return passed
  }
}
