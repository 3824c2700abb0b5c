import type { InputOf } from '#core/protocol/work.ts'

type Messages = InputOf<'llm.chat'>['messages']

/** The text of a chat's messages as UTF-8 for a model that goes on with it: the last `limit` bytes, whole characters. */
export function continuation(messages: Messages, limit: number): Uint8Array {
  const bytes = Buffer.from(messages.map(textOf).filter(Boolean).join('\n'))
  let start = Math.max(bytes.length - limit, 0)
  // A byte 10xxxxxx goes on with a character that was cut.
  while (start > 0 && start < bytes.length && (bytes[start]! & 0xc0) === 0x80) start++
  return bytes.subarray(start)
}

/** The text of a message, whatever else it holds. */
export function textOf({ content }: Messages[number]): string {
  if (typeof content === 'string') return content
  return (content ?? []).map((part) => (typeof part.text === 'string' ? part.text : '')).join('')
}
