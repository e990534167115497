import { expect, it } from 'vitest'
import { elapsedClock } from '../../../lib/platform/clock.ts'

const at = { monotonic: 0, wall: 1_800_000_000_000 }
const clock = elapsedClock(
  () => at.monotonic,
  () => at.wall,
)
const pass = (monotonic: number, wall: number) => {
  at.monotonic += monotonic
  at.wall += wall
  return clock()
}

it('goes with both clocks, through a freeze of one, and not back with the other', () => {
  expect(pass(100, 100)).toBe(100)
  // Frozen for five minutes, of which the monotonic clock knows nothing.
  expect(pass(5, 300_000)).toBe(300_100)
  // The wall clock is set back by an hour.
  expect(pass(10, -3_600_000)).toBe(300_110)
  expect(pass(0, -1)).toBe(300_110)
  expect(pass(7, 7)).toBe(300_117)
})
