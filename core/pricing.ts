/**
 * Metering: every kind of work is counted in one unit, so that an ask is one number and matching can be indexed.
 *
 * | kind                              | unit                                              |
 * |-----------------------------------|---------------------------------------------------|
 * | llm.chat                          | one output token; an input token counts a quarter |
 * | text.embed                        | four bytes of UTF-8 text, about one token         |
 * | doc.ocr                           | one page                                          |
 * | image.upscale                     | one pixel of the image that goes in               |
 * | wasi.run, container.run, gpu.exec | one second that it may run, used or not           |
 */
import { parseAmount } from './money.ts'
import { programSeconds } from './program-limits.ts'
import type { InputOf, Kind, ProgramKind, Usage } from './protocol/work.ts'
import { pixelsOf } from './upscale.ts'

const INPUT_TOKENS_A_UNIT = 4
const BYTES_A_TOKEN = 4
/** Output tokens reserved for a chat that names no limit. */
const DEFAULT_MAX_TOKENS = 512
/** Tokens a chat template may add around one message. */
const TEMPLATE_TOKENS = 16

/** Units as people see them, and the most a task pays for one when its requester names no ceiling (base units). */
export const UNITS: Record<Kind, { unit: string; perMillion: boolean; defaultBid: bigint }> = {
  'llm.chat': { unit: 'output token', perMillion: true, defaultBid: parseAmount('0.00001') },
  'text.embed': { unit: 'token', perMillion: true, defaultBid: parseAmount('0.000001') },
  'doc.ocr': { unit: 'page', perMillion: false, defaultBid: parseAmount('0.01') },
  'image.upscale': { unit: 'pixel', perMillion: true, defaultBid: parseAmount('0.0000001') },
  'wasi.run': { unit: 'second', perMillion: false, defaultBid: parseAmount('0.0001') },
  'container.run': { unit: 'second', perMillion: false, defaultBid: parseAmount('0.0001') },
  'gpu.exec': { unit: 'second', perMillion: false, defaultBid: parseAmount('0.002') },
}

/** The most units a task can come to, known before it runs. A token is never shorter than a byte of its text. */
export function maxUnits(kind: Kind, input: unknown): number {
  switch (kind) {
    case 'llm.chat': {
      const chat = input as InputOf<'llm.chat'>
      const { messages, tools, response_format, n = 1 } = chat
      // Tools and a schema stand in the prompt too.
      const read = [messages, tools, response_format].filter((part) => part !== undefined)
      const inputTokens =
        read.reduce<number>((sum, part) => sum + utf8Length(JSON.stringify(part)), 0) +
        TEMPLATE_TOKENS * messages.length
      return Math.ceil(inputTokens / INPUT_TOKENS_A_UNIT) + n * maxTokens(chat)
    }
    case 'text.embed':
      return embedUnits((input as InputOf<'text.embed'>).texts)
    case 'doc.ocr':
      return 1
    case 'image.upscale':
      return pixelsOf((input as InputOf<'image.upscale'>).image)
    case 'wasi.run':
    case 'container.run':
    case 'gpu.exec':
      return programSeconds(input as InputOf<ProgramKind>)
  }
}

/** The most tokens one choice of a chat may come to. */
export const maxTokens = (chat: Pick<InputOf<'llm.chat'>, 'max_tokens' | 'max_completion_tokens'>): number =>
  chat.max_tokens ?? chat.max_completion_tokens ?? DEFAULT_MAX_TOKENS

/** True when the edge knows a task's units from its input alone; what the provider reports does not count then. */
export const isMeteredByInput = (kind: Kind): boolean => kind !== 'llm.chat'

/** The units to pay for, from what the provider reports; never more than `limit`, which was held. */
export function meter(kind: Kind, usage: Usage, limit: number): number {
  if (isMeteredByInput(kind)) return limit
  return Math.min(Math.ceil(usage.inputTokens / INPUT_TOKENS_A_UNIT) + usage.outputTokens, limit)
}

function embedUnits(texts: string[]): number {
  return texts.reduce((units, text) => units + Math.ceil(utf8Length(text) / BYTES_A_TOKEN), 0)
}

/** Bytes of a text in UTF-8, counted from its UTF-16 code units. */
export function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    // A surrogate is half of a four-byte character.
    length += unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 1 : 2
  }
  return length
}
