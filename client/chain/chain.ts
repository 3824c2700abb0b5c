/** The contracts of a network on their chain, by a node and one's own key: with any edge, or with none. */
import {
  type Abi,
  type Address,
  BaseError,
  type ContractFunctionName,
  type ContractFunctionParameters,
  createClient,
  custom,
  type EIP1193Provider,
  type EncodeFunctionDataParameters,
  encodeFunctionData,
  type Hex,
  http,
  type JsonRpcAccount,
  keccak256,
  type LocalAccount,
  publicActions,
  type TransactionReceipt,
  walletActions,
} from 'viem'
import type { Deployment } from '#core/deployment.ts'
import { formatAmount } from '#core/money.ts'
import { raisedFee } from '#core/raised-fee.ts'
import { chainFault, lostIn, told } from './fault.ts'
import { dataFeeOf } from './fee.ts'

export type ChainSettings = {
  /** URL of a node, or a wallet in the browser, which asks one of its own. */
  rpc: string | Pick<EIP1193Provider, 'request'>
  deployment: Deployment
  /** Pays for and signs what is sent; reading needs none. An address is of the wallet that is the node, and signs itself. */
  account?: LocalAccount | Address
  /** No transaction may cost more, its data on layer 1 included; wei. */
  maxFee?: bigint
  /** How long a transaction may take to be in a block, milliseconds. */
  patienceMs?: number
}

/** A node that was asked which chain it is of. */
export type Chain = {
  deployment: Deployment
  node: ReturnType<typeof nodeAt>
  account: Account | undefined
  maxFee: bigint | undefined
  patienceMs: number
}
export type Wallet = Chain & { account: Account }
type Account = LocalAccount | JsonRpcAccount
type SigningWallet = Chain & { account: LocalAccount }

/** A transaction that was mined and did what it should. Gas and fee are what it cost, the fee in wei. */
export type Sent = { hash: Hex; block: bigint; gas: bigint; fee: bigint }

/** A call to a node may take so long. */
const TIMEOUT_MS = 15_000
/** A transaction may take so long. */
const PATIENCE_MS = 180_000
/** Of that time, after each of which it is sent again for more. */
const PARTS = 3
/** Between two looks for a receipt. */
const POLLING_MS = 500

/** Of the estimate, for what costs more a second later, as votes that are written down anew then. What is not used is not paid. */
const GAS_PERCENT = 150n

const nodeAt = ({ rpc, account }: ChainSettings) =>
  createClient({
    ...(account && { account }),
    transport: typeof rpc === 'string' ? http(rpc, { timeout: TIMEOUT_MS, retryCount: 1 }) : custom(rpc),
    pollingInterval: POLLING_MS,
  })
    .extend(publicActions)
    .extend(walletActions)

/** Asks the node which chain it is of. @throws DaicnError if it is another, has no such contracts, or does not answer */
export async function openChain(settings: ChainSettings): Promise<Chain> {
  const { rpc, deployment, maxFee, patienceMs = PATIENCE_MS } = settings
  const node = nodeAt(settings)
  const chainId = await told(node.getChainId())
  if (chainId !== deployment.chainId) {
    const who = typeof rpc === 'string' ? rpc : 'the wallet'
    throw chainFault('wrong_chain', `${who} is of chain ${chainId}, the contracts are on chain ${deployment.chainId}`)
  }
  if (!(await told(node.getCode({ address: deployment.settlement })))) {
    throw chainFault('not_deployed', `there is nothing at ${deployment.settlement}`)
  }
  return { deployment, node, account: node.account, maxFee, patienceMs }
}

/**
 * Tries a call, then sends it, and waits until it is mined: what a contract would refuse costs nothing. What is stuck is sent again for
 * more, as far as `maxFee` goes.
 * @throws DaicnError, with the contract's refusal in words; not_mined with the hash of what was sent and may still be mined
 */
