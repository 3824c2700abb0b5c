/** What a provider is owed, collected from an edge that may lie, on a chain that may fail. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createTestClient,
  createWalletClient,
  encodeFunctionData,
  http,
  parseEther,
  parseGwei,
  recoverTypedDataAddress,
} from 'viem'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type CollectorOptions, startCollector } from '#agent/collector.ts'
import { createCover } from '#agent/cover.ts'
import type { LogEvent, LogFields } from '#agent/log.ts'
import { linkSettlement } from '#agent/settlement.ts'
import { TIMING } from '#agent/timing.ts'
import { openVoucherBook } from '#agent/voucher-book.ts'
import { daicnSettlementAbi, daicnTokenAbi } from '#contracts/abi.ts'
import { GAS_PRICE_ORACLE, l1DataFee } from '#core/l1-fee.ts'
import { BELIEVED_MS, type LaneView } from '#core/lane.ts'
import { laneStatementTypedData } from '#core/lane-statement.ts'
import { formatAmount, ONE_TOKEN, parseAmount } from '#core/money.ts'
import type { ClosingLane, SignedClosing } from '#core/protocol/lane-closing.ts'
import type { Lease } from '#core/protocol/lease.ts'
import type { Address } from '#core/protocol/values.ts'
import type { SignedVoucher } from '#core/voucher.ts'
import type { VoucherView } from '#core/voucher-page.ts'
import { openReader } from '#worker/chain/reader.ts'
import { startAnvil } from '../../scripts/anvil.ts'
import { DEPLOYER, keyed, send, startTestChain, type TestChain } from '../support/chain.ts'
import { eventually } from '../support/ledger.ts'
import { depositAndLock, lockCall, type Requester, requester, transferCall, voucherOf } from '../support/requester.ts'
import { startRpcProxy } from '../support/rpc-proxy.ts'

const PATIENCE_MS = 400
/** An ether that is worth so much that no claim pays. */
const TOO_DEAR = 10n ** 40n
let chain: TestChain
let state: string
let names = 0
/** A provider of its own for each test. */
let provider: ReturnType<typeof keyed>
const said: { event: LogEvent; fields: LogFields }[] = []
/** What was handed in. */
const closings: SignedClosing[] = []

beforeAll(async () => {
  chain = await startTestChain()
  state = await mkdtemp(join(tmpdir(), 'daicn-test-'))
}, 60_000)
afterAll(async () => {
  await chain?.stop()
  await rm(state, { recursive: true, force: true })
})
beforeEach(async () => {
  provider = keyed(`collecting provider ${names++}`)
  said.length = 0
  closings.length = 0
  await chain.client.setBalance({ address: provider.address, value: parseEther('100') })
})

const receiver = () => provider.address.toLowerCase() as Address
const folder = () => join(state, provider.address)
const bookOf = () => openVoucherBook(folder(), chain.settlement, receiver())
const reasons = () => said.flatMap(({ event, fields }) => (event === 'unpaid' ? [String(fields.reason)] : []))

/** Somebody with ten tokens on the chain, one of them locked for the provider. */
async function payer(): Promise<Requester> {
  const who = requester(`payer of ${provider.address} ${names++}`)
  await send(chain, DEPLOYER, chain.deployment.token, transferCall(who.payer.address, 10n * ONE_TOKEN))
  const call = await depositAndLock(chain, who, provider.address, 10n * ONE_TOKEN, ONE_TOKEN)
  await send(chain, who.payer, chain.deployment.settlement, call)
  return who
}

/** Whoever the edge says it is. */
const nameOf = (account: string) => account.slice(0, 42) as Address

const viewOf = ({ account, charged, ceiling, signature }: SignedVoucher): VoucherView => ({
  account: account as Address,
  requester: nameOf(account),
  charged: formatAmount(charged),
  ceiling: formatAmount(ceiling),
  selfSigned: false,
  signature,
})

const CREDIT = ONE_TOKEN / 10n

type Lying = {
  vouchers?: VoucherView[]
  closing?: ClosingLane[]
  etherPrice?: bigint
  lockLane?: CollectorOptions['edge']['lockLane']
  rpc?: string
  now?: () => number
}

