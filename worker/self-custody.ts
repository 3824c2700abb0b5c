/** Calls that are paid from an account whose requester signs for it itself: the edge passes on what was signed and can sign nothing. */
import { DomainError } from '#core/errors.ts'
import { coveredBy, type LaneDemand, type LaneOnChain, LEAST_LOCK, type SeenLane, SignedLane } from '#core/lane.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { laneKey } from '#core/purse.ts'
import { isOfContract } from '#core/signature.ts'
import { lockTypedData, MAX_LANE, voucherTypedData } from '#core/voucher.ts'
import { fromBase64 } from './base64.ts'
import { chainOf, type Network } from './env.ts'
import { logChainError } from './log.ts'
import { unwrap } from './outcome.ts'

/** How such a call can be refused. */
export const LANE_ERRORS = ['no_chain', 'voucher_required', 'voucher_refused', 'chain_unreachable'] as const

type Given = { 'voucher-signer'?: Address | undefined; voucher?: string | undefined }
type Lane = { account: `0x${string}`; signer: Address; payer: Address; receiver: Address }

/**
 * Takes what was signed for a call, and finds the lane that pays for it. @returns the key of its purse
 * @throws DomainError voucher_required, with what is to be signed, and the others of `LANE_ERRORS`
 */
export async function laneFor(network: Network, payer: Address, encoded: string, given: Given): Promise<string> {
  const { settlement } = chainOf(network)
  const signer = given['voucher-signer']!
  const account = network.accountIdOf(payer, signer)
  const signed = given.voucher === undefined ? undefined : decoded(given.voucher)
  if (signed) {
    await accept(network, { account, signer, payer, receiver: signed.provider }, signed)
    // Should others have spent of it meanwhile, the market asks for more.
    return laneKey(account, signed.provider)
  }
  const choice = unwrap(await network.market().lane(payer, account, encoded))
  const { provider, ceiling } = choice
  if (ceiling <= (choice.signed?.ceiling ?? 0n)) return laneKey(account, provider)
  const { lane } = await lookAt(network, { account, payer, receiver: provider })
  if (coveredBy(lane) + lane.free < ceiling) {
    const short = formatAmount(ceiling - coveredBy(lane) - lane.free)
    throw new DomainError('insufficient_funds', { detail: `the account on the chain is ${short} tokens short of it` })
  }
  throw new DomainError('voucher_required', {
    lane: {
      settlement,
      account,
      provider,
      ceiling: formatAmount(ceiling),
      signed: choice.signed && { ...choice.signed, ceiling: formatAmount(choice.signed.ceiling) },
      free: formatAmount(lane.free),
      paid: formatAmount(lane.paid),
      cap: formatAmount(coveredBy(lane)),
      epoch: lane.epoch,
    } satisfies LaneDemand,
  })
}

async function accept(network: Network, lane: Lane, { ceiling, signature, lock }: SignedLane): Promise<void> {
  const { account, receiver, payer } = lane
  const units = parseAmount(ceiling)
  if (units > MAX_LANE) throw refused('its ceiling is more than a lane can hold')
  const voucher = voucherTypedData(chainOf(network).settlement, { account, receiver, ceiling: units })
  if (!(await isSigned(network, lane.signer, voucher, signature))) {
    throw refused('it is not signed by the key that Voucher-Signer names')
  }
  let seen = await lookAt(network, lane)
  if (lock && parseAmount(lock.cap) > seen.lane.cap) {
    await relay(network, lane, seen.lane, lock)
    seen = await lookAt(network, lane)
  }
  const covered = coveredBy(seen.lane)
  if (covered < units) throw refused(`the lane covers ${formatAmount(covered)} tokens on the chain`)
  unwrap(await network.market().vouch(payer, account, receiver, { ceiling: units, signature }, seen))
}

/** Sends a lock to the chain, which costs the edge a transaction; one that the contract would refuse is not sent. */
async function relay(
  network: Network,
  { account, signer, receiver }: Lane,
  { free, paid, cap: present, epoch, unlockAt }: LaneOnChain,
  { cap, epoch: signedEpoch, signature }: NonNullable<SignedLane['lock']>,
): Promise<void> {
  const lock = { account, receiver, cap: parseAmount(cap), epoch: BigInt(signedEpoch) }
  const added = lock.cap - (present > paid ? present : paid)
  if (unlockAt !== 0) throw refused('the lane is being unlocked')
  if (signedEpoch !== epoch) throw refused(`the lock is for epoch ${signedEpoch} of the lane, which is in ${epoch}`)
  if (added > free)
    throw refused(`the account has ${formatAmount(free)} tokens free, and the lock needs ${formatAmount(added)}`)
  if (added < LEAST_LOCK) throw refused(`a lock must add at least ${formatAmount(LEAST_LOCK)} tokens`)
  if (!(await isSigned(network, signer, lockTypedData(chainOf(network).settlement, lock), signature))) {
    throw refused('the lock is not signed by the key that Voucher-Signer names')
  }
  await reached(network.payments().lock({ ...lock, signature }))
}

type LaneMessage = ReturnType<typeof voucherTypedData> | ReturnType<typeof lockTypedData>

/** By the signer's key, or as the contract that it is says. @throws DomainError chain_unreachable */
async function isSigned(
  { chain, recoverSigner, hashOf }: Network,
  signer: Address,
  message: LaneMessage,
  signature: `0x${string}`,
): Promise<boolean> {
  if (!isOfContract(signature)) return (await recoverSigner(message, signature)) === signer
  return reached(chain!.reader.isSignedByContract(signer, hashOf(message), signature))
}

/**
 * How the chain has a lane; while it is away, how it was last seen.
 * @throws DomainError insufficient_funds for an account that nothing was ever deposited into, chain_unreachable
 */
async function lookAt(network: Network, { account, payer, receiver }: Omit<Lane, 'signer'>): Promise<SeenLane> {
  const at = Date.now()
  let lane: LaneOnChain | null
  try {
    lane = await reached(chainOf(network).reader.laneOf(account, receiver))
  } catch (error) {
    const seen = await network.market().laneSeen(payer, account, receiver)
    if (seen) return seen
    throw error
  }
  if (!lane)
    throw new DomainError('insufficient_funds', { detail: `nothing was deposited into the account ${account}` })
  return { lane, at }
}

async function reached<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked
  } catch (error) {
    logChainError(error)
    throw new DomainError('chain_unreachable')
  }
}

const refused = (detail: string) => new DomainError('voucher_refused', { detail })

function decoded(header: string): SignedLane {
  try {
    return SignedLane.parse(JSON.parse(new TextDecoder().decode(fromBase64(header))))
  } catch {
    throw refused('the header is not JSON of what was signed, in base64')
  }
}
