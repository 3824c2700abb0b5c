/**
 * Tasks of a real trace, paid by vouchers: a requester signs before each task, the provider checks and charges, and claims
 * on a chain. At the end everybody takes out what is theirs, and all that stands on the chain is held against the prices
 * of the tasks. The market has no part in it: who does what is drawn.
 */
import { type Address, encodeFunctionData, verifyTypedData } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import { daicnSettlementAbi as abi, daicnTokenAbi } from '#contracts/abi.ts'
import { ONE_TOKEN, parseAmount, splitFee } from '#core/money.ts'
import { meter } from '#core/pricing.ts'
import {
  acceptVoucher,
  charge,
  type Lane,
  nextCeiling,
  packVouchers,
  releaseTypedData,
  type SignedVoucher,
  voucherTypedData,
} from '#core/voucher.ts'
import { DEPLOYER, keyed, send, type TestChain } from '../support/chain.ts'
import {
  claimCall,
  depositAndLock,
  lockCall,
  multicall,
  type Requester,
  requester,
  transferCall,
  voucherOf,
} from '../support/requester.ts'
import type { Arrival } from './replay.ts'

const REQUESTERS = 10
const PROVIDERS = 4
/** Tasks between two rounds of claims. */
const CLAIM_EVERY = 1_000
/** Tasks that are open at a time. */
const OPEN = 32
/** Output tokens that a requester signs for before it knows how many there will be. */
const MAX_OUTPUT = 2_048
const DEPOSIT = 50n * ONE_TOKEN
/** Some lanes come to more than is locked; the rest is paid from what is free. */
const LOCKED = ONE_TOKEN
const DEADLINE = 2n ** 48n - 1n

const NEW: Lane = { charged: 0n, ceiling: 0n, paid: 0n, locked: LOCKED }

type Payer = Requester & { spent: bigint }
type Provider = { key: PrivateKeyAccount; ask: bigint; earned: bigint }
type Pair = { payer: Payer; provider: Provider; lane: Lane; held: bigint; voucher?: SignedVoucher }
type Open = { pair: Pair; held: bigint; price: bigint }

/** @param drift base units by which the chain and the prices of the tasks differ, over all accounts */
export type Played = { vouchers: number; claims: number; spent: bigint; drift: bigint }

/** Needs a chain that nobody has paid on. */
export async function playTrace(chain: TestChain, arrivals: readonly Arrival[], random: () => number): Promise<Played> {
  const payers = Array.from({ length: REQUESTERS }, (_, i): Payer => ({ ...requester(`payer ${i}`), spent: 0n }))
  const providers = Array.from({ length: PROVIDERS }, (_, i): Provider => {
    // No round number, so that fees have something to round.
    const ask = parseAmount('0.000009') + BigInt(Math.floor(random() * 1e12))
    return { key: keyed(`provider ${i}`), ask, earned: 0n }
  })
  const pairs = payers.flatMap((payer) => providers.map((provider): Pair => ({ payer, provider, lane: NEW, held: 0n })))
  for (const payer of payers) await join(chain, payer, providers)

  const played = { vouchers: 0, claims: 0, fees: 0n }
  const open: Open[] = []
  for (const [i, arrival] of arrivals.entries()) {
    if (open.length === OPEN) finish(open.splice(Math.floor(random() * OPEN), 1)[0]!)
    open.push(await start(pairs[Math.floor(random() * pairs.length)]!, arrival))
    if ((i + 1) % CLAIM_EVERY === 0) await claimAll()
  }
  open.forEach(finish)
  await claimAll()
  await takeOut(chain, payers, providers)
  const spent = payers.reduce((sum, payer) => sum + payer.spent, 0n)
  const drift = await driftOf(chain, payers, providers, pairs, played.fees)
  return { vouchers: played.vouchers, claims: played.claims, spent, drift }

  async function start(pair: Pair, { inTokens, outTokens }: Arrival): Promise<Open> {
    const { payer, provider, lane } = pair
    const limit = meter('llm.chat', { inputTokens: inTokens, outputTokens: MAX_OUTPUT }, Number.MAX_SAFE_INTEGER)
    const held = provider.ask * BigInt(limit)
    const ceiling = nextCeiling(lane, pair.held, held)
    if (ceiling > lane.ceiling) {
      const voucher = await voucherOf(chain, payer, provider.key.address, ceiling)
      await check(pair, voucher)
      Object.assign(pair, { voucher, lane: acceptVoucher(lane, ceiling) })
      played.vouchers++
    }
    pair.held += held
    const units = meter('llm.chat', { inputTokens: inTokens, outputTokens: outTokens }, limit)
    return { pair, held, price: provider.ask * BigInt(units) }
  }

  async function check({ payer, provider }: Pair, { account, ceiling, signature }: SignedVoucher): Promise<void> {
    const message = voucherTypedData(chain.settlement, { account, receiver: provider.key.address, ceiling })
    const good = await verifyTypedData({ ...message, address: payer.signer.address, signature })
    if (!good) throw new Error(`a voucher of ${account} was not signed by its signer`)
  }

  async function claimAll(): Promise<void> {
    for (const provider of providers) {
      const due = pairs.filter((pair) => pair.provider === provider && pair.lane.charged > pair.lane.paid)
      const vouchers = packVouchers(due.map(({ lane, voucher }) => ({ ...voucher!, charged: lane.charged })))
      await send(chain, provider.key, chain.deployment.settlement, claimCall(provider.key.address, vouchers))
      // The fee is taken of the claim, rounded down once, in the provider's favour.
      const { earned, fee } = splitFee(due.reduce((sum, { lane }) => sum + lane.charged - lane.paid, 0n))
      provider.earned += earned
      played.fees += fee
      played.claims++
      for (const pair of due) pair.lane = paidUp(pair.lane)
    }
  }
}

