import { type RefusalSubject, UpstreamRefusedError } from '../platform/errors.ts'

/*
 * What third parties refuse, told apart in one place: our account there, which an operator can mend, or the request
 * itself. What is taken for the account's fault by mistake is tried again once more than needed; the other way round
 * work would be left behind. So where a sign speaks for the account it is believed.
 */

/**
 * Unauthorized, payment required, forbidden, not found (a retired model, a wrong address), method not allowed, proxy
 * authentication required, gone, unavailable for legal reasons (an account under review).
 */
const accountStatuses = new Set([401, 402, 403, 404, 405, 407, 410, 451])

function subject(status: number, isAccountSign: boolean): RefusalSubject {
  return isAccountSign || accountStatuses.has(status) ? 'account' : 'request'
}

/** What Google says of a call: https://google.aip.dev/193 */
export type GoogleError = {
  /** As `INVALID_ARGUMENT`. */
  status: string
  message: string
  details: readonly { '@type': string; domain?: string | undefined }[]
}

/** 400 too: no billing in this country, or the location of the caller. https://ai.google.dev/gemini-api/docs/troubleshooting */
const accountCodes = new Set(['FAILED_PRECONDITION', 'PERMISSION_DENIED', 'UNAUTHENTICATED'])
const errorInfo = 'type.googleapis.com/google.rpc.ErrorInfo'
/** Of google.api.ErrorReason: keys, consumers, billing, services that are not enabled. */
const accountDomain = 'googleapis.com'

/** A refusal by Gemini. A key that is wrong or has expired is a 400 INVALID_ARGUMENT. */
export function geminiRefusal(httpStatus: number, error: GoogleError): UpstreamRefusedError {
  const { status, message, details } = error
  const isKeyNamed = details.some((each) => each['@type'] === errorInfo && each.domain === accountDomain)
  const isAccountSign = accountCodes.has(status) || isKeyNamed || /\bAPI key\b/i.test(message)
  return new UpstreamRefusedError('Gemini', `${httpStatus} ${status}`, subject(httpStatus, isAccountSign))
}

/**
 * Keys, the sender, and quotas that Resend reports by 429 and that do not pass within the attempts at an e-mail.
 * https://resend.com/docs/api-reference/errors
 */
const accountNames = new Set([
  'missing_api_key',
  'invalid_api_key',
  'restricted_api_key',
  'invalid_access',
  'invalid_from_address',
  'invalid_region',
  'monthly_quota_exceeded',
  'daily_quota_exceeded',
  'security_error',
])

/** Whether a quota of the account is spent, although the status says that it may pass. */
export function isSpentQuota(name: string): boolean {
  return name === 'monthly_quota_exceeded' || name === 'daily_quota_exceeded'
}

/** A refusal by Resend. A wrong key, an unverified domain and a bad sender are validation errors, too. */
export function resendRefusal(httpStatus: number, name: string, message: string): UpstreamRefusedError {
  const isAccountSign =
    accountNames.has(name) || /\bAPI key\b|`from`|\bdomain is not verified\b/i.test(message)
  // In our words: Resend's may quote the address.
  const about = !isAccountSign && message.includes('`to`') ? ': it does not take the address' : ''
  return new UpstreamRefusedError(
    'Resend',
    `${httpStatus} ${name}${about}`,
    subject(httpStatus, isAccountSign),
  )
}

/** A refusal by LiveKit. */
export function livekitRefusal(httpStatus: number, code: string): UpstreamRefusedError {
  return new UpstreamRefusedError('LiveKit', `${httpStatus} ${code}`, subject(httpStatus, false))
}
