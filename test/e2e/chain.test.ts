/** An edge whose money is on a chain: what comes in, what is spent, what is paid out, and a chain that fails. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import OpenAI, { type APIError } from 'openai'
import { createTestClient, createWalletClient, encodeFunctionData, type Hex, hashTypedData, http } from 'viem'
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
import { accountId, deposit } from '../../client/chain/accounts.ts'
import { openChain, type Wallet } from '../../client/chain/chain.ts'
import { awardsOf } from '../../client/chain/court.ts'
import { register, stake, stakeOf } from '../../client/chain/stake.ts'
import { connect, type Daicn, openWallet } from '../../client/daicn.ts'
import { call } from '../../client/edge.ts'
import type { DaicnError } from '../../client/error.ts'
import { daicnSettlementAbi } from '../../contracts/abi.ts'
import type { ChainView } from '../../core/deployment.ts'
import type { LaneDemand, LaneView } from '../../core/lane.ts'
import { formatAmount, ONE_TOKEN, parseAmount } from '../../core/money.ts'
import type { AccountView } from '../../core/protocol/account.ts'
import type { OwnLane } from '../../core/protocol/lane-closing.ts'
import type { Lease } from '../../core/protocol/lease.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import type { Address } from '../../core/protocol/values.ts'
import type { TaskList } from '../../core/task-list.ts'
import {
  lockTypedData,
  packVouchers,
  releaseTypedData,
  type SignedVoucher,
  voucherTypedData,
} from '../../core/voucher.ts'
import { fuel, type LocalChain, readBalances, startLocalChain } from '../../scripts/chain.ts'
import { inRoot } from '../../scripts/paths.ts'
import { signerOf } from '../../worker/chain/account-signer.ts'
import { edgeKeyOf } from '../../worker/chain/edge-key.ts'
import { daicn as daicnCommand, start } from '../support/command.ts'
import { temporaryState } from '../support/edge.ts'
import { createWorld, type Member, type World } from '../support/fault-world.ts'
import { eventually, readBalances as readAccount } from '../support/ledger.ts'
import { pollOnce, resultOf } from '../support/pull-provider.ts'
import { transferCall } from '../support/requester.ts'
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
  const options = {
    edge,
    settlement,
    court: chain.deployment.court,
    receiver,
    link,
    book,
    cover,
    etherPrice,
    log: () => {},
    timing: TIMING,
    now: Date.now,
  }
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

type Own = Payer & { signer: PrivateKeyAccount; secrets: readonly [Hex, Hex]; daicn: (maxPerCall?: string) => Daicn }

/** Somebody with 5 tokens in an account that a key of its own signs for, or in its hands yet. */
async function ownPayer(deposited = 5n * ONE_TOKEN): Promise<Own> {
  const secrets = [generatePrivateKey(), generatePrivateKey()] as const
  const [key, signer] = [privateKeyToAccount(secrets[0]), privateKeyToAccount(secrets[1])]
  const treasurer = privateKeyToAccount(chain.variables.FAUCET_KEY as `0x${string}`)
  const from = createWalletClient({ account: treasurer, transport: http(chain.url) })
  const data = transferCall(key.address, 5n * ONE_TOKEN)
  await from.sendTransactionSync({ to: chain.deployment.token, data, chain: null })
  await fuel(chain, key.address)
  const { url: rpc, deployment } = chain
  if (deposited > 0n) {
    const wallet = await openChain({ rpc, deployment, account: key })
    await deposit(wallet as Wallet, deposited, lower(key.address), lower(signer.address))
  }
  const account = { account: accountId(lower(key.address), lower(signer.address)), signer: lower(signer.address) }
  const who = await member(key)
  const daicn = (maxPerCall = '0.1') => connect({ ...who.caller, wallet: openWallet(signer, { maxPerCall }) })
  return { ...who, key, signer, secrets, account, daicn }
}
const lower = (address: string) => address.toLowerCase() as Address

const CHAT = {
  kind: OFFER.kind,
  model: OFFER.model,
  input: { messages: [{ role: 'user' as const, content: 'hi' }], max_tokens: 40 },
}

