import { expect, test } from 'vitest'
import { disconnect } from '#core/book.ts'
import { SIMULATED } from '#core/protocol/provider.ts'
import { networkSnapshot } from '#core/views.ts'
import { join, openBook, T0 } from '../support/book.ts'

test('a network says that some of its providers are simulated while these are there, and only then', () => {
  const book = openBook()
  join(book, 1, T0)
  expect(networkSnapshot(book, T0).simulated).toBe(false)
  const actor = join(book, 2, T0, { agent: SIMULATED })
  expect(networkSnapshot(book, T0).simulated).toBe(true)
  disconnect(book, actor)
  expect(networkSnapshot(book, T0 + 3_600_000).simulated).toBe(false)
})