function finish({ pair, held, price }: Open): void {
  pair.held -= held
  pair.lane = charge(pair.lane, price)
  pair.payer.spent += price
}

/** A lane after a claim of all it charged. */
function paidUp({ charged, ceiling, paid, locked }: Lane): Lane {
  const left = locked - (charged - paid)
  return { charged, ceiling, paid: charged, locked: left > 0n ? left : 0n }
}

async function join(chain: TestChain, payer: Payer, [first, ...others]: Provider[]): Promise<void> {
  const { token, settlement } = chain.deployment
  await send(chain, DEPLOYER, token, transferCall(payer.payer.address, DEPOSIT))
  const deposit = await depositAndLock(chain, payer, first!.key.address, DEPOSIT, LOCKED)
  const locks = await Promise.all(others.map(({ key }) => lockCall(chain, payer, key.address, LOCKED, 0n)))
  await send(chain, payer.payer, settlement, multicall([deposit, ...locks]))
}

/** Providers and the treasury are paid what they earned; lanes are released and requesters withdraw what is free. */
async function takeOut(chain: TestChain, payers: Payer[], providers: Provider[]): Promise<void> {
  const { settlement, timelock } = chain.deployment
  for (const receiver of [...providers.map(({ key }) => key.address), timelock]) {
    await send(chain, DEPLOYER, settlement, encodeFunctionData({ abi, functionName: 'settle', args: [receiver] }))
  }
  for (const { account, payer, signer } of payers) {
    const releases = providers.map(async ({ key }) => {
      const message = { account, receiver: key.address, epoch: 0n, deadline: DEADLINE }
      const signature = await key.signTypedData(releaseTypedData(chain.settlement, message))
      const args = [account, key.address, 0n, DEADLINE, signature] as const
      return encodeFunctionData({ abi, functionName: 'release', args })
    })
    await send(chain, payer, settlement, multicall(await Promise.all(releases)))
    const { free } = await chain.client.readContract({
      abi,
      address: settlement,
      functionName: 'accounts',
      args: [account],
    })
    await send(
      chain,
      payer,
      settlement,
      encodeFunctionData({ abi, functionName: 'withdraw', args: [signer.address, free] }),
    )
  }
}

/** Every wallet, every lane, and the contract, in which nothing may be left. */
async function driftOf(
  chain: TestChain,
  payers: Payer[],
  providers: Provider[],
  pairs: Pair[],
  fees: bigint,
): Promise<bigint> {
  const { token, settlement, timelock } = chain.deployment
  const wallet = (of: Address) =>
    chain.client.readContract({ abi: daicnTokenAbi, address: token, functionName: 'balanceOf', args: [of] })
  const paid = async ({ payer, provider }: Pair) => {
    const args = [payer.account, provider.key.address] as const
    return (await chain.client.readContract({ abi, address: settlement, functionName: 'lanes', args })).paid
  }
  const gaps = await Promise.all([
    ...payers.map(async ({ payer, spent }) => (await wallet(payer.address)) - (DEPOSIT - spent)),
    ...providers.map(async ({ key, earned }) => (await wallet(key.address)) - earned),
    ...pairs.map(async (pair) => (await paid(pair)) - pair.lane.charged),
    wallet(timelock).then((held) => held - fees),
    wallet(settlement),
  ])
  return gaps.reduce((sum, gap) => sum + (gap < 0n ? -gap : gap), 0n)
}
