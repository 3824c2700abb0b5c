/**
 * Self-custody: the key that spends from your account on the chain is yours. A call that must be paid is answered by the edge with
 * what is to be signed; the wallet signs no more than you allow, and the call goes on.
 */
import { ERRORS } from '#core/errors.ts'
import type { LaneDemand } from '#core/lane.ts'
import { formatAmount, max, min, parseAmount } from '#core/money.ts'
import type { OpenAiError } from '#core/openai-error.ts'
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
  /** What is signed goes on from what was signed last. */
  turn: Promise<unknown>
  /** Pays for calls of other clients, as of OpenAI's SDK: they take it in the place of the global `fetch`. */
  fetch: typeof fetch
}

/** @param signer of the account; the payer is who signed in at the edge */
export function openWallet(signer: LaneSigner, { maxPerCall, lockAhead = '1' }: WalletOptions): Wallet {
  const wallet: Wallet = {
    address: signer.address.toLowerCase() as Address,
    maxPerCall: parseAmount(maxPerCall),
    lockAhead: parseAmount(lockAhead),
    signed: new Map(),
    settlement: undefined,
    signer,
    turn: Promise.resolve(),
    fetch: (input, init) => fetchPaid(wallet, new Request(input, init)),
  }
  return wallet
}

/** Another call may have spent what was signed for this one. */
const TRIES = 4
/** Where calls are under way at once, each of the others may have. */
const TRIES_AT_ONCE = 16

/** Submits tasks, and signs for them where the connection has a wallet. One call after the other, for each is answered at once. */
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
  return inTurn(wallet, () => pay(wallet, post, TRIES, (lane, left) => signWithin(wallet, lane, left)))
}

/**
 * A call to one of OpenAI's routes, which may be answered only when its task is done: calls are under way at once, and what they
 * sign for is signed one after the other. What the wallet refuses is answered as the edge's own refusals are.
 */
async function fetchPaid(wallet: Wallet, request: Request): Promise<Response> {
  if (request.method !== 'POST') return fetch(request)
  const post = async (more: Record<string, string>) => {
    const copy = request.clone()
    for (const [name, value] of Object.entries(more)) copy.headers.set(name, value)
    const response = await fetch(copy)
    const fault = response.status === 402 ? await demandOf(response.clone()) : undefined
    if (fault) throw fault
    return response
  }
  try {
    return await pay(wallet, post, TRIES_AT_ONCE, (lane, left) => inTurn(wallet, () => signWithin(wallet, lane, left)))
  } catch (error) {
    if (!(error instanceof DaicnError)) throw error
    const { code, message, hint } = error
    return Response.json(
      { error: { message: `${message}. ${hint}`, type: 'insufficient_quota', code, param: null } },
      { status: 402 },
    )
  }
}

/** Undefined for what no voucher mends. */
async function demandOf(response: Response): Promise<DaicnError | undefined> {
  const { error } = (await response.json().catch(() => ({}))) as { error?: OpenAiError }
  if (!error || !PAYABLE.has(error.code)) return undefined
  const { status } = response
  const [, title, hint] = ERRORS.voucher_required
  // One is refused too when another call's has overtaken it.
  return new DaicnError({
    code: 'voucher_required',
    status,
    title,
    hint,
    detail: error.message,
    ...(error.lane && { lane: error.lane }),
  })
}

const PAYABLE: ReadonlySet<string> = new Set(['voucher_required', 'voucher_refused'])

function inTurn<T>(wallet: Wallet, work: () => Promise<T>): Promise<T> {
  const done = wallet.turn.then(work)
  wallet.turn = done.catch(() => {})
  return done
}

type Signing = (lane: LaneDemand, left: bigint) => Promise<{ raise: bigint; voucher: string }>

/** Makes a call, and again with what is asked to be signed for it, within what one call may add. */
async function pay<T>(
  wallet: Wallet,
  post: (headers: Record<string, string>) => Promise<T>,
  tries: number,
  sign: Signing,
): Promise<T> {
  const named = { 'voucher-signer': wallet.address }
  let left = wallet.maxPerCall
  let voucher: { voucher?: string } = {}
  for (let tried = 1; ; tried++) {
    try {
      return await post({ ...named, ...voucher })
    } catch (error) {
      const isAsked = error instanceof DaicnError && error.code === 'voucher_required'
      if (!isAsked || tried === tries) throw error
      voucher = {}
      if (!error.lane) continue
      const signed = await sign(error.lane, left)
      left -= signed.raise
      voucher = { voucher: signed.voucher }
    }
  }
}

/** Signs for what a lane asks, unless that is more than is left. @throws DaicnError price_too_high, not_understood */
async function signWithin(wallet: Wallet, lane: LaneDemand, left: bigint): Promise<{ raise: bigint; voucher: string }> {
  const raise = max(parseAmount(lane.ceiling) - (await signedBefore(wallet, lane)), 0n)
  if (raise > left)
    throw missing('price_too_high', `${formatAmount(raise)} tokens, and ${formatAmount(left)} are allowed`)
  return { raise, voucher: btoa(JSON.stringify(await sign(wallet, lane))) }
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
  const key = laneKey(lane)
  wallet.signed.set(key, max(wallet.signed.get(key) ?? 0n, ceiling))
  const voucher = { provider: receiver, ceiling: lane.ceiling, signature }
  if (ceiling <= cap) return voucher
  const next = min(ceiling + wallet.lockAhead, cap + free)
  const lock = { account, receiver, cap: next, epoch: BigInt(epoch) }
  const signed = await wallet.signer.signTypedData(lockTypedData(settlement, lock))
  return { ...voucher, lock: { cap: formatAmount(next), epoch, signature: signed } }
}
