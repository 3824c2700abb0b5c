/** The chain of the one-command network: anvil with the contracts on it, kept in a folder from one start to the next. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createPublicClient, http } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { Deployment } from '../core/deployment.ts'
import { startAnvil } from './anvil.ts'
import { deployContracts } from './deploy-contracts.ts'

/** The first of the accounts that anvil gives test ether to; here it deploys, and holds all tokens. */
export const TREASURER = mnemonicToAccount('test test test test test test test test test test test junk')

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
  const { url, ended, stop } = await startAnvil({ state: join(folder, 'anvil.json') })
  const file = join(folder, 'deployment.json')
  const kept = await deployedBefore(url, file)
  const deployment = kept ?? (await deployContracts({ rpc: url, deployer: TREASURER, holder: TREASURER.address }))
  if (!kept) await writeFile(file, JSON.stringify(deployment, null, 2))
  const variables = {
    CHAIN_ID: String(deployment.chainId),
    DEPLOYMENT: JSON.stringify(deployment),
    // It makes a block of each transaction and takes none back.
    CONFIRMATIONS: '0',
    PUBLIC_RPC_URL: url,
    RPC_URL: url,
  }
  return { url, deployment, again: kept !== undefined, variables, ended, stop }
}

async function deployedBefore(rpc: string, file: string): Promise<Deployment | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const deployment = Deployment.parse(JSON.parse(text))
  const code = await createPublicClient({ transport: http(rpc) }).getCode({ address: deployment.governor })
  return code && deployment
}
