import { livekitFromEnvironment } from '../lib/interviews/livekit-rooms.ts'
import { closeRoomSchema } from '../lib/interviews/rooms.ts'
import { remoteFunction } from '../lib/platform/remote.ts'

const rooms = livekitFromEnvironment()

/**
 * Closes a room of LiveKit. It runs where there is a way out to the internet and none to the database; the
 * functions that end interviews invoke it.
 */
export const handler = remoteFunction(closeRoomSchema, async ({ room }, options) => {
  await rooms.close(room, options)
  return { closed: room }
})
