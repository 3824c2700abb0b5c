import fc from 'fast-check'
import { expect, test } from 'vitest'
import { maxUnits, meter, UNITS, utf8Length } from '#core/pricing.ts'
import { KINDS } from '#core/protocol/work.ts'
import { holds } from '../support/property.ts'

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), fc.string())
const count = fc.nat(1e9)
const encoder = new TextEncoder()

test('the length of a text in UTF-8 is what an encoder makes of it', () => {
  holds(
    fc.property(text, (text) => utf8Length(text) === encoder.encode(text).length),
    2000,
  )
  for (const known of ['', 'a', 'é', '€', '𝄞', '👩‍🚀', '\u0000', '\ud7ff\ue000\uffff']) {
    expect(utf8Length(known)).toBe(encoder.encode(known).length)
  }
})

test('no work is ever metered above what was held for it, nor below nothing', () => {
  holds(
    fc.property(fc.constantFrom(...KINDS), count, count, count, (kind, inputTokens, outputTokens, limit) => {
      const units = meter(kind, { inputTokens, outputTokens }, limit)
      expect(units).toBeLessThanOrEqual(limit)
      expect(units).toBeGreaterThanOrEqual(0)
      expect(Number.isInteger(units)).toBe(true)
    }),
  )
})

test('what is held for a chat covers it when each token is a byte or more and the output keeps to its limit', () => {
  const messages = fc.array(fc.record({ role: fc.constant('user' as const), content: text }), {
    minLength: 1,
    maxLength: 5,
  })
  holds(
    fc.property(messages, fc.integer({ min: 1, max: 5000 }), fc.nat(), (messages, max_tokens, some) => {
      const bytes = messages.reduce((sum, { content }) => sum + encoder.encode(content).length, 0)
      const usage = { inputTokens: bytes, outputTokens: some % (max_tokens + 1) }
      const most = maxUnits('llm.chat', { messages, max_tokens })
      expect(meter('llm.chat', usage, Number.POSITIVE_INFINITY)).toBeLessThanOrEqual(most)
    }),
  )
})

test('a chat costs its output tokens and a quarter of its input tokens', () => {
  expect(meter('llm.chat', { inputTokens: 8, outputTokens: 5 }, 1000)).toBe(7)
  expect(meter('llm.chat', { inputTokens: 9, outputTokens: 5 }, 1000)).toBe(8)
  expect(meter('llm.chat', { inputTokens: 9, outputTokens: 5 }, 6)).toBe(6)
})

test('a chat that names no limit reserves one', () => {
  const messages = [{ role: 'user', content: 'hi' }]
  const bare = maxUnits('llm.chat', { messages })
  expect(bare).toBe(maxUnits('llm.chat', { messages, max_tokens: 512 }))
  expect(bare).toBeGreaterThan(maxUnits('llm.chat', { messages, max_tokens: 511 }))
})

test('embeddings and pages cost what the edge counts, whatever the provider says', () => {
  expect(maxUnits('text.embed', { texts: ['abcd', 'abcde', '€'] })).toBe(1 + 2 + 1)
  expect(maxUnits('doc.ocr', { image: 'AAAA', mediaType: 'image/png' })).toBe(1)
  for (const kind of ['text.embed', 'doc.ocr'] as const) {
    expect(meter(kind, { inputTokens: 1e9, outputTokens: 1e9 }, 4)).toBe(4)
    expect(meter(kind, { inputTokens: 0, outputTokens: 0 }, 4)).toBe(4)
  }
})

test('every kind has a unit and a price to pay for it', () => {
  for (const kind of KINDS) {
    expect(UNITS[kind].unit).not.toBe('')
    expect(UNITS[kind].defaultBid > 0n).toBe(true)
  }
})
