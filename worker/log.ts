/** Structured logs: one JSON object a line, ids and codes only; never a prompt, an output, a key or a token. */
type Fields = Record<string, string | number | boolean | null>

export function logError(event: string, error: unknown, fields: Fields = {}): void {
  const message = error instanceof Error ? error.message : String(error)
  console.error(JSON.stringify({ level: 'error', event, message, ...fields }))
}
