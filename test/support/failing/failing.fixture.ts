import { expect, test } from 'vitest'

test('fails', () => {
  expect('green').toBe('red')
})
