/** The edge's transactions: payments by ERC-3009, their deposits for whoever paid, locks of lanes, and roots of the public log. */
import {
  type BaseError,
  ContractFunctionRevertedError,
  createWalletClient,
  encodeFunctionData,
  type Hex,
  http,
  keccak256,
  maxUint256,
  type PrivateKeyAccount,
  parseTransaction,
  publicActions,
  TransactionReceiptNotFoundError,
} from 'viem'
import { daicnSettlementAbi, daicnTokenAbi, receiptLogAbi } from '#contracts/abi.ts'
import { DomainError } from '#core/errors.ts'
import { formatAmount, max } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { raisedFee } from '#core/raised-fee.ts'
import { compactSignature, type SignedLock } from '#core/voucher.ts'
import type { Payment } from '#core/x402.ts'
import type { ChainSettings } from './settings.ts'

/**
 * A transaction of the edge that is signed, so that it can be sent again without being done again. `earlier` are those of the
 * same number that it is to take the place of: one of them all is done, whichever it is.
 */
export type SignedTransaction = { hash: Hex; raw: Hex; nonce: number; earlier?: Hex[] }

/** A call to the node is given up after this long, and tried once more. */
const TIMEOUT_MS = 5_000
/** How long to wait for a block, and between two looks. */
const PATIENCE_MS = 30_000
const LOOK_MS = 250
/** One that is in no block after so long pays too little, or was dropped. */
const RAISE_MS = 8_000
/** What is so many times the going rate is not stuck for its fee. */
const MOST_TIMES = 4n
/** No chain takes back so many of one sender. */
const MOST_REPEATABLE = 64

export type Transfers = ReturnType<typeof openTransfers>