/** Does the provider's part of a task. @returns its lease */
async function doNext(outputTokens = 7): Promise<Lease> {
  const lease = await eventually('there is work', SOON_MS, async () =>
    (await pollOnce(provider.caller, { free: 1, seen })).leases.at(-1),
  )
  seen = lease.seq
  await pollOnce(provider.caller, { seen, results: [resultOf(lease.id, outputTokens)] })
  return lease
}

const laneOfOwn = async ({ account }: Payer) => {
  const link = linkSettlement(chain.url, settlement(), provider.key)
  return (await link.laneOf(account.account))!
}
const settlement = () => ({ chainId: chain.deployment.chainId, address: chain.deployment.settlement })

test('who signs with a key of its own pays by it alone: a lock and a voucher first, then vouchers', async () => {
  const alice = await ownPayer()
  const daicn = alice.daicn()
  const { id } = await daicn.submit(CHAT)
  const locked = await laneOfOwn(alice)
  expect(locked).toMatchObject({ signer: alice.account.signer, paid: 0n })
  expect(locked.cap).toBeGreaterThan(ONE_TOKEN)
  const lease = await doNext()
  expect(lease).toMatchObject({ account: alice.account.account, terms: { requester: alice.address } })
  const first = await daicn.task(id)
  // Another wallet of the same key goes on from what the first has signed.
  const again = await alice.daicn().submit(CHAT)
  await doNext(20)
  const second = await daicn.task(again.id)
  await collect()
  expect(await paidBy(alice)).toBe(parseAmount(first.price!) + parseAmount(second.price!))
  expect((await laneOfOwn(alice)).cap).toBe(locked.cap)
  expect(await readAccount(alice)).toMatchObject({ free: 0n, held: 0n })
  const both = statuses()
  await doNext()
  await doNext()
  expect(await both).toEqual(['succeeded', 'succeeded'])

  async function statuses() {
    const all: string[] = []
    for await (const { task } of daicn.batch([CHAT, CHAT])) all.push(task.status)
    return all
  }
})

test("OpenAI's own client pays by the wallet: one call, several at once, and no more than it may", async () => {
  const alice = await ownPayer()
  const openaiOf = (maxPerCall: string) => {
    const { fetch } = openWallet(alice.signer, { maxPerCall })
    return new OpenAI({ baseURL: `${world.url}/v1`, apiKey: alice.caller.key!, fetch, maxRetries: 0 })
  }
  const { messages, max_tokens } = CHAT.input
  const chat = { model: OFFER.model, messages, max_tokens }
  const refused = await openaiOf('0.000000001')
    .chat.completions.create(chat)
    .catch((error: APIError) => error)
  expect(refused).toMatchObject({ status: 402, code: 'price_too_high' })
  const plain = await fetch(`${world.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${alice.caller.key}`,
      'voucher-signer': alice.account.signer,
    },
    body: JSON.stringify(chat),
  })
  expect(plain.status).toBe(402)
  expect(await plain.json()).toMatchObject({
    error: { code: 'voucher_required', lane: { account: alice.account.account, provider: provider.address } },
  })

  const openai = openaiOf('0.1')
  const first = openai.chat.completions.create(chat)
  const { id } = await doNext()
  expect((await first).choices[0]!.message.content).toBe(id)
  const stream = await openai.chat.completions.create({ ...chat, stream: true })
  await doNext()
  let said = ''
  for await (const { choices } of stream) said += choices[0]?.delta.content ?? ''
  expect(said).not.toBe('')
  const several = Promise.all([1, 2, 3].map(() => openai.chat.completions.create(chat)))
  for (let i = 0; i < 3; i++) await doNext()
  expect(await several).toHaveLength(3)
  const { tasks } = await call<TaskList>(alice.caller, 'GET', '/v1/tasks')
  expect(tasks).toHaveLength(5)
  await collect()
  expect(await paidBy(alice)).toBe(tasks.reduce((sum, { price }) => sum + parseAmount(price!), 0n))
})

