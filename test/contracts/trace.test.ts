import { afterAll, beforeAll, expect, test } from 'vitest'
import { playTrace } from '../bench/lanes.ts'
import { readArrivals } from '../bench/traces.ts'
import { startTestChain, type TestChain } from '../support/chain.ts'
import { mulberry32 } from '../support/random.ts'

let chain: TestChain

beforeAll(async () => {
  chain = await startTestChain()
}, 300_000)
afterAll(() => chain?.stop())

test('a trace that was paid by vouchers leaves wallets, lanes and the contract equal to the unit', async () => {
  const played = await playTrace(chain, readArrivals().slice(0, 200), mulberry32(7))
  expect(played).toMatchObject({ claims: 4, drift: 0n })
  expect(played.spent).toBeGreaterThan(0n)
})
