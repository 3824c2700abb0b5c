import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DomainError, ERRORS, type ErrorCode, toProblem } from '#core/errors.ts'
import { parseAmount } from '#core/money.ts'
import { UNITS } from '#core/pricing.ts'
import { SubmitTask } from '#core/protocol/task.ts'
import { LIMITS } from '#core/protocol/values.ts'
import { KINDS } from '#core/protocol/work.ts'
import { toRequest } from '#core/request.ts'
import { holds } from '../support/property.ts'

const ask = (over: Record<string, unknown> = {}): SubmitTask =>
  SubmitTask.parse({ kind: 'text.embed', input: { texts: ['hello'] }, ...over })

function faultOf(over: Record<string, unknown>, pointer = ''): { code: string; pointer: string | undefined } {
  try {
    toRequest(ask(over), pointer)
  } catch (error) {
    if (error instanceof DomainError) return { code: error.code, pointer: error.details.pointer }
    throw error
  }
  throw new Error('it was accepted')
}

test.each<[string, Record<string, unknown>, string, string]>([
  ['an unknown kind', { kind: 'mine.bitcoin' }, 'unknown_kind', '/kind'],
  ['a kind that an object has anyway', { kind: 'constructor' }, 'unknown_kind', '/kind'],
  ['no texts', { input: {} }, 'invalid_request', '/input/texts'],
  ['an empty list of texts', { input: { texts: [] } }, 'invalid_request', '/input/texts'],
  ['a text that is none', { input: { texts: ['a', 7] } }, 'invalid_request', '/input/texts/1'],
  ['an empty text', { input: { texts: ['a', ''] } }, 'invalid_request', '/input/texts/1'],
  ['a field too many', { input: { texts: ['a'], extra: 1 } }, 'invalid_request', '/input/extra'],
  [
    'a role that is none',
    { kind: 'llm.chat', input: { messages: [{ role: 'king' }] } },
    'invalid_request',
    '/input/messages/0/role',
  ],
  [
    'too high a temperature',
    { kind: 'llm.chat', input: { messages: [{ role: 'user' }], temperature: 3 } },
    'invalid_request',
    '/input/temperature',
  ],
  [
    'an image that is no base64',
    { kind: 'doc.ocr', input: { image: '!', mediaType: 'image/png' } },
    'invalid_request',
    '/input/image',
  ],
  [
    'a picture of another type',
    { kind: 'doc.ocr', input: { image: 'AAAA', mediaType: 'image/gif' } },
    'invalid_request',
    '/input/mediaType',
  ],
  ['a price of nothing', { maxPrice: '0' }, 'price_below_unit', '/maxPrice'],
  ['a price below one base unit for each unit', { maxPrice: '0.000000000000000001' }, 'price_below_unit', '/maxPrice'],
  ['too large an input', { input: { texts: ['x'.repeat(LIMITS.inputBytes)] } }, 'body_too_large', '/input'],
  [
    'an input too large in bytes though not in characters',
    { input: { texts: ['€'.repeat(LIMITS.inputBytes / 2)] } },
    'body_too_large',
    '/input',
  ],
])('%s is refused, and the error points at it', (_, over, code, pointer) => {
  expect(faultOf(over)).toEqual({ code, pointer })
  expect(faultOf(over, '/7')).toEqual({ code, pointer: `/7${pointer}` })
})

test.each<[string, Record<string, unknown>, string]>([
  ['a negative price', { maxPrice: '-1' }, 'maxPrice'],
  ['a huge price', { maxPrice: '1'.repeat(40) }, 'maxPrice'],
  ['a price as a number', { maxPrice: 1 }, 'maxPrice'],
  ['no time at all', { deadlineSeconds: 0 }, 'deadlineSeconds'],
  ['attempts without end', { maxAttempts: 11 }, 'maxAttempts'],
  ['a reputation above one', { requirements: { minReputation: 1.1 } }, 'requirements.minReputation'],
  ['a region that is none', { requirements: { region: 'moon' } }, 'requirements.region'],
  ['an address that is none', { requirements: { exclude: ['0x1'] } }, 'requirements.exclude.0'],
  ['a field that is none', { maxprice: '1' }, ''],
])('the body of a task is refused for %s', (_, over, path) => {
  const parsed = SubmitTask.safeParse({ kind: 'text.embed', input: { texts: ['a'] }, ...over })
  expect(parsed.error?.issues[0]?.path.join('.')).toBe(path)
})

test('a task never costs more than its maxPrice', () => {
  const price = fc.bigInt(2n, 10n ** 24n)
  const texts = fc.array(fc.string({ minLength: 1, maxLength: 50 }), { minLength: 1, maxLength: 20 })
  holds(
    fc.property(price, texts, (price, texts) => {
      const maxPrice = `${price / 10n ** 18n}.${(price % 10n ** 18n).toString().padStart(18, '0')}`
      let request: ReturnType<typeof toRequest>
      try {
        request = toRequest(ask({ input: { texts }, maxPrice }))
      } catch (error) {
        expect(error).toMatchObject({ code: 'price_below_unit' })
        return
      }
      const most = request.bid * BigInt(request.maxUnits)
      expect(most <= parseAmount(maxPrice)).toBe(true)
      expect(most + BigInt(request.maxUnits) > parseAmount(maxPrice)).toBe(true)
    }),
  )
})

test('a task that names nothing but its work gets the defaults', () => {
  expect(toRequest(ask())).toMatchObject({
    kind: 'text.embed',
    model: null,
    variant: null,
    input: { texts: ['hello'] },
    bytes: 19,
    bid: UNITS['text.embed'].defaultBid,
    maxUnits: 2,
    preference: 'balanced',
    minReputation: 0,
    minContext: 0,
    region: null,
    exclude: [],
    deadlineMs: 600_000,
    maxAttempts: 3,
    stream: false,
  })
})

test('addresses to exclude are known in any case of letters', () => {
  const request = toRequest(ask({ requirements: { exclude: [`0x${'AB'.repeat(20)}`] } }))
  expect(request.exclude).toEqual([`0x${'ab'.repeat(20)}`])
})

test('fields of a chat that the edge does not know are handed on', () => {
  const input = { messages: [{ role: 'user', content: 'hi', name: 'x' }], logit_bias: { 1: 2 } }
  expect(toRequest(ask({ kind: 'llm.chat', input })).input).toEqual(input)
})

test('every error has its own code, a status that is an error, and says what to do', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    const problem = toProblem(new DomainError(code, { detail: 'this one', pointer: '/x' }))
    expect(problem).toMatchObject({ code, detail: 'this one', pointer: '/x', type: `urn:daicn:error:${code}` })
    expect(problem.status).toBeGreaterThanOrEqual(400)
    expect(problem.status).toBeLessThan(600)
    expect(problem.hint).toMatch(/\S+ \S+.*\.$/)
  }
  expect(KINDS).toEqual(['llm.chat', 'text.embed', 'doc.ocr', 'image.upscale', 'wasi.run', 'container.run', 'gpu.exec'])
})