test('a contract that signs by ERC-1271 pays too, at the edge, the agent and on the chain', async () => {
  const alice = await ownPayer(0n)
  const address = lower(privateKeyToAccount(generatePrivateKey()).address)
  // It has signed a hash if the signature begins with it.
  await hands().setCode({ address, bytecode: '0x60643560043514631626ba7e0260e01b60005260206000f3' })
  const wallet = (await openChain({ rpc: chain.url, deployment: chain.deployment, account: alice.key })) as Wallet
  await deposit(wallet, 5n * ONE_TOKEN, alice.address, address)
  const account = { account: accountId(alice.address, address), signer: address }
  const payingBy = (signTypedData: (message: never) => Promise<Hex>) =>
    connect({ ...alice.caller, wallet: openWallet({ address, signTypedData } as never, { maxPerCall: '0.1' }) })
  const daicn = payingBy(async (message) => `${hashTypedData(message)}01`)
  const { id } = await daicn.submit(CHAT)
  await doNext()
  const { price } = await daicn.task(id)
  await collect()
  expect(await paidBy({ ...alice, account })).toBe(parseAmount(price!))
  const forged = payingBy(async () => `0x${'11'.repeat(33)}`)
  const dear = { ...CHAT, input: { ...CHAT.input, max_tokens: 4000 } }
  await expect(forged.submit(dear)).rejects.toMatchObject({ code: 'voucher_refused' })
})

test('a wallet signs no more than it may, and nothing that is wrong is taken', async () => {
  const alice = await ownPayer()
  await expect(alice.daicn('0.000000001').submit(CHAT)).rejects.toMatchObject({ code: 'price_too_high' })
  const poor = await ownPayer(0n)
  await expect(poor.daicn().submit(CHAT)).rejects.toMatchObject({ code: 'insufficient_funds' })
  const own = { edge: world.url, key: alice.caller.key! }
  const signer = { 'voucher-signer': alice.account.signer }
  const asked = await call(own, 'POST', '/v1/tasks', { body: CHAT, headers: signer }).catch(
    (error: DaicnError) => error,
  )
  expect(asked).toMatchObject({ code: 'voucher_required', status: 402 })
  const lane = (asked as DaicnError).lane as LaneDemand
  expect(lane).toMatchObject({
    account: alice.account.account,
    provider: provider.address,
    signed: null,
    cap: '0',
    free: '5',
  })
  const ceiling = parseAmount(lane.ceiling)

  type Change = {
    key?: PrivateKeyAccount
    chainId?: number
    epoch?: number
    ceiling?: bigint
    cap?: bigint
    locks?: boolean
  }
  async function send({ key = alice.signer, chainId = 31337, epoch = 0, locks = true, ...to }: Change) {
    const contract = { ...settlement(), chainId }
    const { account, provider: receiver } = lane
    const [most, cap] = [to.ceiling ?? ceiling, to.cap ?? 2n * ONE_TOKEN]
    const lock = { account, receiver, cap, epoch: BigInt(epoch) }
    const voucher = {
      provider: receiver,
      ceiling: formatAmount(most),
      signature: await key.signTypedData(voucherTypedData(contract, { account, receiver, ceiling: most })),
      ...(locks && {
        lock: { cap: formatAmount(cap), epoch, signature: await key.signTypedData(lockTypedData(contract, lock)) },
      }),
    }
    const headers = { ...signer, voucher: btoa(JSON.stringify(voucher)) }
    return call<TaskView>(own, 'POST', '/v1/tasks', { body: CHAT, headers })
  }
  const refusals: [Change, string][] = [
    [{ key: alice.key }, 'not signed by the key'],
    [{ chainId: 1 }, 'not signed by the key'],
    [{ epoch: 3 }, 'epoch 3'],
    [{ cap: 6n * ONE_TOKEN }, '5 tokens free'],
    [{ cap: 1n }, 'must add at least'],
    [{ locks: false }, 'covers 0 tokens'],
  ]
  for (const [change, says] of refusals) {
    await expect(send(change), says).rejects.toMatchObject({
      code: 'voucher_refused',
      message: expect.stringContaining(says),
    })
  }
  expect((await laneOfOwn(alice)).cap).toBe(0n)
  const { id } = await send({})
  await doNext()
  await expect(send({ ceiling: ceiling - 1n, locks: false })).rejects.toMatchObject({ code: 'voucher_refused' })
  // Sent again it adds nothing: what is left of it is spent, then more must be signed for.
  await expect(send({ locks: false })).rejects.toMatchObject({ code: 'voucher_required' })
  expect(await alice.daicn().task(id)).toMatchObject({ status: 'succeeded' })
})

