import { notBefore1970 } from './instant.ts'

/** When a profile was created: at or after the one, before the other. UTC, in milliseconds. */
export type CreationBounds = { created_after?: string | undefined; created_before?: string | undefined }

/** Whether no moment is within the bounds. */
export function isCrossed({ created_after: after, created_before: before }: CreationBounds): boolean {
  return after !== undefined && before !== undefined && Date.parse(after) >= Date.parse(before)
}

/** Bounds before 1970 as such of 1970: no id knows an earlier moment. One that excludes no profile is dropped. */
export function canonicalCreation({ created_after, created_before }: CreationBounds): {
  created_after?: string
  created_before?: string
} {
  return {
    ...(created_after !== undefined && Date.parse(created_after) > 0 && { created_after }),
    ...(created_before !== undefined && { created_before: notBefore1970(created_before) }),
  }
}

/** The lowest version 7 UUID of a moment from 1970 on: the ids of all that was created before it are lower. */
export function lowestId(instant: string): string {
  const hex = Date.parse(instant).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}
