/** The chain of the one-command network: anvil with the contracts on it, kept in a folder from one start to the next. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import {
  type Address,
  createTestClient,
  createWalletClient,
  encodeFunctionData,
  type Hex,
  http,
  maxUint256,
  parseEther,
  publicActions,
  toHex,
} from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { writeWhole } from '../agent/whole-file.ts'
import { daicnSettlementAbi, daicnTokenAbi } from '../contracts/abi.ts'
import { Deployment } from '../core/deployment.ts'
import { startAnvil } from './anvil.ts'
import { deployContracts } from './deploy-contracts.ts'

/** A chain that is killed forgets at most this much. */
const SAVE_MS = 5_000

/** The first of the accounts that anvil gives test ether to; here it deploys, and holds all tokens. */
const TREASURER = mnemonicToAccount('test test test test test test test test test test test junk')

export type LocalChain = {
  url: string
  deployment: Deployment
  /** The contracts were there from an earlier start. */
  again: boolean
  /** What an edge has to be told of it, by the names in wrangler.toml. */
  variables: Record<string, string>
  ended: Promise<number>
  stop(): Promise<void>
}

/** @param folder of its state; made if missing */
export async function startLocalChain(folder: string): Promise<LocalChain> {
  await mkdir(folder, { recursive: true })
  const state = join(folder, 'anvil.json')
  const { url, ended, stop } = await startAnvil({ state })
  const file = join(folder, 'deployment.json')
  const kept = await deployedBefore(url, file)
  const deployment = kept ?? (await deployContracts({ rpc: url, deployer: TREASURER, holder: TREASURER.address }))
  if (!kept) {
    await approve(url, deployment)
    await writeFile(file, JSON.stringify(deployment, null, 2))
  }
  const variables = {
    CHAIN_ID: String(deployment.chainId),
    DEPLOYMENT: JSON.stringify(deployment),
    // It makes a block of each transaction and takes none back.
    CONFIRMATIONS: '0',
    PUBLIC_RPC_URL: url,
    RPC_URL: url,
    FAUCET_KEY: toHex(TREASURER.getHdKey().privateKey!),
  }
  const save = keepState(url, state)
  const timer = setInterval(() => void save().catch(() => {}), SAVE_MS)
  return {
    url,
    deployment,
    again: kept !== undefined,
    variables,
    ended,
    async stop() {
      clearInterval(timer)
      await save().catch(() => {})
      await stop()
    },
  }
}

/** Writes the chain down when it has new blocks. Anvil can do so by itself, but leaves half a file when it is stopped meanwhile. */
function keepState(rpc: string, file: string): () => Promise<void> {
  const client = handsOn(rpc)
  let saved = -1n
  return async () => {
    const block = await client.getBlockNumber({ cacheTime: 0 })
    if (block === saved) return
    const dump = (await client.dumpState()) as Hex
    await writeWhole(file, gunzipSync(Buffer.from(dump.slice(2), 'hex')).toString())
    saved = block
  }
}

/** Lets the faucet deposit the treasurer's tokens. */
async function approve(url: string, { token, settlement }: Deployment): Promise<void> {
  const wallet = createWalletClient({ account: TREASURER, transport: http(url) })
  const data = encodeFunctionData({ abi: daicnTokenAbi, functionName: 'approve', args: [settlement, maxUint256] })
  await wallet.sendTransactionSync({ to: token, data, chain: null })
}

async function deployedBefore(rpc: string, file: string): Promise<Deployment | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const deployment = Deployment.parse(JSON.parse(text))
  const code = await handsOn(rpc).getCode({ address: deployment.governor })
  return code && deployment
}

/** Power over a chain of our own. */
const handsOn = (rpc: string) => createTestClient({ mode: 'anvil', transport: http(rpc) }).extend(publicActions)

/** What everybody is given for gas. */
const ETHER = parseEther('1')

/** Gives an address ether for gas. */
export const fuel = (chain: LocalChain, address: Address): Promise<void> =>
  handsOn(chain.url).setBalance({ address, value: ETHER })

/** What stands on the chain: tokens in wallets, in the requester's account, and paid by its lanes; base units. */
export function readBalances({ url, deployment }: LocalChain, account: Hex) {
  const client = handsOn(url)
  const settlement = { abi: daicnSettlementAbi, address: deployment.settlement } as const
  return {
    wallet: (address: Address) =>
      client.readContract({
        abi: daicnTokenAbi,
        address: deployment.token,
        functionName: 'balanceOf',
        args: [address],
      }),
    free: async () => (await client.readContract({ ...settlement, functionName: 'accounts', args: [account] })).free,
    paidTo: async (provider: Address) =>
      (await client.readContract({ ...settlement, functionName: 'lanes', args: [account, provider] })).paid,
    fees: async () => {
      const args = [deployment.timelock] as const
      return (await client.readContract({ ...settlement, functionName: 'earnings', args })).claimed
    },
  }
}