test('with all keys and the state of the edge, nobody moves the money of who signs itself but to the provider, as signed', async () => {
  const alice = await ownPayer()
  await alice.daicn().submit(CHAT)
  await doNext()
  const page = await createEdge(world.url, provider.key, Date.now).getVouchers('0', AbortSignal.timeout(SOON_MS))
  const stolen = page.vouchers.find(({ account }) => account === alice.account.account)!
  const secret = (await readFile(join(world.folder, 'edge', 'edge-secret'), 'utf8')).trim()
  const { account: edgeKey } = edgeKeyOf(secret)
  const edgeSigner = signerOf(secret, alice.address)
  const [ceiling, mallory] = [parseAmount(stolen.ceiling), lower(edgeKey.address)]
  const { account } = alice.account
  const { cap, free } = await laneOfOwn(alice)
  const own = { abi: daicnSettlementAbi, address: chain.deployment.settlement } as const
  const vouch = async (receiver: Address, most: bigint, sign = edgeKey.signTypedData): Promise<SignedVoucher> => ({
    account,
    charged: most,
    ceiling: most,
    signature: await sign(voucherTypedData(settlement(), { account, receiver, ceiling: most })),
  })
  const kept = { account, charged: ceiling, ceiling, signature: stolen.signature }
  const packs = await Promise.all([
    vouch(mallory, ONE_TOKEN),
    { ...kept, charged: ceiling + 1n },
    { ...kept, charged: ceiling + 1n, ceiling: ceiling + 1n },
    edgeSigner.signVoucher(settlement(), mallory, ONE_TOKEN).then((signature) => ({ ...kept, signature })),
    kept,
  ])
  const lock = { account, receiver: mallory, cap: 5n * ONE_TOKEN, epoch: 0n }
  const lockedBy = await edgeKey.signTypedData(lockTypedData(settlement(), lock))
  const unlock = { account, receiver: provider.address, epoch: 0n, deadline: 2n ** 40n }
  const released = await edgeKey.signTypedData(releaseTypedData(settlement(), unlock))
  const calls = [
    ...packs.map((pack) =>
      encodeFunctionData({ ...own, functionName: 'claim', args: [mallory, packVouchers([pack])] }),
    ),
    encodeFunctionData({ ...own, functionName: 'claim', args: [provider.address, packVouchers([kept])] }),
    encodeFunctionData({ ...own, functionName: 'withdraw', args: [alice.account.signer, 1n] }),
    encodeFunctionData({ ...own, functionName: 'requestUnlock', args: [alice.account.signer, provider.address] }),
    encodeFunctionData({ ...own, functionName: 'finalizeUnlock', args: [account, provider.address] }),
    encodeFunctionData({ ...own, functionName: 'lock', args: [account, mallory, lock.cap, 0n, lockedBy] }),
    encodeFunctionData({
      ...own,
      functionName: 'release',
      args: [account, provider.address, 0n, unlock.deadline, released],
    }),
    encodeFunctionData({ ...own, functionName: 'settle', args: [mallory] }),
  ]
  await fuel(chain, mallory)
  const wallet = createWalletClient({ account: edgeKey, transport: http(chain.url) })
  for (const data of calls) {
    // Whether it is reverted or passed over, nothing may come of it.
    await wallet.sendTransactionSync({ to: own.address, data, chain: null, gas: 500_000n }).catch(() => {})
    expect(await laneOfOwn(alice)).toMatchObject({ paid: 0n, cap, free, epoch: 0, unlockAt: 0 })
  }
  expect(await readBalances(chain, account).wallet(mallory)).toBe(0n)
  // The provider is paid what it charged; even were it to lie with the edge, no more than was signed.
  const greedy = encodeFunctionData({ ...own, functionName: 'claim', args: [provider.address, packVouchers([kept])] })
  const theirs = createWalletClient({ account: provider.key, transport: http(chain.url) })
  await theirs.sendTransactionSync({ to: own.address, data: greedy, chain: null })
  expect(await laneOfOwn(alice)).toMatchObject({ paid: ceiling, free })
})

