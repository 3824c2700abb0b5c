/** Calls that are paid from an account whose requester signs for it itself: the edge passes on what was signed and can sign nothing. */
import { DomainError } from '#core/errors.ts'
import { coveredBy, type LaneDemand, type LaneOnChain, LEAST_LOCK, type SeenLane, SignedLane } from '#core/lane.ts'
import { formatAmount, parseAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { laneKey } from '#core/purse.ts'
import type { TaskRequest } from '#core/request.ts'
import { isOfContract } from '#core/signature.ts'
import { lockTypedData, MAX_LANE, voucherTypedData } from '#core/voucher.ts'
import { fromBase64 } from './base64.ts'
import { cellFor, homeOf } from './cells.ts'
import { chainOf, type Network } from './env.ts'
import { logChainError } from './log.ts'
import { unwrap } from './outcome.ts'

/** How such a call can be refused. */
export const LANE_ERRORS = ['no_chain', 'voucher_required', 'voucher_refused', 'chain_unreachable'] as const

type Given = { 'voucher-signer'?: Address | undefined; voucher?: string | undefined }
/** What is to be paid for, and the same as it goes to a market. */
type Asked = { requests: TaskRequest[]; encoded: string }
type Lane = { account: `0x${string}`; signer: Address; payer: Address; receiver: Address }

/**
 * Takes what was signed for a call, and finds the lane that pays for it.
 * @returns the cell where its provider is at home, and the key of its purse
 * @throws DomainError voucher_required, with what is to be signed, and the others of `LANE_ERRORS`
 */
export async function laneFor(
  network: Network,
  payer: Address,
  asked: Asked,
  given: Given,
): Promise<{ cell: string; payer: string }> {
  const { settlement } = chainOf(network)
  const signer = given['voucher-signer']!
  const account = network.accountIdOf(payer, signer)
  const signed = given.voucher === undefined ? undefined : decoded(given.voucher)
  if (signed) {
    const receiver = signed.provider
    const cell = await homeOf(network, receiver)
    if (!cell) throw refused(`nobody is registered as ${receiver}`)
    await accept(network, cell, { account, signer, payer, receiver }, signed)
    // Should others have spent of it meanwhile, the market asks for more.
    return { cell, payer: laneKey(account, receiver) }
  }
  const { cell, choice } = await choose(network, payer, account, asked)
  const { provider, ceiling } = choice
  if (ceiling <= (choice.signed?.ceiling ?? 0n)) return { cell, payer: laneKey(account, provider) }
  const { lane } = await lookAt(network, cell, { account, payer, receiver: provider })
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

/** A lane that was signed for before, in whatever cell; else one of the cell that is to take the tasks, or of any that can. */
async function choose(network: Network, payer: Address, account: string, { requests, encoded }: Asked) {
  const { cells, everywhere } = network
  const choices = await everywhere((market) => market.lane(payer, account, encoded))
  const found = choices.flatMap((choice, i) => ('value' in choice ? [{ cell: cells[i]!, choice: choice.value }] : []))
  const known = found.find(({ choice }) => choice.signed !== null)
  if (known) return known
  const cell = await cellFor(network, payer, requests)
  const there = found.find((one) => one.cell === cell) ?? found[0]
  return there ?? { cell, choice: unwrap(choices[cells.indexOf(cell)]!) }
}

async function accept(
  network: Network,
  cell: string,
  lane: Lane,
  { ceiling, signature, lock }: SignedLane,
): Promise<void> {
  const { account, receiver, payer } = lane
  const units = parseAmount(ceiling)
  if (units > MAX_LANE) throw refused('its ceiling is more than a lane can hold')
  const voucher = voucherTypedData(chainOf(network).settlement, { account, receiver, ceiling: units })
  if (!(await isSigned(network, lane.signer, voucher, signature))) {
    throw refused('it is not signed by the key that Voucher-Signer names')
  }
  let seen = await lookAt(network, cell, lane)
  if (lock && parseAmount(lock.cap) > seen.lane.cap) {
    await relay(network, lane, seen.lane, lock)
    seen = await lookAt(network, cell, lane)
  }
  const covered = coveredBy(seen.lane)
  if (covered < units) throw refused(`the lane covers ${formatAmount(covered)} tokens on the chain`)
  unwrap(await network.market(cell).vouch(payer, account, receiver, { ceiling: units, signature }, seen))
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
async function lookAt(
  network: Network,
  cell: string,
  { account, payer, receiver }: Omit<Lane, 'signer'>,
): Promise<SeenLane> {
  const at = Date.now()
  let lane: LaneOnChain | null
  try {
    lane = await reached(chainOf(network).reader.laneOf(account, receiver))
  } catch (error) {
    const seen = await network.market(cell).laneSeen(payer, account, receiver)
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
