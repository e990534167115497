import type { RoomServiceClient } from 'livekit-server-sdk'
import * as z from 'zod'
import { requiredEnv } from '../platform/config.ts'
import { UpstreamUnavailableError } from '../platform/errors.ts'
import { env } from '../platform/names.ts'
import { createThirdParty, type ThirdPartyOptions } from '../platform/outside.ts'
import { secretJson } from '../platform/secrets.ts'
import { isTransientStatus } from '../platform/transient.ts'
import { livekitRefusal } from './refusals.ts'
import { closeName, type Rooms } from './rooms.ts'

export const livekitSecretSchema = z.object({
  api_key: z.string().min(1),
  api_secret: z.string().min(1),
  url: z.string().min(1),
})

/** LiveKit's API with the settings of the environment. The address is the secret's unless a variable has another. */
export function livekitFromEnvironment(): Rooms {
  const arn = requiredEnv(env.livekitSecretArn)
  return createLivekitRooms({
    async client(requestTimeout) {
      const { api_key, api_secret, url } = await secretJson(arn, livekitSecretSchema)
      const { RoomServiceClient } = await import('livekit-server-sdk')
      const address = process.env[env.livekitUrl] || url
      // Retries are createThirdParty's.
      return new RoomServiceClient(address, api_key, api_secret, { requestTimeout, failover: false })
    },
  })
}

export type LivekitOptions = Pick<ThirdPartyOptions, 'timeout' | 'retry'> & {
  client(timeoutSeconds: number): Promise<Pick<RoomServiceClient, 'deleteRoom'>>
}

/** Closes rooms by LiveKit's API. */
export function createLivekitRooms({ client, timeout = 5000, retry }: LivekitOptions): Rooms {
  const party = createThirdParty({ service: 'LiveKit', timeout, retry: { jitter: 'full', ...retry } })
  return {
    async close(room, options) {
      const livekit = await client(timeout / 1000)
      await party.call(
        closeName,
        async (signal) => {
          try {
            // The SDK takes no signal: what it is doing then ends by its own timeout, unheard.
            await Promise.race([livekit.deleteRoom(room), aborted(signal)])
          } catch (error) {
            const refusal = twirpError(error)
            // No such room: it was closed, or nobody came.
            if (refusal?.code !== 'not_found') throw refusal ? livekitError(refusal) : error
          }
        },
        options,
      )
    },
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

type TwirpError = { status: number; code?: string | undefined }

/** https://twitchtv.github.io/twirp/docs/spec_v7.html#error-codes */
function twirpError(error: unknown): TwirpError | undefined {
  if (!(error instanceof Error) || !('status' in error) || typeof error.status !== 'number') return undefined
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return { status: error.status, code }
}

function livekitError({ status, code }: TwirpError): Error {
  const name = code !== undefined && /^\w{1,60}$/.test(code) ? code : 'unnamed'
  if (isTransientStatus(status)) return new UpstreamUnavailableError(`LiveKit answered ${status} (${name})`)
  return livekitRefusal(status, name)
}