/** @param account the edge's key, which pays for the gas. Whoever calls must have its transactions signed and sent one by one. */
export function openTransfers(
  { rpc, deployment, confirmations = 0 }: Pick<ChainSettings, 'rpc' | 'deployment'> & { confirmations?: number },
  account: PrivateKeyAccount,
  { raiseMs = RAISE_MS, patienceMs = PATIENCE_MS } = {},
) {
  const transport = http(rpc, { timeout: TIMEOUT_MS, retryCount: 1 })
  const client = createWalletClient({ account, transport }).extend(publicActions)
  const token = { abi: daicnTokenAbi, address: deployment.token } as const
  /** Above what the node knows, when it is behind. */
  let nextNonce = 0
  /** Those of late that may be sent again at any time, by number. No deposit is: that needs the money to have come first. */
  const repeatable = new Map<number, SignedTransaction>()

  const transferOf = ({ authorization, signature }: Payment) => {
    const { from, to, value, validAfter, validBefore, nonce } = authorization
    const args = [from, to, value, validAfter, validBefore, nonce, signature] as const
    return { ...token, functionName: 'transferWithAuthorization', args } as const
  }

  /** True when an authorization was used, by whomever: its tokens came to us, for they can go nowhere else. */
  const isUsed = ({ authorization: { from, nonce } }: Payment): Promise<boolean> =>
    client.readContract({ ...token, functionName: 'authorizationState', args: [from, nonce] })

  /** Null while none of them is in a block. */
  async function receiptOf({ hash, earlier = [] }: SignedTransaction) {
    for (const one of [hash, ...earlier]) {
      const receipt = await client.getTransactionReceipt({ hash: one }).catch((error) => {
        if (error instanceof TransactionReceiptNotFoundError) return null
        throw error
      })
      if (receipt) return receipt
    }
    return null
  }

  /** The same for a higher fee, in its place. */
  async function raise(sent: SignedTransaction): Promise<SignedTransaction> {
    const { to, data, gas, maxFeePerGas = 0n, maxPriorityFeePerGas = 0n } = parseTransaction(sent.raw)
    const going = await client.estimateFeesPerGas({ chain: null })
    if (maxFeePerGas > going.maxFeePerGas * MOST_TIMES) return sent
    const tip = max(raisedFee(maxPriorityFeePerGas), going.maxPriorityFeePerGas)
    const fees = { maxPriorityFeePerGas: tip, maxFeePerGas: max(max(raisedFee(maxFeePerGas), going.maxFeePerGas), tip) }
    const { nonce } = sent
    const request = { type: 'eip1559', chainId: deployment.chainId, to, data, gas, nonce, ...fees }
    const raw = await account.signTransaction(request as never)
    return { hash: keccak256(raw), raw, nonce, earlier: [sent.hash, ...(sent.earlier ?? [])] }
  }

  async function send({ raw, nonce }: SignedTransaction): Promise<void> {
    await client.sendRawTransaction({ serializedTransaction: raw })
    nextNonce = Math.max(nextNonce, nonce + 1)
  }

  const countAt = (blockTag: 'latest' | 'pending') => client.getTransactionCount({ address: account.address, blockTag })

  async function signRepeatable(to: Address, data: Hex): Promise<SignedTransaction> {
    const signed = await sign(to, data)
    repeatable.set(signed.nonce, signed)
    repeatable.delete(signed.nonce - MOST_REPEATABLE)
    return signed
  }

  async function sign(to: Address, data: Hex, number?: number): Promise<SignedTransaction> {
    const nonce = number ?? Math.max(await countAt('pending'), nextNonce)
    const request = await client.prepareTransactionRequest({ to, data, nonce, chain: null })
    const raw = await client.signTransaction({ ...request, chainId: deployment.chainId } as never)
    return { hash: keccak256(raw), raw, nonce }
  }

  return {
    /** Tries a payment without making it, unless it is made. @throws DomainError payment_refused, chain_unreachable */
    async check(payment: Payment): Promise<'due' | 'made'> {
      try {
        if (await isUsed(payment)) return 'made'
        await client.simulateContract(transferOf(payment))
        return 'due'
      } catch (error) {
        throw refusalOf(error as BaseError, payment)
      }
    },

    isUsed,

    signTransfer: (payment: Payment): Promise<SignedTransaction> =>
      signRepeatable(deployment.token, encodeFunctionData(transferOf(payment))),

    /** For the account of `payer` and `signer`, out of what the edge holds. */
    signDeposit: (payer: Address, signer: Address, amount: bigint): Promise<SignedTransaction> =>
      sign(
        deployment.settlement,
        encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'deposit', args: [payer, signer, amount] }),
      ),

    /** Throws what the contract would refuse. */
    signLock: ({ account: lane, receiver, cap, epoch, signature }: SignedLock): Promise<SignedTransaction> => {
      const args = [lane, receiver, cap, epoch, compactSignature(signature)] as const
      return signRepeatable(
        deployment.settlement,
        encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'lock', args }),
      )
    },

    /** Of an hour of the public log, which the key must be bonded for. Throws what the contract would refuse. */
    signPost: (kind: number, hour: bigint, root: Hex, leaves: bigint): Promise<SignedTransaction> => {
      const args = [kind, hour, root, leaves] as const
      return sign(deployment.receiptLog, encodeFunctionData({ abi: receiptLogAbi, functionName: 'post', args }))
    },

    /** Lets the settlement take what is to be deposited, once for all: it takes from its caller alone. Null when it may. */
    async signApproval(): Promise<SignedTransaction | null> {
      const read = { ...token, functionName: 'allowance', args: [account.address, deployment.settlement] } as const
      if ((await client.readContract(read)) > maxUint256 / 2n) return null
      const args = [deployment.settlement, maxUint256] as const
      return signRepeatable(deployment.token, encodeFunctionData({ ...token, functionName: 'approve', args }))
    },

    send,

    /**
     * Sees to the numbers before one that waits: where the chain has taken them back, or the node has dropped them, they are sent again, for
     * more, or where they are not known any more used up by nothing.
     * @returns true once all of them are in a block
     */
    async clear(number: number): Promise<boolean> {
      const [mined, pending] = await Promise.all([countAt('latest'), countAt('pending')])
      for (let nonce = mined; nonce < number; nonce++) {
        const known = repeatable.get(nonce)
        if (!known && nonce < pending) continue
        const next = known ? await raise(known) : await sign(account.address, '0x', nonce)
        repeatable.set(nonce, next)
        // What the node has against it shows when it is in no block.
        await send(next).catch(() => {})
      }
      return mined >= number
    },

    /**
     * Waits until a transaction is in a block; one that is stuck is sent again for more, unless it waits behind a number that is missing.
     * @param keep is told before another takes its place
     * @returns whether it did what it should. Throws when it is in none
     */
    async mined(sent: SignedTransaction, keep: (next: SignedTransaction) => void = () => {}): Promise<boolean> {
      let last = sent
      let raiseAt = Date.now() + raiseMs
      for (const until = Date.now() + patienceMs; Date.now() < until; ) {
        const receipt = await receiptOf(last)
        if (receipt) return receipt.status === 'success'
        if (Date.now() >= raiseAt) {
          // Behind a number that is missing no fee helps.
          if ((await countAt('pending')) < last.nonce) break
          last = await raise(last)
          keep(last)
          // What the node has against it shows when it is in no block.
          await send(last).catch(() => {})
          raiseAt = Date.now() + raiseMs
        }
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      }
      // The node may have dropped it: what comes next must not wait behind a number that is missing.
      nextNonce = 0
      throw new Error(`${last.hash} is in no block yet`)
    },

    /**
     * How a transaction that was sent before stands: done, with enough blocks above it; mined, with fewer; failed, lost to another
     * in its place, or still on its way.
     */
    async stateOf(sent: SignedTransaction): Promise<'done' | 'mined' | 'failed' | 'lost' | 'waiting'> {
      const known = await receiptOf(sent)
      const latest = await client.getBlockNumber({ cacheTime: 0 })
      const confirmed = max(latest - BigInt(confirmations), 0n)
      // Its number counts as used where no block is taken back, and before the last look: else it may just have got in.
      const used = known ? 0 : await client.getTransactionCount({ address: account.address, blockNumber: confirmed })
      const receipt = known ?? (await receiptOf(sent))
      if (!receipt) return used > sent.nonce ? 'lost' : 'waiting'
      if (receipt.status === 'reverted') return 'failed'
      return receipt.blockNumber <= confirmed ? 'done' : 'mined'
    },
  }
}

const REASONS: Record<string, (payment: Payment, args: readonly unknown[]) => string> = {
  ERC20InsufficientBalance: ({ authorization }, [, balance]) =>
    `${authorization.from} holds ${formatAmount(balance as bigint)} tokens, and pays ${formatAmount(authorization.value)}`,
  ERC3009InvalidAuthorizationTime: () => 'it has expired, or its time has not come',
  ERC3009InvalidSignature: ({ authorization }) => `it is not signed by ${authorization.from}`,
}

function refusalOf(error: BaseError, payment: Payment): DomainError {
  const reverted = error.walk?.((cause) => cause instanceof ContractFunctionRevertedError)
  if (!(reverted instanceof ContractFunctionRevertedError)) return new DomainError('chain_unreachable')
  const { errorName = '', args = [] } = reverted.data ?? {}
  const detail = REASONS[errorName]?.(payment, args) ?? `the token refuses it: ${errorName || reverted.shortMessage}`
  return new DomainError('payment_refused', { detail })
}
