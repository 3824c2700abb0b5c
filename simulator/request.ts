import type { TaskRequest } from '#core/request.ts'

/** What is a task's own among chats that ask for nothing but a low price, and may take a day. */
type Own = Pick<TaskRequest, 'model' | 'input' | 'bid' | 'maxUnits'>

export const cheapChat = (own: Own): TaskRequest => ({
  kind: 'llm.chat',
  ...own,
  variant: null,
  bytes: 100,
  preference: 'cheapest',
  minReputation: 0,
  minContext: 0,
  region: null,
  exclude: [],
  deadlineMs: 86_400_000,
  maxAttempts: 3,
  stream: false,
})