export async function send<const A extends Abi, F extends ContractFunctionName<A, 'nonpayable' | 'payable'>>(
  wallet: Wallet,
  call: ContractFunctionParameters<A, 'nonpayable' | 'payable', F>,
): Promise<Sent> {
  const { node, account } = wallet
  await told(node.simulateContract(call as never))
  const data = encodeFunctionData(call as EncodeFunctionDataParameters)
  const receipt =
    account.type === 'local'
      ? await mineSigned({ ...wallet, account }, call.address, data)
      : await mineByWallet({ ...wallet, account }, call.address, data)
  const { status, transactionHash: hash, blockNumber: block, gasUsed: gas, effectiveGasPrice } = receipt
  if (status !== 'success') throw chainFault('reverted', `the transaction ${hash} was reverted when it was mined`)
  // What a layer 2 asks for the data it puts on layer 1.
  const { l1Fee = '0x0' } = receipt as { l1Fee?: Hex }
  return { hash, block, gas, fee: gas * effectiveGasPrice + BigInt(l1Fee) }
}

/** A wallet raises fees itself. */
async function mineByWallet(
  { node, patienceMs, account }: Wallet,
  to: Address,
  data: Hex,
): Promise<TransactionReceipt> {
  const hash = await told(node.sendTransaction({ account, to, data, chain: null }))
  return node.waitForTransactionReceipt({ hash, timeout: patienceMs }).catch((error) => {
    throw chainFault('not_mined', hash, error)
  })
}

/** In each part of our patience but the first, what is in no block is sent again for more, in its own place: whichever gets through, it is done once. */
async function mineSigned(wallet: SigningWallet, to: Address, data: Hex): Promise<TransactionReceipt> {
  const { node, account, patienceMs } = wallet
  const prepared: Prepared = await told(node.prepareTransactionRequest({ account, to, data, chain: null }))
  let request = { ...prepared, gas: (prepared.gas * GAS_PERCENT) / 100n }
  const hashes = [await sendSigned(wallet, request)]
  for (let part = 1; part <= PARTS; part++) {
    const until = Date.now() + patienceMs / PARTS
    do {
      const receipt = await receiptOf(node, hashes)
      if (receipt) return receipt
      await new Promise((resolve) => setTimeout(resolve, POLLING_MS))
    } while (Date.now() < until)
    request = raised(request)
    // It may be dearer than we may spend, or the first may just have got in.
    if (part < PARTS)
      await sendSigned(wallet, request).then(
        (hash) => hashes.unshift(hash),
        () => {},
      )
  }
  throw chainFault('not_mined', hashes.join(' or '))
}

/** Null while none of them is in a block, as far as can be seen. */
async function receiptOf(node: Chain['node'], hashes: Hex[]): Promise<TransactionReceipt | null> {
  const all = await Promise.all(hashes.map((hash) => node.getTransactionReceipt({ hash }).catch(() => null)))
  return all.find((receipt) => receipt !== null) ?? null
}

const raised = ({ gasPrice, maxFeePerGas, maxPriorityFeePerGas, ...rest }: Prepared): Prepared => ({
  ...rest,
  ...(gasPrice !== undefined && { gasPrice: raisedFee(gasPrice) }),
  ...(maxFeePerGas !== undefined && { maxFeePerGas: raisedFee(maxFeePerGas) }),
  ...(maxPriorityFeePerGas !== undefined && { maxPriorityFeePerGas: raisedFee(maxPriorityFeePerGas) }),
})

/** By whichever kind of fee its chain has; wei. */
type Prepared = { gas: bigint; maxFeePerGas?: bigint; maxPriorityFeePerGas?: bigint; gasPrice?: bigint }

/** Signs a transaction and sends it, unless it may cost too much. */
async function sendSigned({ account, ...chain }: SigningWallet, request: Prepared): Promise<Hex> {
  const { node, maxFee } = chain
  const transaction = await account.signTransaction(request as never)
  if (maxFee !== undefined) {
    const { gas, maxFeePerGas = 0n, gasPrice = maxFeePerGas } = request
    const fee = gas * gasPrice + (await dataFeeOf({ ...chain, account }, transaction))
    if (fee > maxFee) throw chainFault('fee_too_high', `it may cost ${formatAmount(fee)} ether`)
  }
  try {
    return await node.sendRawTransaction({ serializedTransaction: transaction })
  } catch (error) {
    // It may have arrived all the same.
    if (error instanceof BaseError && lostIn(error)) throw chainFault('not_mined', keccak256(transaction), error)
    return told(Promise.reject(error))
  }
}

/** The chain's own time, Unix seconds. */
export const chainTime = async ({ node }: Chain): Promise<bigint> => (await told(node.getBlock())).timestamp
