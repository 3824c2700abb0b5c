/** A stream that another attempt goes on with: what was delivered before, and what came after, as one. */
import type { Prefix, Usage } from './protocol/work.ts'

/** The whole output, from what was delivered before and an output whose text is only what follows. */
export function joinOutput(prefix: Prefix | undefined, output: Record<string, unknown>): Record<string, unknown> {
  if (!prefix || prefix.text === '') return output
  return { ...output, content: prefix.text + ((output.content as string | null) ?? '') }
}

export function joinUsage(prefix: Prefix | undefined, { inputTokens, outputTokens }: Usage): Usage {
  return { inputTokens, outputTokens: outputTokens + (prefix?.tokens ?? 0) }
}

/**
 * What of a watched output its reader does not have yet; null when it contradicts what the reader was told before, or leaves a gap.
 * @param offset where `delta` begins in the task's whole text
 */
export function freshText(told: string, { offset, delta }: { offset: number; delta: string }): string | null {
  const known = told.slice(offset, offset + delta.length)
  return offset <= told.length && delta.startsWith(known) ? delta.slice(known.length) : null
}