/** A collector of what an edge hands out. */
async function collector({
  vouchers = [],
  closing = [],
  etherPrice = 0n,
  lockLane = locksNothing,
  rpc = chain.url,
  now = Date.now,
}: Lying) {
  const getVouchers = async () => ({ vouchers, next: '0', more: false, closing: [...closing] })
  const closeLane = async (signed: SignedClosing) => void closings.push(signed)
  const edge = { getVouchers, lockLane, closeLane }
  const link = linkSettlement(rpc, chain.settlement, provider, PATIENCE_MS)
  const log = (event: LogEvent, fields: LogFields = {}) => void said.push({ event, fields })
  const book = await bookOf()
  const cover = createCover(CREDIT)
  const { court } = chain.deployment
  const options = {
    edge,
    settlement: chain.settlement,
    court,
    receiver: receiver(),
    link,
    book,
    cover,
    etherPrice,
    log,
    now,
  }
  return startCollector({ ...options, timing: { ...TIMING, collectMs: 10, lookMs: 100 } })
}

/** Collects once. */
const collect = async (vouchers: VoucherView[], etherPrice = 0n) => (await collector({ vouchers, etherPrice })).stop()

/** An edge that says what it likes of an account, and has locked so much. */
const saysOf =
  (account: string, cap = '0') =>
  async (requester: Address): Promise<LaneView> => ({
    requester,
    account: account as Address,
    due: '0',
    paid: '0',
    cap,
    transaction: null,
  })
const locksNothing = saysOf(`0x${'00'.repeat(32)}`)

/** A lease that may come to so much. */
const leaseOf = ({ account }: Pick<Requester, 'account'>, price: bigint): Lease => ({
  id: `t${names++}.1`,
  seq: 1,
  kind: 'llm.chat',
  model: 'echo',
  input: {},
  maxUnits: 1,
  stream: false,
  terms: { requester: nameOf(account), ask: formatAmount(price), digest: null },
  expiresAt: 0,
})

const paidTo = async ({ account }: Requester) =>
  (
    await chain.client.readContract({
      abi: daicnSettlementAbi,
      address: chain.deployment.settlement,
      functionName: 'lanes',
      args: [account, provider.address],
    })
  ).paid

const wallet = () =>
  chain.client.readContract({
    abi: daicnTokenAbi,
    address: chain.deployment.token,
    functionName: 'balanceOf',
    args: [provider.address],
  })

test('vouchers of several accounts are claimed together and paid out, beyond what is locked too', async () => {
  const [alice, bob] = [await payer(), await payer()]
  const vouchers = await Promise.all([
    voucherOf(chain, alice, provider.address, 3n * ONE_TOKEN),
    voucherOf(chain, bob, provider.address, ONE_TOKEN),
  ])
  await collect(vouchers.map(viewOf))
  expect([await paidTo(alice), await paidTo(bob)]).toEqual([3n * ONE_TOKEN, ONE_TOKEN])
  expect(await wallet()).toBe((4n * ONE_TOKEN * 99n) / 100n)
  expect(said.map(({ event }) => event)).toEqual(['claimed'])
})

test('a claim waits until it costs little beside what it brings, unless the payer wants its money back', async () => {
  const alice = await payer()
  const { signer } = alice
  // At some 200,000 gas a claim comes to two thirds of what it brings.
  const etherPrice = (ONE_TOKEN * ONE_TOKEN) / ((await chain.client.getGasPrice()) * 300_000n)
  const vouchers = [viewOf(await voucherOf(chain, alice, provider.address, ONE_TOKEN))]
  await collect(vouchers, etherPrice)
  expect(await paidTo(alice)).toBe(0n)
  expect((await bookOf()).vouchers.size).toBe(1)
  const args = [signer.address, provider.address] as const
  const unlock = encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'requestUnlock', args })
  await send(chain, alice.payer, chain.deployment.settlement, unlock)
  await collect(vouchers, etherPrice)
  expect(await paidTo(alice)).toBe(ONE_TOKEN)
})

