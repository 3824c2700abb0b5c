import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addTexts, createJoint, textsOf } from '#core/chat-joint.ts'
import { createTold } from '#core/chat-told.ts'
import type { ChatPiece, ChatTexts } from '#core/protocol/chat-piece.ts'
import { holds } from '../support/property.ts'

const all = (pieces: ChatPiece[]): ChatTexts => pieces.map(textsOf).reduce(addTexts, {})

/** A text of a chat by where it is, cut into pieces at random. */
const textAt = (path: string, wrap: (text: string) => ChatPiece) =>
  fc
    .array(fc.string({ minLength: 1, maxLength: 4 }), { maxLength: 4 })
    .map((cuts) => ({ path, pieces: cuts.map(wrap) }))

const chat = fc.tuple(
  textAt('0.content', (content) => ({ index: 0, content })),
  textAt('1.content', (content) => ({ index: 1, content })),
  textAt('0.tool_calls.0.arguments', (text) => ({
    index: 0,
    tool_calls: [{ index: 0, function: { arguments: text } }],
  })),
  textAt('0.tool_calls.2.name', (name) => ({ index: 0, tool_calls: [{ index: 2, function: { name } }] })),
)
const piecesOf = fc.tuple(chat, chat, fc.nat(), fc.infiniteStream(fc.nat()))

/** The texts of a chat in one order or another, each in its own. */
function interleaved(texts: { pieces: ChatPiece[] }[], lots: Iterator<number>): ChatPiece[] {
  const left = texts.map(({ pieces }) => [...pieces])
  const order: ChatPiece[] = []
  for (;;) {
    const some = left.filter(({ length }) => length > 0)
    if (some.length === 0) return order
    order.push(some[lots.next().value % some.length]!.shift()!)
  }
}

test('whoever writes a chat again, in whatever pieces and order, adds exactly what was not told', () => {
  holds(
    fc.property(piecesOf, ([texts, , cut, lots]) => {
      const first = interleaved(texts, lots)
      const told = first.slice(0, cut % (first.length + 1))
      const joint = createJoint(all(told))
      const rest = interleaved(texts, lots).map((piece) => joint.push(piece))
      expect(rest).not.toContain(null)
      expect(joint.isWhole()).toBe(true)
      expect(addTexts(all(told), all(rest as ChatPiece[]))).toEqual(all(first))
      expect(joint.texts()).toEqual(all(first))
    }),
  )
})

test('whoever writes another chat is found out, by a piece or by what is missing, unless it tells all that was told', () => {
  holds(
    fc.property(piecesOf, ([texts, others, cut, lots]) => {
      const told = all(interleaved(texts, lots).slice(0, cut % 12))
      const joint = createJoint(told)
      const other = interleaved(others, lots)
      const isRefused = other.some((piece) => joint.push(piece) === null) || !joint.isWhole()
      const written = all(other)
      const agrees = Object.entries(told).every(([path, text]) => (written[path] ?? '').startsWith(text))
      expect(isRefused).toBe(!agrees)
    }),
  )
})

test('a call keeps its first name, thoughts may differ, and log probabilities go with texts that are wholly new', () => {
  const call = (id: string, text: string): ChatPiece => ({
    index: 0,
    tool_calls: [{ index: 0, id, type: 'function', function: { arguments: text } }],
  })
  const known = { '0.tool_calls.0.id': 'call_1', '0.tool_calls.0.arguments': '{"a"', '0.reasoning_content': 'I see' }
  const joint = createJoint(known)
  expect(joint.push(call('call_2', '{"a":'))).toEqual({
    index: 0,
    tool_calls: [{ index: 0, function: { arguments: ':' } }],
  })
  for (const reasoning_content of ['I do', ' see', '...'])
    expect(joint.push({ index: 0, reasoning_content })).toEqual({ index: 0 })
  expect(joint.isWhole()).toBe(true)
  expect(joint.texts()).toMatchObject({ '0.tool_calls.0.id': 'call_1', '0.reasoning_content': 'I see' })

  const logprobs = { content: [{ token: 'x' }] }
  const spoken = createJoint({ '0.content': 'ab' })
  expect(spoken.push({ index: 0, content: 'ab', logprobs })).toEqual({ index: 0 })
  expect(spoken.push({ index: 0, content: 'c', logprobs })).toEqual({ index: 0, content: 'c', logprobs })
  expect(createJoint({ '0.content': 'ab' }).push({ index: 0, content: 'abc', logprobs })).toBe(null)
})

test('a reader is told each piece once: over attempts that go on, that begin anew, and at the end', () => {
  const output = (attempt: number, beside: ChatPiece, besideOffset: number) =>
    ({ type: 'output', attempt, index: 0, offset: 0, delta: '', beside, besideOffset }) as const
  const bits = (text: string): ChatPiece => ({ index: 0, tool_calls: [{ index: 0, function: { arguments: text } }] })
  const told = createTold()
  expect(told.take(output(1, bits('{"a'), 0))).toEqual([bits('{"a')])
  expect(told.take(output(2, bits('":'), 3))).toEqual([bits('":')])
  expect(told.take(output(3, bits('{"a":1'), 0))).toEqual([bits('1')])
  const whole = (text: string) => ({
    content: null,
    finishReason: 'tool_calls',
    tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: text } }],
  })
  expect(told.rest(whole('{"b":1}'))).toBe(null)
  expect(told.rest(whole('{"a":1}'))).toEqual([
    { index: 0, tool_calls: [{ index: 0, id: 'x', type: 'function', function: { name: 'f', arguments: '}' } }] },
  ])
  expect(told.take(output(4, bits('?'), 5))).toBe(null)
})
