import { hostname } from 'node:os'
import { describe, expect, test } from 'vitest'
import { isOpen, isOwnHost, urlHost } from '../../../infra/local/hosts.ts'

describe('a Host header', () => {
  test.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST:4000', '[::1]:4000'])(
    'of loopback is served, whatever is listened on: %s',
    (header) => {
      for (const host of [undefined, '192.168.1.20', 'box.lan', '0.0.0.0', '::'])
        expect(isOwnHost(header, host)).toBe(true)
    },
  )

  test.each([
    ['192.168.1.20', '192.168.1.20:4000'],
    ['box.lan', 'Box.lan:4000'],
    ['fd00::20', '[fd00::20]:4000'],
    ['0.0.0.0', '192.168.1.20'],
    ['::', '[fd00::20]'],
    ['0.0.0.0', `${hostname()}:4000`],
  ])('of what %s opens is served: %s', (host, header) => {
    expect(isOwnHost(header, host)).toBe(true)
    expect(isOwnHost(header)).toBe(false)
  })

  // A name can be made to lead anywhere, so that none but its own is this machine's.
  test.each([
    undefined,
    '',
    'rebound.example',
    'rebound.example:4000',
    '127.0.0.1.rebound.example',
    '127.0.0.1@rebound.example',
    '[rebound.example]',
    'localhost:4000:4000',
    '192.168.1.21',
  ])('of another is refused: %s', (header) => {
    for (const host of [undefined, '192.168.1.20', 'box.lan']) expect(isOwnHost(header, host)).toBe(false)
    if (header !== '192.168.1.21') expect(isOwnHost(header, '0.0.0.0')).toBe(false)
  })
})

describe('what is listened on', () => {
  test.each([
    ['127.0.0.1', false, '127.0.0.1'],
    ['localhost', false, 'localhost'],
    ['::1', false, '[::1]'],
    ['0.0.0.0', true, '127.0.0.1'],
    ['::', true, '127.0.0.1'],
    ['192.168.1.20', true, '192.168.1.20'],
    ['fd00::20', true, '[fd00::20]'],
    ['box.lan', true, 'box.lan'],
  ])('at %s is open to others or not, and has its place in a URL', (host, open, inUrl) => {
    expect(isOpen(host)).toBe(open)
    expect(urlHost(host)).toBe(inUrl)
  })
})