test('a voucher that shrinks, of another signer, for less than was charged or without an account is not kept', async () => {
  const [alice, mallory] = [await payer(), requester('mallory')]
  const good = await voucherOf(chain, alice, provider.address, 2n * ONE_TOKEN)
  await collect([viewOf(good)], TOO_DEAR)
  const forged = await voucherOf(chain, { ...alice, signer: mallory.signer }, provider.address, 3n * ONE_TOKEN)
  const bad = [
    viewOf(await voucherOf(chain, alice, provider.address, ONE_TOKEN)),
    viewOf(forged),
    { ...viewOf(good), charged: '3' },
    viewOf(await voucherOf(chain, mallory, provider.address, ONE_TOKEN)),
  ]
  for (const view of bad) await collect([view], TOO_DEAR)
  expect(reasons()).toEqual([
    'its voucher shrank from 2',
    'its voucher is not signed by its signer',
    'its voucher is for less than it was charged',
    'nothing was ever paid into it',
  ])
  expect([...(await bookOf()).vouchers.values()].map(({ ceiling }) => ceiling)).toEqual([2n * ONE_TOKEN])
})

test('a lease is taken as far as the lane covers it on the chain, and on a small credit beyond', async () => {
  const [alice, bob] = [await payer(), await payer()]
  const { takes, ended, stop } = await collector({ lockLane: saysOf(alice.account, '1000') })
  const first = leaseOf(alice, ONE_TOKEN)
  expect(await takes(first)).toBe(true)
  // What it says that is locked counts for nothing; nor does the lane of one requester cover the work for another.
  expect(await takes(leaseOf(alice, 2n * CREDIT))).toBe(false)
  expect(await takes(leaseOf(bob, 2n * CREDIT))).toBe(false)
  expect(await takes(leaseOf(bob, CREDIT))).toBe(true)
  expect(await takes(leaseOf(bob, 1n))).toBe(false)
  // Work that no voucher speaks of is not covered, whatever is locked.
  ended(first.id, true)
  expect(await takes(leaseOf(alice, 0n))).toBe(true)
  await stop()
})

test('where the lane falls short it is locked further first; one that is being unlocked covers nothing', async () => {
  const alice = await payer()
  const { signer, account } = alice
  let cap = ONE_TOKEN
  const lockLane = async (requester: Address) => {
    cap += ONE_TOKEN
    const call = await lockCall(chain, alice, provider.address, cap, 0n)
    await send(chain, alice.payer, chain.deployment.settlement, call)
    return saysOf(account)(requester)
  }
  const { takes, stop } = await collector({ lockLane })
  expect(await takes(leaseOf(alice, 2n * ONE_TOKEN))).toBe(true)
  expect(cap).toBe(2n * ONE_TOKEN)
  const args = [signer.address, provider.address] as const
  const unlock = encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'requestUnlock', args })
  await send(chain, alice.payer, chain.deployment.settlement, unlock)
  const later = await collector({ lockLane: saysOf(account) })
  expect(await later.takes(leaseOf(alice, 2n * CREDIT))).toBe(false)
  await Promise.all([stop(), later.stop()])
})

test('with the RPC away for ten minutes vouchers are taken and work goes on within what is locked, and all is claimed after', async () => {
  const [alice, bob] = [await payer(), await payer()]
  const rpc = await startRpcProxy(chain.url)
  let clock = Date.now()
  const vouchers: VoucherView[] = []
  const { takes, ended, stop } = await collector({
    rpc: rpc.url,
    vouchers,
    lockLane: saysOf(alice.account),
    now: () => clock,
  })
  const owed = async (who: Requester, amount: bigint) =>
    vouchers.splice(0, vouchers.length, viewOf(await voucherOf(chain, who, provider.address, amount)))
  const done = async (price: bigint) => {
    const lease = leaseOf(alice, price)
    if (!(await takes(lease))) return false
    ended(lease.id, true)
    return true
  }
  const step = ONE_TOKEN / 4n
  expect(await done(step)).toBe(true)
  await owed(alice, step)
  expect(await takes(leaseOf(alice, 0n))).toBe(true)
  await eventually('its first voucher is kept', 5_000, async () => (await bookOf()).vouchers.get(alice.account))
  rpc.setDown(true)
  for (let i = 2n; i <= 4n; i++) {
    clock += 200_000
    expect(await done(step)).toBe(true)
    await owed(alice, i * step)
  }
  // A voucher of an account that was never seen waits, and holds up nobody's.
  vouchers.push(viewOf(await voucherOf(chain, bob, provider.address, ONE_TOKEN)))
  expect(await done(2n * CREDIT)).toBe(false)
  expect((await bookOf()).vouchers.get(alice.account)!.charged).toBe(ONE_TOKEN)
  expect((await bookOf()).vouchers.has(bob.account)).toBe(false)
  expect(await takes(leaseOf(alice, CREDIT))).toBe(true)
  expect(await paidTo(alice)).toBe(0n)
  rpc.setDown(false)
  await stop()
  await rpc.stop()
  expect([await paidTo(alice), await paidTo(bob)]).toEqual([ONE_TOKEN, ONE_TOKEN])
})

