import { encodeFunctionData } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { daicnSettlementAbi } from '#contracts/abi.ts'
import { ONE_TOKEN } from '#core/money.ts'
import { claimTypedData, packVouchers, releaseTypedData } from '#core/voucher.ts'
import { DEPLOYER, keyed, send, startTestChain, type TestChain } from '../support/chain.ts'
import { claimCall, depositAndLock, requester, transferCall, voucherOf } from '../support/requester.ts'

const DEADLINE = 2n ** 48n - 1n
const provider = keyed('provider')
const relayer = keyed('relayer')
const who = requester('requester')
let chain: TestChain

beforeAll(async () => {
  chain = await startTestChain()
  await send(chain, DEPLOYER, chain.deployment.token, transferCall(who.payer.address, 100n * ONE_TOKEN))
  const call = await depositAndLock(chain, who, provider.address, 100n * ONE_TOKEN, 40n * ONE_TOKEN)
  await send(chain, who.payer, chain.deployment.settlement, call)
}, 300_000)
afterAll(() => chain?.stop())

const read = {
  lane: () =>
    chain.client.readContract({
      abi: daicnSettlementAbi,
      address: chain.deployment.settlement,
      functionName: 'lanes',
      args: [who.account, provider.address],
    }),
  account: () =>
    chain.client.readContract({
      abi: daicnSettlementAbi,
      address: chain.deployment.settlement,
      functionName: 'accounts',
      args: [who.account],
    }),
}

test('a lock that viem signed locks', async () => {
  expect(await read.lane()).toMatchObject({ cap: 40n * ONE_TOKEN, paid: 0n })
  expect((await read.account()).free).toBe(60n * ONE_TOKEN)
})

test('a voucher that viem signed is paid', async () => {
  const voucher = await voucherOf(chain, who, provider.address, 3n * ONE_TOKEN)
  await send(chain, provider, chain.deployment.settlement, claimCall(provider.address, packVouchers([voucher])))
  expect((await read.lane()).paid).toBe(3n * ONE_TOKEN)
})

test('a claim that viem signed is sent by anybody', async () => {
  const { settlement } = chain.deployment
  const vouchers = packVouchers([await voucherOf(chain, who, provider.address, 5n * ONE_TOKEN)])
  const message = { receiver: provider.address, vouchers, deadline: DEADLINE }
  const signature = await provider.signTypedData(claimTypedData(chain.settlement, message))
  const args = [provider.address, vouchers, DEADLINE, signature] as const
  await send(
    chain,
    relayer,
    settlement,
    encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'claimFor', args }),
  )
  expect((await read.lane()).paid).toBe(5n * ONE_TOKEN)
})

test('a release that viem signed unlocks at once', async () => {
  const { settlement } = chain.deployment
  const message = { account: who.account, receiver: provider.address, epoch: 0n, deadline: DEADLINE }
  const signature = await provider.signTypedData(releaseTypedData(chain.settlement, message))
  const args = [who.account, provider.address, 0n, DEADLINE, signature] as const
  await send(chain, relayer, settlement, encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'release', args }))
  expect(await read.lane()).toMatchObject({ cap: 5n * ONE_TOKEN, epoch: 1 })
  expect((await read.account()).free).toBe(95n * ONE_TOKEN)
})
