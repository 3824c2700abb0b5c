import { createHash } from 'node:crypto'
import { encodeFunctionData } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { disputeCourtAbi, providerRegistryAbi } from '#contracts/abi.ts'
import { ONE_TOKEN } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { receiptTypedData, type Statement } from '#core/receipt.ts'
import { DEPLOYER, keyed, send, startTestChain, type TestChain } from '../support/chain.ts'
import { approveCall, transferCall } from '../support/requester.ts'

const STAKE = 1000n * ONE_TOKEN
const provider = keyed('provider')
const hash = async (text: string) => createHash('sha256').update(text).digest('hex')
let chain: TestChain

beforeAll(async () => {
  chain = await startTestChain()
  const { token, registry } = chain.deployment
  const calls = [
    [token, approveCall(registry)],
    [
      registry,
      encodeFunctionData({ abi: providerRegistryAbi, functionName: 'register', args: [provider.address, ''] }),
    ],
    [
      registry,
      encodeFunctionData({ abi: providerRegistryAbi, functionName: 'stake', args: [provider.address, STAKE] }),
    ],
  ] as const
  await send(chain, DEPLOYER, token, transferCall(provider.address, STAKE))
  for (const [to, data] of calls) await send(chain, provider, to, data)
}, 300_000)
afterAll(() => chain?.stop())

test('two receipts as agents sign them, of one attempt and with two outputs, are a proof at the court', async () => {
  const { chainId, court, registry } = chain.deployment
  const { timestamp } = await chain.client.getBlock()
  const statement: Statement = {
    domain: { chainId, court },
    task: 'c1-0mh2k3l4m0123456789',
    attempt: 1,
    provider: provider.address.toLowerCase() as Address,
    requester: DEPLOYER.address.toLowerCase() as Address,
    kind: 'doc.ocr',
    model: 'm',
    digest: null,
    input: await hash('in'),
    prefix: null,
    request: await hash('request'),
    output: await hash('one'),
    units: 1,
    price: '0.005',
    finishedAt: Number(timestamp) * 1000,
  }
  const signed = async (one: Statement) => {
    const data = await receiptTypedData(one, hash)
    return [data.message, await provider.signTypedData(data)] as const
  }
  const args = [...(await signed(statement)), ...(await signed({ ...statement, output: await hash('two') }))] as const
  const proof = encodeFunctionData({ abi: disputeCourtAbi, functionName: 'proveEquivocation', args })
  await send(chain, DEPLOYER, court, proof)
  const read = {
    abi: providerRegistryAbi,
    address: registry,
    functionName: 'providers',
    args: [provider.address],
  } as const
  expect((await chain.client.readContract(read)).stake).toBe(0n)
})