test('what was locked is believed for half a day without the RPC, and no longer', async () => {
  const alice = await payer()
  const rpc = await startRpcProxy(chain.url)
  let clock = Date.now()
  const { takes, stop } = await collector({ rpc: rpc.url, lockLane: saysOf(alice.account), now: () => clock })
  expect(await takes(leaseOf(alice, ONE_TOKEN / 2n))).toBe(true)
  rpc.setDown(true)
  expect(await takes(leaseOf(alice, ONE_TOKEN / 4n))).toBe(true)
  clock += BELIEVED_MS
  expect(await takes(leaseOf(alice, 1n))).toBe(false)
  await stop()
  await rpc.stop()
})

test('a claim that the chain takes back is made again, and paid once', async () => {
  const alice = await payer()
  const vouchers = [viewOf(await voucherOf(chain, alice, provider.address, ONE_TOKEN))]
  await collect(vouchers)
  expect(await paidTo(alice)).toBe(ONE_TOKEN)
  await chain.client.request({ method: 'anvil_reorg', params: [1, []] } as never)
  expect(await paidTo(alice)).toBe(0n)
  await collect(vouchers)
  await collect(vouchers)
  expect(await paidTo(alice)).toBe(ONE_TOKEN)
  expect(await wallet()).toBe((ONE_TOKEN * 99n) / 100n)
})

test('an RPC of another chain is noticed, and nothing is sent to it', async () => {
  const other = await startAnvil({ chainId: 4242 })
  const link = linkSettlement(other.url, chain.settlement, provider)
  const { account } = requester('alice elsewhere')
  await expect(link.laneOf(account)).rejects.toThrow('the RPC is of chain 4242, and the vouchers are for 31337')
  const { deployment } = chain
  const edge = openReader({ rpc: other.url, deployment, publicRpc: null, confirmations: 0, posterKey: null })
  const told = 'RPC_URL is of chain 4242, and the contracts are on 31337'
  await expect(edge.laneOf(account, receiver())).rejects.toThrow(told)
  await expect(edge.confirmedBlock()).rejects.toThrow(told)
  await other.stop()
})

test('on a chain that is paid for data on layer 1, a claim costs that too', async () => {
  const base = await startAnvil({ chainId: 8453 })
  const handsOn = createTestClient({ mode: 'anvil', transport: http(base.url) })
  const wei = 10n ** 15n
  // A contract that answers every call with this number.
  const code = `0x7f${wei.toString(16).padStart(64, '0')}60005260206000f3` as const
  await handsOn.setCode({ address: GAS_PRICE_ORACLE, bytecode: code })
  await handsOn.setBalance({ address: provider.address, value: parseEther('100') })
  const link = linkSettlement(base.url, { ...chain.settlement, chainId: 8453 }, provider)
  const voucher = await voucherOf(chain, requester('elsewhere'), provider.address, ONE_TOKEN)
  const prices = { l1BaseFee: wei, blobBaseFee: wei, baseFeeScalar: wei, blobBaseFeeScalar: wei }
  const { dataFee } = await link.costOf([voucher])
  // A voucher does not compress: it alone is more than the least that is asked for.
  expect(dataFee).toBeGreaterThan(l1DataFee(new Uint8Array(100), prices))
  expect((await link.costOf(Array.from({ length: 20 }, () => voucher))).dataFee).toBeGreaterThan(dataFee)
  const here = await voucherOf(chain, await payer(), provider.address, ONE_TOKEN)
  expect((await linkSettlement(chain.url, chain.settlement, provider).costOf([here])).dataFee).toBe(0n)
  await base.stop()
})

