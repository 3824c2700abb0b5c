/** An edge whose money is on a chain: what comes in, what is spent, what is paid out, and a chain that fails. */
import { join } from 'node:path'
import { createTestClient, createWalletClient, encodeFunctionData, http } from 'viem'
import { generatePrivateKey, type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCollector } from '../../agent/collector.ts'
import { claim } from '../../agent/commands/claim.ts'
import { createCover } from '../../agent/cover.ts'
import { createEdge } from '../../agent/edge.ts'
import { loadAccount } from '../../agent/key.ts'
import { linkSettlement } from '../../agent/settlement.ts'
import { TIMING } from '../../agent/timing.ts'
import { openVoucherBook } from '../../agent/voucher-book.ts'
import { health, signIn } from '../../client/account.ts'
import { call } from '../../client/edge.ts'
import { daicnSettlementAbi } from '../../contracts/abi.ts'
import type { ChainView } from '../../core/deployment.ts'
import type { LaneView } from '../../core/lane.ts'
import { ONE_TOKEN, parseAmount } from '../../core/money.ts'
import type { AccountView, TaskView } from '../../core/protocol.ts'
import { fuel, type LocalChain, readBalances, startLocalChain } from '../../scripts/chain.ts'
import { temporaryState } from '../support/edge.ts'
import { createWorld, type Member, type World } from '../support/fault-world.ts'
import { eventually, readBalances as readAccount } from '../support/ledger.ts'
import { pollOnce, resultOf } from '../support/pull-provider.ts'
import { type RpcProxy, startRpcProxy } from '../support/rpc-proxy.ts'

const OFFER = { kind: 'llm.chat', model: 'echo', ask: '0.00000123', speed: 100 } as const
const SOON_MS = 15_000

type Payer = Member & { key: PrivateKeyAccount; account: NonNullable<AccountView['chain']> }

let chain: LocalChain
let rpc: RpcProxy
let folder: Awaited<ReturnType<typeof temporaryState>>
let world: World
let provider: Member & { key: PrivateKeyAccount; state: string }

beforeAll(async () => {
  folder = await temporaryState()
  chain = await startLocalChain(join(folder.state, 'chain'))
  rpc = await startRpcProxy(chain.url)
  world = await createWorld({ ...chain.variables, RPC_URL: rpc.url, CONFIRMATIONS: '2' })
  const { address } = await health({ edge: world.url })
  await fuel(chain, address)
  const state = join(folder.state, 'provider')
  const key = await loadAccount(state)
  await fuel(chain, key.address)
  provider = { ...(await member(key)), key, state }
  await call(provider.caller, 'POST', '/v1/provider/register', { body: { slots: 4, offers: [OFFER] } })
})
afterAll(async () => {
  await world?.end()
  await rpc?.stop()
  await chain?.stop()
  await folder?.remove()
})

async function member(key: PrivateKeyAccount): Promise<Member> {
  const { address, token } = await signIn({ edge: world.url }, key)
  return { address, caller: { edge: world.url, key: token } }
}

const hands = () => createTestClient({ mode: 'anvil', transport: http(chain.url) })
const mine = (blocks: number) => hands().mine({ blocks })

/** Somebody with 100 tokens on the chain, of which the edge may not know yet. */
async function depositor(): Promise<Payer> {
  const key = privateKeyToAccount(generatePrivateKey())
  const someone = await member(key)
  await call(someone.caller, 'POST', '/v1/account/faucet')
  const { chain: account } = await call<AccountView>(someone.caller, 'GET', '/v1/account')
  await fuel(chain, key.address)
  return { ...someone, key, account: account! }
}

const freeOf = async (who: Member) => (await readAccount(who)).free
const untilFree = (who: Member, amount: bigint) =>
  eventually(`${amount} are free`, SOON_MS, async () => ((await freeOf(who)) === amount ? true : undefined))

/** A requester whose deposit is confirmed. */
async function payer(): Promise<Payer> {
  const who = await depositor()
  await mine(2)
  await untilFree(who, 100n * ONE_TOKEN)
  return who
}

const submit = ({ caller }: Member) =>
  call<TaskView>(caller, 'POST', '/v1/tasks', {
    body: {
      kind: OFFER.kind,
      model: OFFER.model,
      input: { messages: [{ role: 'user', content: 'hi' }], max_tokens: 40 },
    },
  })

let seen = 0
/** Has tasks done. @returns what they cost */
async function work(who: Member, count: number): Promise<bigint> {
  let cost = 0n
  for (let i = 1; i <= count; i++) {
    const { id } = await submit(who)
    const [lease] = (await pollOnce(provider.caller, { free: 1, seen })).leases.slice(-1)
    seen = lease!.seq
    await pollOnce(provider.caller, { seen, results: [resultOf(lease!.id, 7 * i)] })
    const { price } = await call<TaskView>(who.caller, 'GET', `/v1/tasks/${id}`)
    cost += parseAmount(price!)
  }
  return cost
}

