/** A provider's view of the settlement contract, by an RPC of its own choice. */
import {
  BaseError,
  createWalletClient,
  encodeFunctionData,
  type Hex,
  HttpRequestError,
  hexToBytes,
  http,
  type LocalAccount,
  publicActions,
  TimeoutError,
  WaitForTransactionReceiptTimeoutError,
} from 'viem'
import { daicnSettlementAbi as abi } from '#contracts/abi.ts'
import { chainOfId } from '#core/chains.ts'
import { GAS_PRICE_ORACLE, GAS_PRICE_ORACLE_ABI, l1DataFee, readL1Prices } from '#core/l1-fee.ts'
import type { LaneOnChain } from '#core/lane.ts'
import { laneStatementTypedData } from '#core/lane-statement.ts'
import { min } from '#core/money.ts'
import type { LaneClosing } from '#core/protocol/lane-closing.ts'
import type { Address } from '#core/protocol/values.ts'
import { raisedFee } from '#core/raised-fee.ts'
import { isSignedByContract } from '#core/signature.ts'
import { packVouchers, releaseTypedData, type Settlement, type SignedVoucher } from '#core/voucher.ts'

/** What an account's lane to us stands at. */
export type LaneState = LaneOnChain

/** What a claim would cost: gas at a price, and on some chains its data on layer 1; wei. */
export type Cost = { gas: bigint; gasPrice: bigint; dataFee: bigint }

const TIMEOUT_MS = 10_000
/** A transaction that is not in a block after this long is sent again for more. */
const PATIENCE_MS = 90_000
const TRIES = 4
/** How long a signed release may be sent. */
const RELEASE_SECONDS = 7 * 24 * 3600
const ORACLE = { abi: GAS_PRICE_ORACLE_ABI, address: GAS_PRICE_ORACLE } as const
const NOBODY = `0x${'00'.repeat(20)}`

const isAway = (error: unknown): boolean =>
  error instanceof BaseError &&
  error.walk((cause) => cause instanceof HttpRequestError || cause instanceof TimeoutError) !== null

export type SettlementLink = ReturnType<typeof linkSettlement>