test('a claim whose fee has become too low, behind a number that is missing, gets through and is paid once', async () => {
  const alice = await payer()
  const { client } = chain
  const send = createWalletClient({ account: provider, transport: http(chain.url) })
  await client.setAutomine(false)
  try {
    // One that waits for others which were never sent.
    await send.sendTransaction({ to: provider.address, nonce: 3, gas: 21_000n, gasPrice: parseGwei('9'), chain: null })
    const collecting = collect([viewOf(await voucherOf(chain, alice, provider.address, ONE_TOKEN))])
    const first = await waitForPending(1)
    await client.setNextBlockBaseFeePerGas({ baseFeePerGas: (first * 13n) / 10n })
    await client.mine({ blocks: 1 })
    expect(await paidTo(alice)).toBe(0n)
    await client.setNextBlockBaseFeePerGas({ baseFeePerGas: 1n })
    const mining = setInterval(() => void client.mine({ blocks: 1 }), 100)
    await collecting.finally(() => clearInterval(mining))
  } finally {
    await client.setAutomine(true)
  }
  expect(await paidTo(alice)).toBe(ONE_TOKEN)
  expect(await wallet()).toBe((ONE_TOKEN * 99n) / 100n)
  expect(parseAmount(String(said[0]?.fields.amount))).toBe(ONE_TOKEN)
})

/** The price of the provider's claim once so many transactions of its next number wait. */
async function waitForPending(count: number): Promise<bigint> {
  for (;;) {
    const { pending } = await chain.client.getTxpoolContent()
    const own = Object.entries(pending).find(([address]) => address.toLowerCase() === receiver())
    const waiting = Object.values(own?.[1] ?? {})
    if (waiting.length >= count) return BigInt(waiting[0]!.gasPrice ?? waiting[0]!.maxFeePerGas ?? 0)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('a lane is closed at what it was charged, once that is claimed, and nothing more is ever charged to it', async () => {
  const alice = await payer()
  const { account } = alice
  const asked = (charged: bigint) => [
    { requester: nameOf(account), account: account as Address, charged: formatAmount(charged) },
  ]
  const ahead = async (charged: bigint, ceiling: bigint) => ({
    ...viewOf(await voucherOf(chain, alice, provider.address, ceiling)),
    charged: formatAmount(charged),
    selfSigned: true,
  })
  const vouchers = [await ahead(ONE_TOKEN, 2n * ONE_TOKEN)]
  const closingAt = async (charged: bigint) =>
    (await collector({ vouchers, closing: asked(charged), etherPrice: TOO_DEAR })).stop()
  await closingAt(ONE_TOKEN - 1n)
  expect(reasons()).toEqual(['its lane is not closed: it was charged 1'])
  const working = await collector({ vouchers, closing: asked(ONE_TOKEN), etherPrice: TOO_DEAR })
  const lease = { ...leaseOf(alice, 1n), account: account as Address }
  expect(await working.takes(lease)).toBe(true)
  await working.stop()
  expect(reasons().slice(1)).toEqual(['its lane is not closed: there is work for it'])
  expect(closings).toEqual([])
  expect(await paidTo(alice)).toBe(0n)

  const asks: ClosingLane[] = []
  const idle = await collector({ vouchers, closing: asks })
  await eventually('its voucher is claimed', 5_000, async () => (await paidTo(alice)) === ONE_TOKEN || undefined)
  // It earns nothing more, and looks all the same.
  asks.push(...asked(ONE_TOKEN))
  await eventually('it is closed', 5_000, async () => closings.length > 0 || undefined)
  await idle.stop()
  const [{ statement, release }] = closings as [SignedClosing]
  const { signature, ...said } = statement
  expect(said).toMatchObject({ provider: receiver(), account, charged: String(ONE_TOKEN), closed: true })
  expect(await recoverTypedDataAddress({ ...laneStatementTypedData(chain.deployment, said), signature })).toBe(
    provider.address,
  )
  const args = [account, provider.address, BigInt(release.epoch), BigInt(release.deadline), release.signature] as const
  const freed = encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'release', args })
  await send(chain, alice.payer, chain.deployment.settlement, freed)

  // An agent that starts anew knows it too.
  const again = await collector({ vouchers: [await ahead(2n * ONE_TOKEN, 2n * ONE_TOKEN)] })
  expect(await again.takes({ ...leaseOf(alice, 1n), account: account as Address })).toBe(false)
  await again.stop()
  expect(reasons().at(-1)).toBe('its lane is closed')
  expect(await paidTo(alice)).toBe(ONE_TOKEN)
})