test('a provider that is asked to closes the lane: what is locked is free at once, and to claim more after that costs it ten times as much', async () => {
  const alice = await ownPayer()
  const { account, signer } = alice.account
  const lane = { account, provider: provider.address }
  const owner = connect(alice.caller)
  await expect(owner.lanes.close(lane)).rejects.toMatchObject({ code: 'lane_not_found' })
  const { id } = await alice.daicn().submit(CHAT)
  await expect(owner.lanes.close(lane)).rejects.toMatchObject({ code: 'lane_in_use' })
  await doNext()
  const price = parseAmount((await owner.task(id)).price!)
  const other = await ownPayer(0n)
  await expect(connect(other.caller).lanes.close(lane)).rejects.toMatchObject({ code: 'lane_not_found' })

  const staked = (await openChain({ rpc: chain.url, deployment: chain.deployment, account: provider.key })) as Wallet
  const treasurer = privateKeyToAccount(chain.variables.FAUCET_KEY as `0x${string}`)
  await createWalletClient({ account: treasurer, transport: http(chain.url) }).sendTransactionSync({
    to: chain.deployment.token,
    data: transferCall(provider.address, ONE_TOKEN),
    chain: null,
  })
  await register(staked, provider.address)
  await stake(staked, provider.address, ONE_TOKEN)
  const keyFile = join(folder.state, 'alice')
  await writeFile(keyFile, alice.secrets[0])
  const ask = ['--json', '--edge', world.url, 'close', provider.address, '--key-file', keyFile, '--rpc', chain.url]
  const where = { cwd: world.folder, env: { XDG_CONFIG_HOME: join(folder.state, 'config') } }
  const told = daicnCommand(ask, where)
  await eventually('the lane is closing', SOON_MS, async () => {
    const [{ state }] = (await owner.lanes.list()) as [OwnLane]
    return state === 'closing' || undefined
  })
  // Only the provider can close it, by what it was charged.
  const asked = { requester: alice.address, account, charged: formatAmount(price) }
  const edge = createEdge(world.url, provider.key, Date.now)
  const [ours, theirs] = [provider.key, alice.key].map((key) => linkSettlement(chain.url, settlement(), key))
  const sign = (link: typeof ours, charged: bigint) =>
    link!.signClosing(chain.deployment.court, { account, charged, epoch: 0 })
  for (const forged of [sign(theirs, price), sign(ours, price - 1n)]) {
    const signed = { requester: asked.requester, ...(await forged) }
    await expect(edge.closeLane(signed, AbortSignal.timeout(SOON_MS))).rejects.toMatchObject({
      code: 'closing_refused',
    })
  }
  await collect()
  const { code, stdout, stderr } = await told
  expect(code, stderr).toBe(0)
  const closed = JSON.parse(stdout)
  expect(closed).toMatchObject({
    provider: provider.address,
    statement: { account, charged: String(price), closed: true },
  })
  expect(await laneOfOwn(alice)).toMatchObject({ paid: price, free: 5n * ONE_TOKEN - price, cap: price, epoch: 1 })
  expect(await owner.lanes.list()).toMatchObject([{ state: 'closed', charged: formatAmount(price), held: '0' }])
  // It takes no more tasks, though there is money and the wallet would sign.
  const dear = { ...CHAT, input: { ...CHAT.input, max_tokens: 4000 } }
  for (const task of [CHAT, dear]) {
    await expect(alice.daicn().submit(task)).rejects.toMatchObject({
      code: 'no_provider',
      message: expect.stringContaining('closed; use another key'),
    })
  }

  const file = join(folder.state, 'closed.json')
  await writeFile(file, (await daicnCommand(ask, where)).stdout)
  const overclaim = ['--json', '--edge', world.url, 'dispute', 'overclaim', file, '--signer', signer]
  const prove = () => daicnCommand([...overclaim, '--key-file', keyFile, '--rpc', chain.url], where)
  expect((await prove()).code).not.toBe(0)
  // With the voucher that it still has, whose ceiling was signed for what the task might have cost.
  const book = await openVoucherBook(provider.state, settlement(), provider.address)
  const kept = book.vouchers.get(account)!
  const greedy = packVouchers([{ ...kept, charged: kept.ceiling }])
  const data = encodeFunctionData({ abi: daicnSettlementAbi, functionName: 'claim', args: [provider.address, greedy] })
  await createWalletClient({ account: provider.key, transport: http(chain.url) }).sendTransactionSync({
    to: chain.deployment.settlement,
    data,
    chain: null,
  })
  const excess = (await laneOfOwn(alice)).paid - price
  expect(excess).toBe(kept.ceiling - price)
  const proven = await prove()
  expect(proven.code, proven.stderr).toBe(0)
  expect((await stakeOf(staked, provider.address)).stake).toBe(ONE_TOKEN - 10n * excess)
  expect(await awardsOf(staked, alice.address)).toBeGreaterThanOrEqual(excess)
})

