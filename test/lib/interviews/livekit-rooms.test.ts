import { describe, expect, it } from 'vitest'
import { createLivekitRooms } from '../../../lib/interviews/livekit-rooms.ts'
import { watchRetries } from '../../support/retries.ts'

const retries = watchRetries()

/** Rooms of a LiveKit that does so at each call. */
function rooms(...answers: (() => Promise<void>)[]) {
  const asked: string[] = []
  const deleteRoom = (room: string) => {
    asked.push(room)
    return answers[asked.length - 1]!()
  }
  const client = async () => ({ deleteRoom })
  return {
    asked,
    ...createLivekitRooms({ client, timeout: 50, retry: { jitter: 'none', clock: retries.clock } }),
  }
}
const done = async () => {}
/** As the SDK rejects. */
const fails = (status: number, code?: string) => async () => {
  throw Object.assign(new Error('room interview-1'), { status, code })
}

describe('closing a room', () => {
  it('is done at once, or once LiveKit answers', async () => {
    const { asked, close } = rooms(fails(503, 'unavailable'), () => new Promise(() => {}), done)
    await close('r1')
    expect(asked).toEqual(['r1', 'r1', 'r1'])
  })

  it('is done where there is no such room', async () => {
    const { asked, close } = rooms(fails(404, 'not_found'))
    await close('r1')
    expect(asked).toHaveLength(1)
  })

  it.each([
    [401, 'unauthenticated', 'account'],
    [403, 'permission_denied', 'account'],
    [404, 'bad_route', 'account'],
    [400, 'malformed', 'request'],
    [400, undefined, 'request'],
  ])('is refused by %i %s, which is about the %s', async (status, code, about) => {
    const { asked, close } = rooms(fails(status, code))
    const reason = `${status} ${code ?? 'unnamed'}`
    await expect(close('r1')).rejects.toMatchObject({ service: 'LiveKit', about, reason })
    expect(asked).toHaveLength(1)
  })

  it('is for later where LiveKit does not answer at all', async () => {
    const failed = async () => {
      throw new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') })
    }
    await expect(rooms(failed, failed, failed).close('r1')).rejects.toMatchObject({ status: 503 })
  })
})
