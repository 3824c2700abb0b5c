/** The faucet of a development network on a chain: deposits tokens of a key that holds many. */
import { createWalletClient, http, publicActions } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { daicnSettlementAbi as abi } from '#contracts/abi.ts'
import type { Address } from '#core/protocol/values.ts'
import type { ChainSettings } from './settings.ts'

const TIMEOUT_MS = 5_000
const POLL_MS = 50

export type Faucet = ReturnType<typeof openFaucet>

/** @param key has approved its tokens for the settlement */
export function openFaucet({ rpc, deployment }: ChainSettings, key: `0x${string}`) {
  const account = privateKeyToAccount(key)
  const client = createWalletClient({ account, transport: http(rpc, { timeout: TIMEOUT_MS }) }).extend(publicActions)
  let turn: Promise<unknown> = Promise.resolve()

  async function send(payer: Address, signer: Address, amount: bigint): Promise<void> {
    const { request } = await client.simulateContract({
      abi,
      address: deployment.settlement,
      functionName: 'deposit',
      args: [payer, signer, amount],
      account,
    })
    const hash = await client.writeContract({ ...request, chain: null })
    await client.waitForTransactionReceipt({ hash, timeout: TIMEOUT_MS, pollingInterval: POLL_MS })
  }

  return {
    /** Deposits base units for an account. One after the other, since each transaction of a key has its number. */
    deposit(payer: Address, signer: Address, amount: bigint): Promise<void> {
      const done = turn.then(() => send(payer, signer, amount))
      turn = done.catch(() => {})
      return done
    },
  }
}
