import { expect, test } from 'vitest'
import type { NewTask } from '../../client/task.ts'
import { similarities } from '../../web/src/lib/playground/similarity.ts'
import { formsOf, snippetOf } from '../../web/src/lib/playground/snippets.ts'
import { credentialOf } from '../../web/src/lib/site/credential.ts'

const EDGE = 'https://edge.example'

test('a snippet is the work itself in each form, with the key by name', () => {
  const chat: NewTask = {
    kind: 'llm.chat',
    model: 'tiny',
    input: { messages: [{ role: 'user', content: "What's the night?" }], max_tokens: 5 },
  }
  const curl = snippetOf('curl', EDGE, chat)
  expect(curl).toContain(`curl '${EDGE}/v1/chat/completions'`)
  expect(curl).toContain("What'\\''s the night?")
  expect(snippetOf('openai', EDGE, chat)).toContain('max_tokens=5')
  expect(snippetOf('daicn', EDGE, chat)).toContain('daicn.stream({')
  for (const form of formsOf('llm.chat')) expect(snippetOf(form, EDGE, chat)).toMatch(/DAICN_KEY/)
})

test('content too long to read stands as what it is', () => {
  const page: NewTask = { kind: 'doc.ocr', input: { image: 'A'.repeat(10_000), mediaType: 'image/png' } }
  expect(snippetOf('curl', EDGE, page)).toContain('<base64 of the file>')
  expect(formsOf('doc.ocr')).toEqual(['curl', 'daicn'])
  expect(formsOf('wasi.run')).toEqual(['curl', 'daicn'])
})

test('similarity is the cosine, and nothing is like a vector of zeros', () => {
  const [a, b, c] = similarities([
    [1, 0],
    [3, 4],
    [0, 0],
  ])
  expect(a).toEqual([1, 0.6, 0])
  expect(b).toEqual([0.6, 1, 0])
  expect(c).toEqual([0, 0, 0])
})

test('an API key is taken whole or not at all', () => {
  const key = `dk_${'a'.repeat(40)}_${'b'.repeat(12)}_${'c'.repeat(48)}`
  expect(credentialOf(` ${key}\n`)).toMatchObject({ token: key, address: `0x${'a'.repeat(40)}` })
  expect(credentialOf(key.slice(0, -1))).toBeNull()
})
