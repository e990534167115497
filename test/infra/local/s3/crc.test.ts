import { expect, test } from 'vitest'
import { createCrc32, createCrc32c, createCrc64Nvme } from '../../../../infra/local/s3/crc.ts'

// The check values of https://reveng.sourceforge.io/crc-catalogue/ for the digits 1 to 9.
test.each([
  ['CRC-32', createCrc32, 'cbf43926'],
  ['CRC-32C', createCrc32c, 'e3069283'],
  ['CRC-64/NVME', createCrc64Nvme, 'ae8b14860a799888'],
])('%s gives its check value, in one piece or several', (_name, create, check) => {
  const whole = create()
  whole.update(Buffer.from('123456789'))
  expect(whole.value().toString('hex')).toBe(check)
  const pieces = create()
  for (const piece of ['1', '', '2345', '6789']) pieces.update(Buffer.from(piece))
  expect(pieces.value().toString('hex')).toBe(check)
})
