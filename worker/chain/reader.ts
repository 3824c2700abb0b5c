/** What the edge reads of the chain. */
import {
  BaseError,
  createPublicClient,
  type Hex,
  HttpRequestError,
  http,
  parseAbiItem,
  TimeoutError,
  zeroAddress,
} from 'viem'
import { daicnSettlementAbi as abi } from '#contracts/abi.ts'
import type { LaneOnChain } from '#core/lane.ts'
import type { Address } from '#core/protocol/values.ts'
import { isSignedByContract } from '#core/signature.ts'
import type { ChainSettings } from './settings.ts'

/** A block, with its hash, so that another at the same height is not taken for it. */
type BlockMark = { block: number; blockHash: string }
/** `amount` came into the account, base units; negative when it was taken out. */
type Move = BlockMark & { logIndex: number; account: `0x${string}`; payer: Address; amount: bigint }

const MOVES = [
  parseAbiItem(
    'event Deposited(bytes32 indexed account, address indexed payer, address indexed signer, uint256 amount)',
  ),
  parseAbiItem('event Withdrawn(bytes32 indexed account, address indexed payer, uint256 amount)'),
] as const

/** A call is given up after this long, and tried once more. */
const TIMEOUT_MS = 5_000

const isAway = (error: unknown): boolean =>
  error instanceof BaseError &&
  error.walk((cause) => cause instanceof HttpRequestError || cause instanceof TimeoutError) !== null

export type ChainReader = ReturnType<typeof openReader>

export function openReader({ rpc, deployment, confirmations }: ChainSettings) {
  const client = createPublicClient({ transport: http(rpc, { timeout: TIMEOUT_MS, retryCount: 1 }) })
  let isChecked = false

  /** Throws when the RPC is one of another chain. */
  async function check(): Promise<void> {
    if (isChecked) return
    const chainId = await client.getChainId()
    if (chainId !== deployment.chainId) {
      throw new Error(`RPC_URL is of chain ${chainId}, and the contracts are on ${deployment.chainId}`)
    }
    isChecked = true
  }

  return {
    /** The latest block with enough others above it. */
    async confirmedBlock(): Promise<number> {
      await check()
      return Number(await client.getBlockNumber({ cacheTime: 0 })) - confirmations
    },

    /** As the latest block has it; null for an account that was never paid into. */
    async laneOf(account: Hex, receiver: Address): Promise<LaneOnChain | null> {
      await check()
      const address = deployment.settlement
      const [{ signer, free }, { paid, cap, epoch, unlockAt }] = await Promise.all([
        client.readContract({ abi, address, functionName: 'accounts', args: [account] }),
        client.readContract({ abi, address, functionName: 'lanes', args: [account, receiver] }),
      ])
      if (signer === zeroAddress) return null
      return { signer: signer.toLowerCase() as Address, free, paid, cap, epoch, unlockAt }
    },

    /** As the signer says of itself, which is a contract; false where there is none. */
    isSignedByContract: (signer: Address, hash: Hex, signature: Hex): Promise<boolean> =>
      isSignedByContract({ signer, hash, signature }, (question) => client.readContract(question), isAway),

    async markOf(block: number): Promise<BlockMark> {
      const { hash } = await client.getBlock({ blockNumber: BigInt(block) })
      return { block, blockHash: hash }
    },

    /** Deposits and withdrawals in these blocks, in order. */
    async moves(from: number, to: number): Promise<Move[]> {
      const logs = await client.getLogs({
        address: deployment.settlement,
        events: MOVES,
        fromBlock: BigInt(from),
        toBlock: BigInt(to),
        strict: true,
      })
      return logs.map(({ blockNumber, blockHash, logIndex, eventName, args }) => ({
        block: Number(blockNumber),
        blockHash,
        logIndex,
        account: args.account,
        payer: args.payer.toLowerCase() as Address,
        amount: eventName === 'Deposited' ? args.amount : -args.amount,
      }))
    },
  }
}
