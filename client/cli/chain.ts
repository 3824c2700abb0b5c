/** How commands come to the chain: which contracts, by which node, with which key. */
import { readFile } from 'node:fs/promises'
import { privateKeyToAccount } from 'viem/accounts'
import { chainOfId } from '#core/chains.ts'
import { type ChainView, Deployment } from '#core/deployment.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { type Chain, openChain, type Sent, type Wallet } from '../chain/chain.ts'
import { call } from '../edge.ts'
import { DaicnError } from '../error.ts'
import { type Cli, edgeOf, NotLoggedIn, UsageError } from './cli.ts'
import { readKeyFile } from './key-file.ts'
import { chainsFile, readChains, readPrivateKey, writeChains } from './login-file.ts'

/** What every command that speaks to the chain takes. */
export type ChainOptions = { rpc?: string; deployment?: string; keyFile?: string; maxFee?: string }

const EDGE_TIMEOUT_MS = 5_000
/** An edge that does not answer is one more reason to look at the chain oneself. */
const GONE: ReadonlySet<string> = new Set(['unreachable', 'timed_out', 'not_understood'])

/** The contracts and a node to reach them by. */
export async function openToRead(cli: Cli, options: ChainOptions): Promise<Chain> {
  return openChain(await settings(cli, options))
}

/** The same, with our Ethereum key. @throws NotLoggedIn */
export async function openWallet(cli: Cli, options: ChainOptions): Promise<Wallet> {
  const { keyFile } = options
  const privateKey = keyFile === undefined ? await readPrivateKey() : await readKeyFile(keyFile)
  if (privateKey === undefined) throw new NotLoggedIn()
  const account = privateKeyToAccount(privateKey)
  const limit = options.maxFee === undefined ? {} : { maxFee: parseAmount(options.maxFee) }
  return { ...(await openChain({ ...(await settings(cli, options)), account, ...limit })), account }
}

/** Our address, in lower case. */
export const addressOf = ({ account }: Wallet): Address => account.address.toLowerCase() as Address

async function settings(cli: Cli, options: ChainOptions): Promise<{ rpc: string; deployment: Deployment }> {
  const file = options.deployment ?? process.env.DAICN_DEPLOYMENT
  const named = options.rpc ?? process.env.DAICN_RPC
  if (file !== undefined) {
    const deployment = await deploymentIn(file)
    return { deployment, rpc: named ?? publicNode(deployment) }
  }
  const { deployment, rpc } = await chainOf(cli)
  if (deployment === null) {
    throw new UsageError(
      'This edge settles on no chain',
      'Name the contracts with --deployment FILE, and a node with --rpc URL.',
    )
  }
  return { deployment, rpc: named ?? rpc ?? publicNode(deployment) }
}

function publicNode({ chainId }: Deployment): string {
  const known = chainOfId(chainId)
  if (known) return known.rpc
  throw new UsageError('No node of the chain is known', 'Name one with --rpc URL, or DAICN_RPC.')
}

async function deploymentIn(file: string): Promise<Deployment> {
  const parsed = Deployment.safeParse(JSON.parse(await readFile(file, 'utf8')))
  if (parsed.success) return parsed.data
  throw new UsageError(`${file} holds no addresses of contracts`, 'Give what scripts/deploy-contracts.ts printed.')
}

/**
 * What the edge says of its chain. It is kept, and counts when the edge is gone; an edge that later names other contracts is
 * not believed, for a permit signed for them would be theirs to use.
 */
async function chainOf(cli: Cli): Promise<ChainView> {
  const edge = new URL(await edgeOf(cli)).origin
  const kept = await readChains()
  const told = await call<ChainView>({ edge, timeoutMs: EDGE_TIMEOUT_MS }, 'GET', '/v1/chain', {
    signal: cli.signal,
  }).catch((error) => {
    if (error instanceof DaicnError && GONE.has(error.code) && kept[edge]) return kept[edge]
    throw error
  })
  const before = kept[edge]?.deployment
  if (before && !sameContracts(before, told.deployment)) {
    throw new UsageError(
      `${edge} names other contracts than before`,
      `Ask its operator why. If it is right, remove ${chainsFile()}; else name the contracts with --deployment FILE.`,
    )
  }
  if (!before && told.deployment) await writeChains({ ...kept, [edge]: told })
  return told
}

const sameContracts = (one: Deployment, other: Deployment | null): boolean =>
  (Object.keys(Deployment.shape) as (keyof Deployment)[]).every((name) => one[name] === other?.[name])

/** A transaction as JSON, the fee in ether. */
export const sentView = ({ hash, block, gas, fee }: Sent) => ({
  hash,
  block: Number(block),
  gas: Number(gas),
  fee: formatAmount(fee),
})

/** A transaction for people, below what it did. */
export function tellSent({ err }: Cli, ...all: Sent[]): void {
  for (const { hash, block, fee } of all) err.note(`${hash} in block ${block}, for ${formatAmount(fee)} ether`)
}
