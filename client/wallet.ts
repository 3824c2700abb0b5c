/**
 * Self-custody: the key that spends from your account on the chain is yours. A call that must be paid is answered by the edge with
 * what is to be signed; the wallet signs no more than you allow, and the call goes on.
 */
import type { LaneDemand } from '#core/lane.ts'
import { formatAmount, max, min, parseAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { lockTypedData, type Settlement, voucherTypedData } from '#core/voucher.ts'
import { type Connection, insist } from './edge.ts'
import { DaicnError, missing } from './error.ts'

type Hex = `0x${string}`

/** What is needed of an Ethereum account; those of viem have it. */
export type LaneSigner = {
  address: Address
  signTypedData: ((voucher: ReturnType<typeof voucherTypedData>) => Promise<Hex>) &
    ((lock: ReturnType<typeof lockTypedData>) => Promise<Hex>)
}

export type WalletOptions = {
  /** The most tokens that one call may add to what is signed. */
  maxPerCall: string
  /** Tokens to lock for a provider beyond what a call needs, so that locks are rare; 1 unless told. They are free again 36 hours after you ask. */
  lockAhead?: string
}

export type Wallet = {
  address: Address
  maxPerCall: bigint
  /** What is signed for each lane, base units. */
  signed: Map<string, bigint>
  /** The one contract that it signs for: that of the first edge it met. */
  settlement: Settlement | undefined
  lockAhead: bigint
  signer: LaneSigner
  /** Calls are paid one after the other, for each voucher goes on from the last. */
  turn: Promise<unknown>
}

/** @param signer of the account; the payer is who signed in at the edge */
export const openWallet = (signer: LaneSigner, { maxPerCall, lockAhead = '1' }: WalletOptions): Wallet => ({
  address: signer.address.toLowerCase() as Address,
  maxPerCall: parseAmount(maxPerCall),
  lockAhead: parseAmount(lockAhead),
  signed: new Map(),
  settlement: undefined,
  signer,
  turn: Promise.resolve(),
})

/** Another call may have spent what was signed for this one. */
const TRIES = 4

/** Submits tasks, and signs for them where the connection has a wallet. */
export function submitPaid<T>(
  connection: Connection,
  body: unknown,
  headers: Record<string, string>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { wallet } = connection
  const post = (more: Record<string, string>) =>
    insist<T>(connection, 'POST', '/v1/tasks', { body, headers: { ...headers, ...more }, signal })
  if (!wallet) return post({})
  const paid = wallet.turn.then(() => pay(wallet, post))
  wallet.turn = paid.catch(() => {})
  return paid
}

async function pay<T>(wallet: Wallet, post: (headers: Record<string, string>) => Promise<T>): Promise<T> {
  const named = { 'voucher-signer': wallet.address }
  let left = wallet.maxPerCall
  let voucher: { voucher?: string } = {}
  for (let tries = 1; ; tries++) {
    try {
      return await post({ ...named, ...voucher })
    } catch (error) {
      if (!(error instanceof DaicnError) || error.code !== 'voucher_required' || tries === TRIES) throw error
      if (!error.lane) {
        voucher = {}
        continue
      }
      const before = await signedBefore(wallet, error.lane)
      const raise = max(parseAmount(error.lane.ceiling) - before, 0n)
      if (raise > left)
        throw missing('price_too_high', `${formatAmount(raise)} tokens, and ${formatAmount(left)} are allowed`)
      left -= raise
      voucher = { voucher: btoa(JSON.stringify(await sign(wallet, error.lane))) }
    }
  }
}

const laneKey = ({ account, provider }: LaneDemand) => `${account} ${provider}`

/** What this key has signed for the lane, base units: as this wallet knows, or else as the edge proves by the signature. */
async function signedBefore(wallet: Wallet, lane: LaneDemand): Promise<bigint> {
  const known = wallet.signed.get(laneKey(lane))
  if (known !== undefined || !lane.signed) return known ?? 0n
  const { recoverSigner } = await import('./verify.ts')
  const ceiling = parseAmount(lane.signed.ceiling)
  const message = { account: lane.account, receiver: lane.provider, ceiling }
  const by = await recoverSigner(voucherTypedData(settlementOf(wallet, lane), message), lane.signed.signature)
  return by === wallet.address ? ceiling : 0n
}

/** @throws DaicnError for another contract than before, so that no edge can have it sign for one of its own */
function settlementOf(wallet: Wallet, { settlement }: LaneDemand): Settlement {
  wallet.settlement ??= settlement
  const { chainId, address } = wallet.settlement
  if (settlement.chainId === chainId && settlement.address === address) return settlement
  throw missing('not_understood', `it names the contract ${settlement.address}, and ${address} was signed for before`)
}

/** A voucher, and a lock where the lane does not reach. */
async function sign(wallet: Wallet, lane: LaneDemand) {
  const { account, provider: receiver, epoch } = lane
  const [ceiling, cap, free] = [parseAmount(lane.ceiling), parseAmount(lane.cap), parseAmount(lane.free)]
  const settlement = settlementOf(wallet, lane)
  const signature = await wallet.signer.signTypedData(voucherTypedData(settlement, { account, receiver, ceiling }))
  wallet.signed.set(laneKey(lane), ceiling)
  const voucher = { provider: receiver, ceiling: lane.ceiling, signature }
  if (ceiling <= cap) return voucher
  const next = min(ceiling + wallet.lockAhead, cap + free)
  const lock = { account, receiver, cap: next, epoch: BigInt(epoch) }
  const signed = await wallet.signer.signTypedData(lockTypedData(settlement, lock))
  return { ...voucher, lock: { cap: formatAmount(next), epoch, signature: signed } }
}
