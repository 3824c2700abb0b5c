import * as known from 'viem/chains'
import { expect, test } from 'vitest'
import { CHAINS, chainOfId } from '#core/chains.ts'

const VIEM = {
  base: known.base,
  'base-sepolia': known.baseSepolia,
  op: known.optimism,
  'op-sepolia': known.optimismSepolia,
  arbitrum: known.arbitrum,
  'arbitrum-sepolia': known.arbitrumSepolia,
}

test('each chain of the table is as viem knows it, its node and its explorer too', () => {
  const { local, ...remote } = CHAINS
  expect(local).toMatchObject({ id: known.anvil.id, rpc: known.anvil.rpcUrls.default.http[0], test: true })
  expect(Object.keys(remote).sort()).toEqual(Object.keys(VIEM).sort())
  for (const [name, { id, rpcUrls, blockExplorers, testnet = false, contracts }] of Object.entries(VIEM)) {
    expect(chainOfId(id), name).toBe(CHAINS[name])
    expect(CHAINS[name], name).toMatchObject({
      rpc: rpcUrls.default.http[0],
      explorer: blockExplorers.default.url,
      test: testnet,
      // What chains of the OP Stack ask for data on layer 1, such a contract tells.
      dataFee: 'gasPriceOracle' in contracts ? 'op-stack' : 'in-gas',
    })
  }
})