/** Fetches the vouchers there are, and claims them unless an ether is too dear for that. */
async function collect(etherPrice = 0n): Promise<void> {
  const settlement = { chainId: chain.deployment.chainId, address: chain.deployment.settlement }
  const receiver = provider.address
  const book = await openVoucherBook(provider.state, settlement, receiver)
  const link = linkSettlement(chain.url, settlement, provider.key)
  const edge = createEdge(world.url, provider.key, Date.now)
  const cover = createCover(ONE_TOKEN)
  const options = { edge, settlement, receiver, link, book, cover, etherPrice, log: () => {}, timing: TIMING }
  await startCollector(options).stop()
}

const paidBy = ({ account }: Payer) => readBalances(chain, account.account).paidTo(provider.address)

async function withdraw({ key, account }: Payer, amount: bigint): Promise<void> {
  const args = [account.signer, amount] as const
  const data = encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'withdraw', args })
  const wallet = createWalletClient({ account: key, transport: http(chain.url) })
  await wallet.sendTransactionSync({ to: chain.deployment.settlement, data, chain: null })
}

test('the chain is told, and nothing of the RPC of the edge', async () => {
  const told = await call<ChainView>({ edge: world.url }, 'GET', '/v1/chain')
  expect(told).toEqual({ chainId: 31337, deployment: chain.deployment, confirmations: 2, rpc: chain.url })
})

test('a deposit counts when it is confirmed; what is spent of it is claimed to the unit', async () => {
  const alice = await depositor()
  expect(await freeOf(alice)).toBe(0n)
  await mine(2)
  await untilFree(alice, 100n * ONE_TOKEN)
  const wallet = () => readBalances(chain, alice.account.account).wallet(provider.address)
  const before = await wallet()
  const cost = await work(alice, 3)
  await collect()
  expect(await paidBy(alice)).toBe(cost)
  expect((await wallet()) - before).toBe(cost - cost / 100n)
  expect(await freeOf(alice)).toBe(100n * ONE_TOKEN - cost)
})

test('a lane is locked for what its leases may come to, and its payer cannot take that out', async () => {
  const alice = await payer()
  const ask = () =>
    call<LaneView>(provider.caller, 'POST', '/v1/provider/lanes', { body: { requester: alice.address } })
  await expect(ask()).rejects.toMatchObject({ code: 'not_owed' })
  const { id } = await submit(alice)
  const [lease] = (await pollOnce(provider.caller, { free: 1, seen })).leases.slice(-1)
  seen = lease!.seq
  const [lane, again] = [await ask(), await ask()]
  expect(parseAmount(lane.cap)).toBeGreaterThan(parseAmount(lane.due))
  expect(lane).toMatchObject({ account: alice.account.account, transaction: expect.stringMatching(/^0x/) })
  expect(again).toMatchObject({ cap: lane.cap, transaction: null })
  await withdraw(alice, 100n * ONE_TOKEN - parseAmount(lane.cap))
  await pollOnce(provider.caller, { seen, results: [resultOf(lease!.id, 7)] })
  const { price } = await call<TaskView>(alice.caller, 'GET', `/v1/tasks/${id}`)
  await collect()
  expect(await paidBy(alice)).toBe(parseAmount(price!))
})

test('vouchers that were fetched are claimed with the edge gone', async () => {
  const alice = await payer()
  const cost = await work(alice, 2)
  await collect(10n ** 40n)
  expect(await paidBy(alice)).toBe(0n)
  await world.crash(async () => {
    expect(await claim(chain.url, provider.state)).toBe(0)
  })
  expect(await paidBy(alice)).toBe(cost)
  seen = 0
  expect(await work(alice, 1)).toBeGreaterThan(0n)
})

test('what is taken out on the chain can be spent no more', async () => {
  const alice = await payer()
  const cost = await work(alice, 1)
  await collect()
  await withdraw(alice, 100n * ONE_TOKEN - cost)
  await mine(2)
  await untilFree(alice, 0n)
  // What the market had drawn in advance is given back a moment later.
  await eventually('nothing more is taken', SOON_MS, async () => {
    const answer = await submit(alice).catch((error: { code: string }) => error.code)
    if (typeof answer === 'string') return answer === 'insufficient_funds' || undefined
    await call(alice.caller, 'POST', `/v1/tasks/${answer.id}/cancel`)
    return undefined
  })
})

test('without its RPC the market goes on within what was deposited, and a deposit counts when the RPC is back', async () => {
  const alice = await payer()
  rpc.setDown(true)
  const cost = await work(alice, 2)
  await withdraw(alice, 90n * ONE_TOKEN)
  await mine(2)
  await expect(call(alice.caller, 'POST', '/v1/account/faucet')).rejects.toMatchObject({ code: 'chain_unreachable' })
  rpc.setDown(false)
  await untilFree(alice, 10n * ONE_TOKEN - cost)
})

test('a deposit whose block is taken back is taken back, though it was confirmed, and others stay', async () => {
  const alice = await payer()
  await mine(1)
  const bob = await payer()
  await hands().request({ method: 'anvil_reorg', params: [4, []] } as never)
  await mine(3)
  await untilFree(bob, 0n)
  expect(await freeOf(alice)).toBe(100n * ONE_TOKEN)
})
