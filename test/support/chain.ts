/** A local chain with the contracts on it, and hands to move on it. */
import {
  type Address,
  createTestClient,
  createWalletClient,
  type Hex,
  http,
  keccak256,
  parseEther,
  publicActions,
  toHex,
} from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import type { Deployment } from '#core/deployment.ts'
import type { Settlement } from '#core/voucher.ts'
import { startAnvil } from '../../scripts/anvil.ts'
import { deployContracts } from '../../scripts/deploy-contracts.ts'

/** A key that is always the same, of no use anywhere else. */
export const keyed = (name: string): PrivateKeyAccount => privateKeyToAccount(privateKeyOf(name))
export const privateKeyOf = (name: string): Hex => keccak256(toHex(name))

/** Deploys, and holds all tokens. */
export const DEPLOYER = keyed('deployer')

export type TestChain = Awaited<ReturnType<typeof startTestChain>>

export async function startTestChain() {
  const anvil = await startBareChain()
  const deployment = await deployContracts({ rpc: anvil.url, deployer: DEPLOYER, holder: DEPLOYER.address })
  return { ...anvil, deployment, settlement: settlementOf(deployment) }
}

/** A chain with nothing on it but the deployer's ether. */
export async function startBareChain() {
  const anvil = await startAnvil()
  const client = createTestClient({ mode: 'anvil', transport: http(anvil.url) }).extend(publicActions)
  await client.setBalance({ address: DEPLOYER.address, value: parseEther('100') })
  return { ...anvil, client }
}

const settlementOf = ({ chainId, settlement }: Deployment): Settlement => ({ chainId, address: settlement })

/** More than any call here needs, so that none is estimated. */
const GAS = 16_000_000n

/** Sends a call, with all the ether it needs. @returns the gas it used. Throws if it was reverted. */
export async function send(chain: TestChain, from: PrivateKeyAccount, to: Address, data: Hex): Promise<bigint> {
  await chain.client.setBalance({ address: from.address, value: parseEther('100') })
  const wallet = createWalletClient({ account: from, transport: http(chain.url) })
  const { status, gasUsed, transactionHash } = await wallet.sendTransactionSync({ to, data, chain: null, gas: GAS })
  if (status !== 'success') throw new Error(`${transactionHash} was reverted`)
  return gasUsed
}
