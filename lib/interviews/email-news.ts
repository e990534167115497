import type { EmailState } from './email-store.ts'
import type { Failure } from './failure.ts'
import type { SuppressionReason } from './suppressions.ts'
import { storable } from './text.ts'

/** What Resend tells of an e-mail, beside its type. */
export type NewsDetail = {
  bounce?: { type: string; subType?: string | undefined; message?: string | undefined } | undefined
  suppressed?: { type?: string | undefined; message?: string | undefined } | undefined
  failed?: { reason?: string | undefined } | undefined
}

/**
 * What each event makes of an e-mail. In whatever order they come, the last of these that was told stays: a
 * complaint follows a delivery, and a delivery that is told late does not undo a bounce.
 */
const stateOfEvent = new Map<string, EmailState>([
  ['email.sent', 'sent'],
  ['email.delivery_delayed', 'delayed'],
  ['email.delivered', 'delivered'],
  ['email.failed', 'failed'],
  ['email.suppressed', 'suppressed'],
  ['email.bounced', 'bounced'],
  ['email.complained', 'complained'],
])
export const stateOrder = [...stateOfEvent.values()]

/** Bounces that no mailbox made: the address is on a list of Resend's, or of Amazon's behind it. */
const listed = new Set(['Suppressed', 'OnAccountSuppressionList'])

export type News = {
  state: EmailState
  failure: Failure | null
  /** Why nothing more is to be sent to the address; undefined if that may be tried again. */
  suppresses?: SuppressionReason
}

/** What an event says of an e-mail; undefined if it says nothing that counts. */
export function newsOf(type: string, { bounce, suppressed, failed }: NewsDetail): News | undefined {
  const state = stateOfEvent.get(type)
  if (state === 'bounced' && listed.has(bounce?.subType ?? '')) {
    return notSent({ type: bounce?.subType, message: bounce?.message })
  }
  switch (state) {
    case 'suppressed':
      return notSent(suppressed ?? {})
    case 'bounced': {
      const message = saying('The mailbox refused it', [bounce?.type, bounce?.subType], bounce?.message)
      const failure = { code: 'bounced', message }
      return { state, failure, ...(bounce?.type === 'Permanent' && { suppresses: 'bounced' as const }) }
    }
    case 'complained':
      return {
        state,
        failure: { code: 'complained', message: 'The reader called it spam' },
        suppresses: state,
      }
    case 'failed': {
      const message = saying('Resend could not send the e-mail', [], failed?.reason)
      return { state, failure: { code: 'not_sent', message } }
    }
    default:
      return state && { state, failure: null }
  }
}

function notSent({ type, message }: { type?: string | undefined; message?: string | undefined }): News {
  return {
    state: 'suppressed',
    failure: {
      code: 'suppressed_by_provider',
      message: saying('Resend sends nothing to this address', [type], message),
      service: 'resend',
    },
    suppresses: 'provider',
  }
}

function saying(what: string, kinds: readonly (string | undefined)[], words: string | undefined): string {
  const named = kinds.flatMap((kind) => withoutAddresses(kind ?? '', 60) || [])
  const said = withoutAddresses(words ?? '', 500)
  return `${what}${named.length > 0 ? ` (${named.join(', ')})` : ''}${said && `: ${said}`}`
}

/** A text of somebody else's on one line, cut, with no address in it: mail servers like to quote those. */
function withoutAddresses(text: string, most: number): string {
  const words = storable(text).split(/[\s\p{Cc}]+/u)
  const kept = words.map((word) => (/@|＠|%40/.test(word) ? '[address]' : word))
  return storable(kept.join(' ').trim().slice(0, most))
}

const whys: Record<SuppressionReason, string> = {
  bounced: 'an e-mail to it was refused for good',
  complained: 'its reader called an e-mail spam',
  provider: 'Resend sends nothing to it',
}

/** Of an e-mail that is not sent because of what became of an earlier one. */
export function suppressedFailure({ reason }: { reason: SuppressionReason }): Failure {
  return { code: 'address_suppressed', message: `Nothing is sent to this address: ${whys[reason]}` }
}