test('the example of the docs pays with its own key', async () => {
  const alice = await ownPayer(0n)
  const page = await readFile(inRoot('docs/client.md'), 'utf8')
  const [, code] = /^```ts chain\n(.*?)^```$/ms.exec(page)!
  // Where `daicn` and `viem` mean what they mean in the repository.
  const file = inRoot('dist', `own-key-${process.pid}.ts`)
  await writeFile(file, code!)
  const env = { DAICN_EDGE: world.url, PAYER_KEY: alice.secrets[0], SIGNER_KEY: alice.secrets[1] }
  const { ended } = start(process.execPath, [file], { cwd: world.folder, env })
  await doNext()
  expect(await ended).toMatchObject({ code: 0, stdout: 'succeeded\n' })
  await rm(file)
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

test('with the edge gone, what was fetched is claimed; back without its RPC it goes on within what is locked, and nothing is lost or paid twice', async () => {
  const alice = await ownPayer(2n * ONE_TOKEN)
  const daicn = alice.daicn()
  const price = async (id: string) => parseAmount((await daicn.task(id)).price!)
  const bob = await payer()
  const owed = await work(bob, 2)
  await collect(10n ** 40n)
  expect(await paidBy(bob)).toBe(0n)
  const first = await daicn.submit(CHAT)
  await doNext()
  rpc.setDown(true)
  await world.crash(async () => {
    expect(await claim(chain.url, provider.state)).toBe(0)
  })
  expect(await paidBy(bob)).toBe(owed)
  seen = 0
  // What is left of the first voucher does not do for any of these.
  const tasks = [first]
  for (let i = 0; i < 3; i++) {
    tasks.push(await daicn.submit({ ...CHAT, input: { ...CHAT.input, max_tokens: 400 } }))
    await doNext(390)
  }
  // Beyond that a lock is needed, and the chain.
  const dear = { ...CHAT, input: { ...CHAT.input, max_tokens: 131_072 } }
  await expect(alice.daicn('2').submit(dear)).rejects.toMatchObject({ code: 'chain_unreachable' })
  const stranger = await ownPayer()
  await expect(stranger.daicn().submit(CHAT)).rejects.toMatchObject({ code: 'chain_unreachable' })
  const owedSince = await work(bob, 2)
  rpc.setDown(false)
  await collect()
  expect(await paidBy(bob)).toBe(owed + owedSince)
  let cost = 0n
  for (const { id } of tasks) cost += await price(id)
  expect(await paidBy(alice)).toBe(cost)
  await collect()
  expect(await paidBy(alice)).toBe(cost)
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
