import { expect, test } from 'vitest'
import { bitsOf, capabilitiesNeeded, fieldOf, splitDigest } from '#core/capability.ts'

const messages = [{ role: 'user', content: 'hello' }]

test('what every provider honours, or what changes nothing, needs no capability', () => {
  const input = {
    messages: [...messages, { role: 'user', content: [{ type: 'text', text: 'x' }] }],
    ...{ max_tokens: 5, max_completion_tokens: 5, temperature: 0, top_p: 1, stop: ['x'], seed: 1 },
    ...{ user: 'me', metadata: { a: 'b' }, store: true, n: 1, tools: [], tool_choice: 'none', logprobs: false },
    ...{ frequency_penalty: 0, logit_bias: {}, response_format: { type: 'text' }, reasoning_effort: null },
  }
  expect(capabilitiesNeeded('llm.chat', input)).toEqual([])
  expect(capabilitiesNeeded('text.embed', { texts: ['x'] })).toEqual([])
})

test.each<[object, string, field: string]>([
  [{ tools: [{ type: 'function' }], tool_choice: 'auto' }, 'tools', 'tools'],
  [{ response_format: { type: 'json_schema' } }, 'json_schema', 'response_format'],
  [{ response_format: { type: 'json_object' } }, 'json_object', 'response_format'],
  [{ n: 2 }, 'n', 'n'],
  [{ logprobs: true, top_logprobs: 3 }, 'logprobs', 'logprobs'],
  [{ frequency_penalty: 0.5 }, 'frequency_penalty', 'frequency_penalty'],
  [{ something_new: 'x' }, 'something_new', 'something_new'],
  [{ messages: [{ role: 'tool', content: '1', tool_call_id: 'c' }] }, 'tools', 'tools'],
  [{ messages: [{ role: 'assistant', tool_calls: [{ id: 'c' }] }] }, 'tools', 'tools'],
  [{ messages: [{ role: 'user', content: [{ type: 'image_url' }] }] }, 'image_url', 'messages'],
])('%j needs %s, which the field %s asks for', (fields, capability, field) => {
  expect(capabilitiesNeeded('llm.chat', { messages, ...fields })).toEqual([capability])
  expect(fieldOf(capability)).toBe(field)
})

test.each([
  ['F32', 32],
  ['BF16', 16],
  ['fp16', 16],
  ['Q8_0', 8],
  ['FP8', 8],
  ['W8A8', 8],
  ['Q4_K_M', 4],
  ['IQ2_XS', 2],
  ['int4', 4],
  ['NVFP4', 4],
  ['MXFP4', 4],
  ['nf4', 4],
  ['AWQ', 4],
  ['unsloth-dynamic', null],
  ['', null],
])('the quantisation %s has %s bits', (name, bits) => {
  expect(bitsOf(name)).toBe(bits)
})

test('a digest follows the last @ of a name', () => {
  expect(splitDigest('m@sha256:ab')).toEqual({ model: 'm', digest: 'sha256:ab' })
  expect(splitDigest('@cf/meta/m@d')).toEqual({ model: '@cf/meta/m', digest: 'd' })
  for (const name of ['m', '@cf', 'm@']) expect(splitDigest(name)).toBeNull()
})
