import * as z from 'zod'
import { requiredEnv } from '../platform/config.ts'
import type { Sql } from '../platform/db.ts'
import { logger } from '../platform/log.ts'
import { env } from '../platform/names.ts'
import type { CallOptions } from '../platform/outside.ts'
import { callRemote } from '../platform/remote.ts'
import { claimRoom, forgetRoom, noteRoomFailure, type RoomToClose } from './rooms-store.ts'

export type Rooms = {
  /**
   * Puts everybody out of a room and ends it; one that is not there is closed. Rejects with
   * UpstreamUnavailableError or RetryLaterError if LiveKit does not do it now, with UpstreamRefusedError or
   * ConfigurationError until an operator mends that.
   */
  close(room: string, options?: CallOptions): Promise<void>
}

/** What the livekit function is sent, and returns. */
export const closeRoomSchema = z.strictObject({ room: z.string().min(1).max(256) })
export const closedRoomSchema = z.strictObject({ closed: z.string() })

/** As log lines and metrics call it. */
export const closeName = 'Close room'

/** The livekit function, for functions that have no way out to the internet. */
export function roomsFromEnvironment(): Rooms {
  const functionName = requiredEnv(env.livekitFunctionName)
  return {
    async close(room, options) {
      const call = { functionName, name: closeName, request: { room }, result: closedRoomSchema }
      await callRemote(call, options)
    },
  }
}

export type ClosingContext = { sql: Sql; rooms: Rooms; remainingMs(): number }

/** After which a room is left to LiveKit, which ends one that nobody is in. */
const givenUpAfterMs = 24 * 60 * 60 * 1000

/**
 * Closes the rooms that are due, one after the other while there is time. Stops where LiveKit fails, since it
 * would at the others too. Returns how many were closed.
 */
export async function closeDueRooms(context: ClosingContext): Promise<number> {
  for (let closed = 0; ; closed++) {
    if (context.remainingMs() <= 0) return closed
    const room = await claimRoom(context.sql)
    if (!room || !(await close(context, room))) return closed
  }
}

/**
 * Tries to close a room that was asked for and committed, so that no one waits for the sweep. Never rejects: what
 * fails is logged and left to the sweep.
 */
export async function closeRoomNow(context: ClosingContext, interviewId: string): Promise<void> {
  try {
    const room = await claimRoom(context.sql, interviewId)
    if (room) await close(context, room)
  } catch (error) {
    logger.warn('Closing a room is left to the sweep', { error: error as Error })
  }
}

async function close({ sql, rooms, remainingMs }: ClosingContext, room: RoomToClose): Promise<boolean> {
  try {
    await rooms.close(room.interview_id, { remainingMs })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (Date.now() - room.requested_at.getTime() > givenUpAfterMs) {
      logger.error('A room could not be closed for a day and is given up', { error: error as Error })
      await forgetRoom(sql, room)
    } else {
      logger.warn('A room could not be closed yet', { error: error as Error, attempts: room.attempts })
      await noteRoomFailure(sql, room, message)
    }
    return false
  }
  await forgetRoom(sql, room)
  return true
}