/** @param provider signs the transactions, and is paid */
export function linkSettlement(rpc: string, settlement: Settlement, provider: LocalAccount, patienceMs = PATIENCE_MS) {
  const transport = http(rpc, { timeout: TIMEOUT_MS, retryCount: 1, batch: true })
  const client = createWalletClient({ account: provider, transport }).extend(publicActions)
  const { address } = settlement
  const receiver = provider.address
  let checked: Promise<void> | undefined

  /** Asks the RPC which chain it is of, until it has said so once. Throws when it is another: contracts have the same addresses there. */
  function check(): Promise<void> {
    checked ??= ask()
    checked.catch(() => {
      checked = undefined
    })
    return checked
  }

  async function ask(): Promise<void> {
    const chainId = await client.getChainId()
    if (chainId !== settlement.chainId) {
      throw new Error(`the RPC is of chain ${chainId}, and the vouchers are for ${settlement.chainId}`)
    }
  }

  /** A claim, and the payout of all that was earned, in one transaction. */
  const callOf = (vouchers: SignedVoucher[]): Hex => {
    const claim = encodeFunctionData({ abi, functionName: 'claim', args: [receiver, packVouchers(vouchers)] })
    const settle = encodeFunctionData({ abi, functionName: 'settle', args: [receiver] })
    return encodeFunctionData({ abi, functionName: 'multicall', args: [[claim, settle]] })
  }

  /** What the claim's data costs on layer 1, over and above its gas. */
  async function dataFeeOf(data: Hex, gas: bigint, gasPrice: bigint): Promise<bigint> {
    if (chainOfId(settlement.chainId)?.dataFee !== 'op-stack') return 0n
    const nonce = await client.getTransactionCount({ address: receiver })
    const request = { chainId: settlement.chainId, to: address, data, gas, gasPrice, nonce } as const
    const [transaction, prices] = await Promise.all([
      provider.signTransaction(request),
      readL1Prices((functionName) => client.readContract({ ...ORACLE, functionName })),
    ])
    return l1DataFee(hexToBytes(transaction), prices)
  }

  return {
    /** Null for an account that was never paid into. Throws when the RPC is one of another chain. */
    async laneOf(account: Hex): Promise<LaneState | null> {
      await check()
      const [{ signer, free }, { paid, cap, epoch, unlockAt }] = await Promise.all([
        client.readContract({ abi, address, functionName: 'accounts', args: [account] }),
        client.readContract({ abi, address, functionName: 'lanes', args: [account, receiver] }),
      ])
      if (signer === NOBODY) return null
      return { signer: signer.toLowerCase() as Address, paid, cap, free, epoch, unlockAt }
    },

    /** As the signer says of itself, which is a contract. Throws when the chain is away. */
    isSignedByContract: (signer: Address, hash: Hex, signature: Hex): Promise<boolean> =>
      isSignedByContract({ signer, hash, signature }, (question) => client.readContract(question), isAway),

    /**
     * Signs that a lane is never charged more than it was, and may be freed at once, for `DisputeCourt` and the settlement. Its time is the
     * latest block's: a claim of ours that is in a block by now is not held against it.
     */
    async signClosing(
      court: Address,
      { account, charged, epoch }: { account: Hex; charged: bigint; epoch: number },
    ): Promise<LaneClosing> {
      const at = Number((await client.getBlock()).timestamp)
      const lower = receiver.toLowerCase() as Address
      const said = { provider: lower, account, charged: charged.toString(), at, closed: true }
      const deadline = at + RELEASE_SECONDS
      const freed = { account, receiver, epoch: BigInt(epoch), deadline: BigInt(deadline) }
      const [statement, release] = await Promise.all([
        provider.signTypedData(laneStatementTypedData({ chainId: settlement.chainId, court }, said)),
        provider.signTypedData(releaseTypedData(settlement, freed)),
      ])
      return { statement: { ...said, signature: statement }, release: { epoch, deadline, signature: release } }
    },

    async costOf(vouchers: SignedVoucher[]): Promise<Cost> {
      const data = callOf(vouchers)
      const [gas, gasPrice] = await Promise.all([
        client.estimateGas({ account: provider, to: address, data }),
        client.getGasPrice(),
      ])
      return { gas, gasPrice, dataFee: await dataFeeOf(data, gas, gasPrice) }
    },

    /**
     * Claims, and waits until that is in a block. One that is stuck, for its fee was too low or an earlier one is missing,
     * is sent again in the place of the first that waits, for more: whichever gets through, a voucher is paid once.
     * @returns the transaction's hash
     */
    async claim(vouchers: SignedVoucher[], { gas, gasPrice }: Cost): Promise<Hex> {
      const data = callOf(vouchers)
      for (let attempt = 1, price = gasPrice; ; attempt++, price = raisedFee(price)) {
        const nonce = await client.getTransactionCount({ address: receiver, blockTag: 'latest' })
        try {
          const hash = await client.sendTransaction({
            to: address,
            data,
            nonce,
            gas: (gas * 12n) / 10n,
            gasPrice: price,
            chain: null,
          })
          const receipt = await client.waitForTransactionReceipt({ hash, timeout: patienceMs, pollingInterval: 200 })
          if (receipt.status !== 'success') throw new Error(`the claim was reverted in ${hash}`)
          return receipt.transactionHash
        } catch (error) {
          if (attempt === TRIES || !isStuck(error)) throw error
        }
      }
    },
  }
}

const isStuck = (error: unknown): boolean =>
  error instanceof WaitForTransactionReceiptTimeoutError ||
  /underpriced|fee too low|max fee per gas less than block base fee|already known|nonce too low/i.test(messageOf(error))

/** What the chain said, without the RPC's URL, which may hold a key. */
export function messageOf(error: unknown): string {
  if (!(error instanceof BaseError)) return (error as Error).message
  return [error.shortMessage, error.details].filter(Boolean).join(' ')
}

/** What a voucher can be paid now beyond what was paid: what is locked for its lane, then what is free. */
export function payable(charged: bigint, { paid, cap, free }: LaneState): bigint {
  if (charged <= paid) return 0n
  const covered = (cap > paid ? cap : paid) + free
  return min(charged, covered) - paid
}
