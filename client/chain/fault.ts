import {
  type BaseError,
  ContractFunctionRevertedError,
  decodeErrorResult,
  type Hex,
  HttpRequestError,
  InsufficientFundsError,
  RpcRequestError,
  TimeoutError,
  UserRejectedRequestError,
  BaseError as ViemError,
} from 'viem'
import { DaicnError } from '../error.ts'
import { REFUSALS, wordsOf } from './refusal.ts'

/** What can go wrong on the way to a chain and on it, as `core/errors.ts` has what an edge may say. Status 0: no answer. */
const CHAIN_ERRORS = {
  rpc_unreachable: [0, 'The node of the chain does not answer', 'Check its address, or give another with --rpc.'],
  wrong_chain: [409, 'The node is of another chain', 'Give a node of the right chain with --rpc.'],
  not_deployed: [409, 'The contracts are not on this chain', 'Check the addresses in the deployment file.'],
  insufficient_tokens: [402, 'There are not enough tokens', 'Get more of them first, or name a smaller amount.'],
  insufficient_gas: [402, 'There is not enough ether to pay for the transaction', 'Send some ether to the address.'],
  fee_too_high: [402, 'The transaction would cost more than it may', 'Wait, or raise --max-fee.'],
  reverted: [409, 'The contract refused', 'Nothing was changed.'],
  wallet_refused: [
    403,
    'The wallet was told not to sign',
    'Nothing was done. Try again, and confirm it in the wallet.',
  ],
  not_mined: [
    504,
    'The transaction was sent, and is in no block yet',
    'It may get into one later: look for it before you do the same again.',
  ],
  chain_refused: [409, 'The node refused', 'Look at what it says, or try another with --rpc.'],
} as const

export type ChainErrorCode = keyof typeof CHAIN_ERRORS

/** An error of the chain. */
export function chainFault(code: ChainErrorCode, detail: string, cause?: unknown): DaicnError {
  const [status, title, hint] = CHAIN_ERRORS[code]
  return new DaicnError({ code, status, title, hint, detail }, { cause })
}

/** Refusals that money would have prevented. */
const POOR: ReadonlySet<string> = new Set([
  'ERC20InsufficientBalance',
  'Ledger_Insufficient',
  'ProviderRegistry_Insufficient',
])

/** Awaits a call to a node. @throws DaicnError for all that it fails with */
export async function told<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw error instanceof ViemError ? toChainError(error) : error
  }
}

function toChainError(error: BaseError): DaicnError {
  const find = <E extends Error>(kind: abstract new (...args: never[]) => E) =>
    error.walk((cause) => cause instanceof kind) as E | null
  const reverted = find(ContractFunctionRevertedError)
  if (reverted) return refused(reverted)
  if (find(UserRejectedRequestError)) return chainFault('wallet_refused', error.shortMessage, error)
  // Of a transaction that is sent signed, viem leaves the node's words as they are.
  const isPoor = find(InsufficientFundsError) || InsufficientFundsError.nodeMessage.test(error.details.toLowerCase())
  if (isPoor) return chainFault('insufficient_gas', error.shortMessage, error)
  const lost = lostIn(error)
  if (lost) return chainFault('rpc_unreachable', lost.shortMessage, error)
  return chainFault('chain_refused', find(RpcRequestError)?.details ?? error.shortMessage, error)
}

/** The failure of a call that the node may have heard. */
export const lostIn = (error: BaseError): BaseError | null =>
  error.walk((cause) => cause instanceof HttpRequestError || cause instanceof TimeoutError) as BaseError | null

function refused(reverted: ContractFunctionRevertedError): DaicnError {
  const { errorName, args } = reverted.data ?? decoded(reverted.raw) ?? { errorName: undefined, args: undefined }
  if (errorName === undefined || errorName === 'Error' || errorName === 'Panic') {
    return chainFault('reverted', reverted.reason ?? reverted.shortMessage, reverted)
  }
  const code = POOR.has(errorName) ? 'insufficient_tokens' : 'reverted'
  return chainFault(code, wordsOf(errorName, args), reverted)
}

/** The error of another contract, which the called one passed on. */
function decoded(data: Hex | undefined): { errorName: string; args: readonly unknown[] } | undefined {
  if (data === undefined || data === '0x') return undefined
  try {
    const { errorName, args = [] } = decodeErrorResult({ abi: REFUSALS, data })
    return { errorName, args }
  } catch {
    return undefined
  }
}
