import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createCircuit } from '../../../lib/platform/circuit.ts'
import { UnavailableError, UpstreamInvalidError } from '../../../lib/platform/errors.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 })
})
afterEach(() => {
  vi.useRealTimers()
})

const out = () => Promise.reject(new UnavailableError('out'))

async function fail(circuit: ReturnType<typeof createCircuit>, times: number, call = out) {
  for (let i = 0; i < times; i++) await circuit.run(call).catch(() => {})
}

it('calls a third party no more after five failures in a row, and one time after ten seconds', async () => {
  const circuit = createCircuit('Agify')
  await fail(circuit, 5)
  const call = vi.fn(out)
  vi.setSystemTime(2500)
  await expect(circuit.run(call)).rejects.toMatchObject({
    name: 'RetryLaterError',
    waitSeconds: 8,
    cause: new UnavailableError('out'),
  })
  expect(call).not.toHaveBeenCalled()
  vi.setSystemTime(10_000)
  await expect(circuit.run(call)).rejects.toThrow('out')
  await expect(circuit.run(call)).rejects.toMatchObject({ waitSeconds: 10 })
  expect(call).toHaveBeenCalledTimes(1)
  vi.setSystemTime(20_000)
  expect(await circuit.run(async () => 'back')).toBe('back')
  expect(await circuit.run(async () => 'back')).toBe('back')
})

it('counts failures in a row only, and neither refusals nor calls that were called off', async () => {
  const circuit = createCircuit('Agify')
  await fail(circuit, 4)
  await circuit.run(async () => 'fine')
  await fail(circuit, 4)
  await fail(circuit, 9, () => Promise.reject(new UpstreamInvalidError('Agify')))
  const off = AbortSignal.abort(new Error('off'))
  for (let i = 0; i < 9; i++) await expect(circuit.run(out, off)).rejects.toThrow('out')
  expect(await circuit.run(async () => 'fine')).toBe('fine')
})
