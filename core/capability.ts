/**
 * Which variant of a model a task needs: its digest, its precision, and what of the request it must honour. A field of an input
 * is never ignored in silence: either every provider of the kind honours it, or only those get the task that say they do.
 */
import type { Kind } from './protocol/work.ts'

/** What a task needs beyond its model; see `variantOf` in core/request.ts. */
export type Variant = {
  digest: string | null
  /** Bits of a weight, at least; 0 is no demand. */
  minBits: number
  capabilities: readonly string[]
}

const PROGRAM = ['args', 'stdin', 'files', 'outputs', 'seconds']
/** What every provider of a kind honours. */
const HONOURED: Record<Kind, readonly string[]> = {
  'llm.chat': ['messages', 'max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'stop', 'seed'],
  'text.embed': ['texts'],
  'doc.ocr': ['image', 'mediaType'],
  'image.upscale': ['image', 'mediaType'],
  'wasi.run': ['module', ...PROGRAM],
  'container.run': PROGRAM,
  'gpu.exec': PROGRAM,
}

/** Fields that change nothing of the answer, or mean nothing without another that is a demand. */
const INERT = new Set([
  ...['user', 'metadata', 'store', 'service_tier', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention'],
  ...['prediction', 'tool_choice', 'parallel_tool_calls', 'top_logprobs', 'function_call'],
])

/** Message parts that every provider honours. */
const TEXT_PARTS = new Set(['text', 'refusal'])

/** The capabilities that an input needs, named after the fields (or, in messages, the types of parts) that ask for them. */
export function capabilitiesNeeded(kind: Kind, input: Record<string, unknown>): string[] {
  const needed = new Set<string>()
  for (const [field, value] of Object.entries(input)) {
    if (field === 'messages') for (const need of messagesNeed(value as Message[])) needed.add(need)
    else if (field === 'response_format') needed.add((value as { type: string }).type)
    else if (!HONOURED[kind].includes(field) && !INERT.has(field) && !asksNothing(field, value)) needed.add(field)
  }
  needed.delete('text')
  return [...needed]
}

type Message = { role: string; content?: unknown; tool_calls?: unknown }

function* messagesNeed(messages: Message[]): Generator<string> {
  for (const { role, content, tool_calls } of messages) {
    if (role === 'tool' || asks(tool_calls)) yield 'tools'
    if (!Array.isArray(content)) continue
    for (const { type } of content as { type: string }[]) if (!TEXT_PARTS.has(type)) yield type
  }
}

const asks = (value: unknown): boolean => !asksNothing('', value)

/** Values by which clients leave a field at its default. */
function asksNothing(field: string, value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === 0) return true
  if (field === 'n') return value === 1
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** The field of a request that asks for a capability. */
export function fieldOf(capability: string): string {
  if (capability === 'json_object' || capability === 'json_schema') return 'response_format'
  return /^(image_url|input_audio|file|video_url)$/.test(capability) ? 'messages' : capability
}

/**
 * Bits of a weight by the name of a quantisation, as model servers name them (Q4_K_M, IQ2_XS, FP8, BF16, AWQ); null when the
 * name says nothing of it.
 */
export function bitsOf(quantization: string): number | null {
  const bits = /(?:^|[^a-z])(?:i?q|[bn]?fp?|mxfp|nvfp|int|w)(\d{1,2})(?!\d)/i.exec(quantization)?.[1]
  if (bits !== undefined) return Number(bits)
  return /awq|gptq/i.test(quantization) ? 4 : null
}

/** `name@digest` in its parts, or null when it names no digest. */
export function splitDigest(model: string): { model: string; digest: string } | null {
  const at = model.lastIndexOf('@')
  return at > 0 && at < model.length - 1 ? { model: model.slice(0, at), digest: model.slice(at + 1) } : null
}
