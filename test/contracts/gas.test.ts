import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestChain, type TestChain } from '../support/chain.ts'
import { type GasFigures, measureGas } from '../support/gas.ts'

let chain: TestChain
let gas: GasFigures

beforeAll(async () => {
  chain = await startTestChain()
  gas = await measureGas(chain)
}, 300_000)
afterAll(() => chain?.stop())

test('gas is what the snapshot says; vitest -u writes it anew', async () => {
  await expect(`${JSON.stringify(gas, null, 2)}\n`).toMatchFileSnapshot('../../contracts/gas.json')
})

test('a voucher in a batch of 100 costs at most 17,500 gas', () => {
  expect(gas.gas_voucher_100).toBeLessThanOrEqual(17_500)
})

test('a task costs at most 25 gas, all in, at 1,000 tasks a voucher', () => {
  expect(gas.gas_task_1000).toBeLessThanOrEqual(25)
})

test('a new requester costs at most 175,000 gas: permit, deposit, account and first lane', () => {
  expect(gas.gas_new_requester).toBeLessThanOrEqual(175_000)
})
