/*
 * LiveKit's chat history: https://docs.livekit.io/agents/logic/chat-context/. Its items are messages with a role
 * and a list of contents, and calls of functions, handoffs and the like, which nobody says.
 */

type Item = Record<string, unknown>

/** Under what name a list of turns may stand, or an object that has it. */
const listNames = ['turns', 'items', 'messages', 'chat_history', 'history', 'chat_ctx'] as const
/** Instructions to the agent: nobody says them. */
const silentRoles: readonly unknown[] = ['system', 'developer']

export function isItem(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The list of turns in what an agent sends as its account; undefined if there is none. */
export function listOfTurns(account: unknown): unknown[] | undefined {
  if (Array.isArray(account)) return account
  if (!isItem(account)) return undefined
  for (const name of listNames) {
    const list = Object.hasOwn(account, name) ? listOfTurns(account[name]) : undefined
    if (list) return list
  }
  return undefined
}

/** Whether an item of a chat history is none that anybody says. */
export function isSilent(item: unknown): boolean {
  if (!isItem(item)) return false
  if (silentRoles.includes(item.role)) return true
  return (
    typeof item.type === 'string' &&
    item.type !== 'message' &&
    item.content === undefined &&
    item.text === undefined
  )
}

/** A turn in our own form, of one in that or in LiveKit's: role, list of contents, `created_at` in Unix seconds. */
export function turnOfItem(item: Item): Item {
  const { speaker, role, content, text, timestamp_sec, created_at } = item
  return {
    ...item,
    speaker: speaker ?? role,
    content: textOf(content) ?? textOf(text),
    timestamp_sec: timestamp_sec ?? (typeof created_at === 'number' ? created_at : undefined),
  }
}

/** Texts, and transcripts of what was spoken; pictures say nothing. */
function textOf(content: unknown): unknown {
  if (!Array.isArray(content)) return content ?? undefined
  const parts = content.map((part) => (isItem(part) ? (part.text ?? part.transcript) : part))
  return parts.filter((part) => typeof part === 'string' && part.trim() !== '').join('\n')
}
