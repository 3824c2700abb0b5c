/** Structured logs: one JSON object a line, ids and codes only; never a prompt, an output, a key or a token. */
type Fields = Record<string, string | number | boolean | null>

const MESSAGE_LENGTH = 500

export function logError(event: string, error: unknown, fields: Fields = {}): void {
  // What an error wraps says why; the wrapper of a failed query repeats all that was to be written.
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const message = reason instanceof Error ? reason.message : String(reason)
  console.error(JSON.stringify({ level: 'error', event, message: message.slice(0, MESSAGE_LENGTH), ...fields }))
}

/** By viem's short message: the full one names the RPC's URL, which may hold a key. */
export const summaryOf = (error: unknown): string =>
  (error as { shortMessage?: string }).shortMessage ?? (error as Error).message

/** A call to the chain failed; what needs it is tried again. */
export const logChainError = (error: unknown): void => logError('chain_unreachable', summaryOf(error))
