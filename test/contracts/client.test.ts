/** The client's way to the chain, with no edge: the functions that pages and programs use, and the `daicn` commands on them. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Hex, parseEther } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as accounts from '#client/chain/accounts.ts'
import { openChain, send as transact, type Wallet } from '#client/chain/chain.ts'
import * as court from '#client/chain/court.ts'
import * as governance from '#client/chain/governance.ts'
import { REFUSALS, wordsOf } from '#client/chain/refusal.ts'
import * as roots from '#client/chain/root.ts'
import * as stakes from '#client/chain/stake.ts'
import { daicnSettlementAbi } from '#contracts/abi.ts'
import { closeHour, previousOf } from '#core/hour-log.ts'
import { laneStatementTypedData } from '#core/lane-statement.ts'
import { ONE_TOKEN, parseAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import { hourName } from '#core/public-log.ts'
import { type Receipt, receiptTypedData } from '#core/receipt.ts'
import { claimTypedData, packVouchers, releaseTypedData } from '#core/voucher.ts'
import { keccak } from '#worker/chain/keccak.ts'
import { openPoster } from '#worker/chain/poster.ts'
import { postRoots } from '#worker/jobs/post-roots.ts'
import { DEPLOYER, keyed, privateKeyOf, send, startTestChain, type TestChain } from '../support/chain.ts'
import { daicn } from '../support/command.ts'
import { eventually } from '../support/ledger.ts'
import { claimCall, transferCall, voucherOf } from '../support/requester.ts'
import { startRpcProxy } from '../support/rpc-proxy.ts'

const HOUR = 3600
const DAY = 24 * HOUR
const lower = (address: string) => address.toLowerCase() as Address
const provider = lower(keyed('provider').address)
let chain: TestChain
let folder: string

beforeAll(async () => {
  chain = await startTestChain()
  folder = await mkdtemp(join(tmpdir(), 'daicn-client-'))
  await writeFile(join(folder, 'deployment.json'), JSON.stringify(chain.deployment))
}, 300_000)
afterAll(async () => {
  await chain?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** A wallet with ether, and so many tokens. */
async function walletOf(name: string, tokens: bigint, account: PrivateKeyAccount = keyed(name)): Promise<Wallet> {
  const { token } = chain.deployment
  await chain.client.setBalance({ address: account.address, value: parseEther('10') })
  if (tokens > 0n) await send(chain, DEPLOYER, token, transferCall(account.address, tokens * ONE_TOKEN))
  return { ...(await openChain({ rpc: chain.url, deployment: chain.deployment, account })), account }
}

async function later(seconds: number): Promise<void> {
  await chain.client.increaseTime({ seconds })
  await chain.client.mine({ blocks: 1 })
}

const failure = (call: Promise<unknown>) =>
  call.then(
    () => expect.unreachable('it succeeded'),
    (error) => error,
  )

test('money goes in by one transaction, is locked, and comes back', async () => {
  const wallet = await walletOf('saver', 100n)
  const own = lower(wallet.account.address)
  const sent = () => chain.client.getTransactionCount({ address: own })
  await accounts.deposit(wallet, 60n * ONE_TOKEN, own, own)
  expect(await sent()).toBe(1)
  await accounts.lock(wallet, own, provider, 20n * ONE_TOKEN)
  await accounts.lock(wallet, own, provider, 5n * ONE_TOKEN)
  expect(await accounts.balance(wallet, own)).toMatchObject({
    tokens: 40n * ONE_TOKEN,
    earned: 0n,
    accounts: [{ signer: own, free: 35n * ONE_TOKEN, locked: 25n * ONE_TOKEN }],
  })
  await accounts.withdraw(wallet, own, 35n * ONE_TOKEN)

  const account = accounts.accountId(own, own)
  await accounts.requestUnlock(wallet, own, provider)
  const early = await failure(accounts.finalizeUnlock(wallet, account, provider))
  expect(early).toMatchObject({
    code: 'reverted',
    message: expect.stringContaining('the lane can be unlocked from 20'),
  })
  await later(36 * HOUR)
  await accounts.finalizeUnlock(wallet, account, provider)
  expect(await accounts.lanesOf(wallet, account)).toMatchObject([{ receiver: provider, locked: 0n, unlockAt: null }])
  await accounts.withdraw(wallet, own, 25n * ONE_TOKEN)
  expect(await accounts.balance(wallet, own)).toMatchObject({ tokens: 100n * ONE_TOKEN })
})

test('stake is put in, leaves after 14 days, and not before', async () => {
  const wallet = await walletOf('staker', 300n)
  const own = lower(wallet.account.address)
  expect(await failure(stakes.stake(wallet, own, ONE_TOKEN))).toMatchObject({
    message: expect.stringContaining(`${wallet.account.address} is not registered as a provider`),
  })
  await stakes.register(wallet, own)
  await stakes.stake(wallet, own, 300n * ONE_TOKEN)
  await stakes.requestUnbond(wallet, 100n * ONE_TOKEN)
  expect(await failure(stakes.finalizeUnbond(wallet, own))).toMatchObject({
    message: expect.stringContaining('the stake leaves at 20'),
  })
  const next = lower(keyed('next operator').address)
  expect(await failure(stakes.rotateOperator(wallet, own))).toMatchObject({
    message: expect.stringContaining('cannot be the operator'),
  })
  await stakes.rotateOperator(wallet, next)
  const from = expect.any(Number)
  expect(await stakes.stakeOf(wallet, own)).toMatchObject({ operator: own, next: { operator: next, from } })
  await later(HOUR)
  expect(await stakes.stakeOf(wallet, own)).toMatchObject({ operator: next, next: null })
  await later(14 * DAY)
  await stakes.finalizeUnbond(wallet, own)
  expect(await stakes.stakeOf(wallet, own)).toMatchObject({ operator: next, stake: 200n * ONE_TOKEN, unbondsAt: null })
})

test('a parameter is proposed, voted on, queued and set', async () => {
  const wallet = await walletOf('voter', 0n, DEPLOYER)
  expect(await failure(governance.propose(wallet, governance.setParameter(wallet, 'fee', 50n), 'why'))).toMatchObject({
    message: expect.stringContaining(
      'you had 0 tokens of votes a moment ago, and 2500000 tokens are needed to propose',
    ),
  })
  await governance.delegate(wallet, lower(DEPLOYER.address))
  await later(1)
  const { id } = await governance.propose(wallet, governance.setParameter(wallet, 'fee', 50n), 'half of it is enough')
  expect(await failure(governance.vote(wallet, id, 'for'))).toMatchObject({
    message: expect.stringContaining('the proposal is pending'),
  })
  await later(DAY + 1)
  await governance.vote(wallet, id, 'for', 'it is')
  await later(5 * DAY)
  expect((await governance.proposals(wallet))[0]).toMatchObject({ id, state: 'succeeded', against: 0n })
  await governance.queue(wallet, id)
  expect(await failure(governance.execute(wallet, id))).toMatchObject({ code: 'reverted' })
  await later(2 * DAY)
  await governance.execute(wallet, id)
  expect(await governance.proposal(wallet, id)).toMatchObject({ state: 'executed' })
  expect(await governance.parameter(wallet, 'fee')).toEqual({ name: 'fee', value: 50n, low: 0n, high: 500n })
})

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const sha256Hex = (text: string) => `0x${sha256(text)}` as const

/** A receipt as its provider signs it, which is all of it that the court knows. */
async function receiptBy(operator: PrivateKeyAccount, output: string): Promise<Receipt> {
  const { chainId, court } = chain.deployment
  const now = Number((await chain.client.getBlock()).timestamp) * 1000
  const own = lower(operator.address)
  const statement = {
    domain: { chainId, court },
    task: 'c1-0mh2k3l4m0123456789',
    attempt: 1,
    provider: own,
    requester: lower(keyed('harmed').address),
    kind: 'doc.ocr',
    model: 'm',
    digest: null,
    input: sha256('in'),
    prefix: null,
    request: sha256('request'),
    output: sha256(output),
    units: 1,
    price: '0.005',
    finishedAt: now,
  } as const
  const signature = await operator.signTypedData(await receiptTypedData(statement, async (text) => sha256(text)))
  const edge = { address: own, signature }
  return { ...statement, grantedAt: now, acceptedAt: now, signature, edge }
}

test('contradicting receipts and an overclaim cost their provider its stake, and the reward is paid out', async () => {
  const cheat = await walletOf('cheat', 2000n)
  const own = lower(cheat.account.address)
  await stakes.register(cheat, own)
  await stakes.stake(cheat, own, 2000n * ONE_TOKEN)
  const hunter = await walletOf('hunter', 300n)
  const [one, two] = [await receiptBy(keyed('cheat'), 'one'), await receiptBy(keyed('cheat'), 'two')]
  expect(await failure(court.proveEquivocation(hunter, one, one))).toMatchObject({
    message: 'The contract refused: this proves no fault',
  })
  await court.proveEquivocation(hunter, one, two)
  expect(await failure(court.proveEquivocation(hunter, one, two))).toMatchObject({
    message: expect.stringContaining('this fault was punished before'),
  })
  expect((await stakes.stakeOf(hunter, own)).stake).toBe(1000n * ONE_TOKEN)
  const awarded = await court.awardsOf(hunter, hunter.account.address)
  expect(awarded).toBe((1000n * ONE_TOKEN - parseAmount('0.005')) / 5n)
  await court.withdrawAwards(hunter)
  expect(await court.awardsOf(hunter, hunter.account.address)).toBe(0n)

  const payer = lower(hunter.account.address)
  await accounts.deposit(hunter, 50n * ONE_TOKEN, payer, payer)
  const signed = { payer: keyed('hunter'), signer: keyed('hunter'), account: accounts.accountId(payer, payer) }
  const vouchers = packVouchers([await voucherOf(chain, signed, own, 10n * ONE_TOKEN)])
  await send(chain, keyed('cheat'), chain.deployment.settlement, claimCall(own, vouchers))
  await later(2)
  const at = Number((await chain.client.getBlock()).timestamp)
  const said = { provider: own, account: signed.account, charged: String(4n * ONE_TOKEN), at, closed: false }
  const { signTypedData } = keyed('cheat')
  const signature = await signTypedData(laneStatementTypedData(chain.deployment, said))
  await court.proveOverclaim(hunter, { ...said, signature }, payer, payer)
  expect((await stakes.stakeOf(hunter, own)).stake).toBe(940n * ONE_TOKEN)

  const { id } = await court.openDispute(hunter, one)
  expect(await court.disputeOf(hunter, id)).toMatchObject({ stage: 'drawing', provider: cheat.account.address })
  await chain.client.mine({ blocks: 2 })
  await court.drawVerifiers(hunter, id)
  expect(await court.disputeOf(hunter, id)).toMatchObject({ stage: 'undecided', verifiers: [] })
})

test('verifiers commit in secret and reveal; the majority decides, and what was locked is released', {
  timeout: 90_000,
}, async () => {
  const names = ['accused', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7']
  const providers: Wallet[] = []
  for (const name of names) providers.push(await walletOf(name, 1000n))
  await Promise.all(providers.map(enlist))
  const accuser = await walletOf('accuser', 300n)
  const { id } = await court.openDispute(accuser, await receiptBy(keyed('accused'), 'bad'))
  await chain.client.mine({ blocks: 2 })
  await court.drawVerifiers(accuser, id)
  const { verifiers, commitUntil } = await court.disputeOf(accuser, id)
  const drawn = await Promise.all(names.filter((name) => isDrawn(name)).map((name) => walletOf(name, 0n)))
  expect(drawn).toHaveLength(5)
  const [first, ...others] = drawn as [Wallet, ...Wallet[]]
  const verdict = (who: Wallet, wrong = true) => ({
    verifier: lower(who.account.address),
    wrong,
    output: sha256('"good"'),
  })
  for (const other of others) await court.commitVerdict(other, id, verdict(other))
  expect(await failure(court.revealVerdict(others[0]!, id, verdict(others[0]!)))).toMatchObject({
    message: expect.stringContaining('it is too early'),
  })

  const name = names.find((one) => keyed(one).address === first.account.address)!
  await Promise.all([
    writeFile(join(folder, 'verifier'), privateKeyOf(name)),
    writeFile(join(folder, 'stranger'), privateKeyOf('accuser')),
    writeFile(join(folder, 'got.json'), '"good"'),
  ])
  const env = { XDG_CONFIG_HOME: folder, DAICN_DEPLOYMENT: 'deployment.json', DAICN_RPC: chain.url }
  const run = async (key: string, ...args: string[]) => {
    const { code, stdout } = await daicn([...args, '--key-file', key, '--json'], { cwd: folder, env })
    return { code, value: JSON.parse(stdout) }
  }
  const say = (what: string, said: string) => ['dispute', what, String(id), said, '--output', 'got.json']
  const [committed, stranger, unsure] = await Promise.all([
    run('verifier', ...say('commit', 'wrong')),
    run('stranger', ...say('commit', 'wrong')),
    run('verifier', ...say('commit', 'perhaps')),
  ])
  expect(committed).toMatchObject({ code: 0, value: { ...verdict(first), revealFrom: commitUntil } })
  expect(stranger).toMatchObject({ code: 1, value: { error: { code: 'reverted' } } })
  expect(unsure).toMatchObject({ code: 2, value: { error: { code: 'usage' } } })

  const payer = lower(accuser.account.address)
  await accounts.deposit(accuser, 20n * ONE_TOKEN, payer, payer)
  await accounts.lock(accuser, payer, lower(first.account.address), 15n * ONE_TOKEN)
  await later(6 * HOUR)
  const revealing = [run('verifier', ...say('reveal', 'right')), run('verifier', 'release', payer)]
  const [changed, released] = await Promise.all(revealing)
  expect(changed).toMatchObject({ code: 1, value: { error: { code: 'reverted' } } })
  expect(changed!.value.error.message).toContain('this is not the verdict that was committed to')
  expect(released).toMatchObject({ code: 0, value: { payer, freed: '15' } })
  expect(await accounts.balance(accuser, payer)).toMatchObject({ accounts: [{ free: 20n * ONE_TOKEN, locked: 0n }] })
  expect(await run('verifier', ...say('reveal', 'wrong'))).toMatchObject({ code: 0, value: verdict(first) })
  for (const other of others) await court.revealVerdict(other, id, verdict(other))
  await court.resolveDispute(accuser, id)
  expect(await court.disputeOf(accuser, id)).toMatchObject({ stage: 'upheld' })
  expect(await court.awardsOf(accuser, accuser.account.address)).toBeGreaterThan(0n)

  function isDrawn(one: string): boolean {
    return verifiers.includes(keyed(one).address)
  }

  /** A provider with the least stake. */
  async function enlist(wallet: Wallet): Promise<void> {
    const own = lower(wallet.account.address)
    await stakes.register(wallet, own)
    await stakes.stake(wallet, own, 1000n * ONE_TOKEN)
  }
})

test('a bonded poster puts the roots of closed hours on the chain, where an export is held against them', {
  timeout: 90_000,
}, async () => {
  const { deployment, url: rpc, client } = chain
  const wallet = await walletOf('poster', 20_000n)
  const poster = lower(wallet.account.address)
  const last = Number((await client.getBlock()).timestamp / BigInt(HOUR)) - 1
  const tools = { hash: async (text: string) => sha256(text), keccak }
  const record = { kind: 'llm.chat', model: 'm', status: 'failed', createdAt: 1, finishedAt: 2, attempts: [] }
  const lines = [JSON.stringify({ id: 'c1-0mh2k3l4m0123456789', ...record })]
  const first = await closeHour(hourName(last - 1), null, lines, tools)
  const second = await closeHour(hourName(last), previousOf(first), lines, tools)
  const posting = openPoster({ rpc, deployment }, privateKeyOf('poster'))
  const post = (now = last + 1) => postRoots(posting, async () => [first, second], now * HOUR * 1000)

  const texts = [first, second].map((head) => [JSON.stringify(head), ...lines, ''].join('\n'))
  await Promise.all([
    ...texts.map((text, i) => writeFile(join(folder, `hour-${i}`), text)),
    writeFile(join(folder, 'poster'), privateKeyOf('poster')),
  ])
  const env = { XDG_CONFIG_HOME: folder, DAICN_DEPLOYMENT: 'deployment.json', DAICN_RPC: chain.url }
  const run = async (...args: string[]) => {
    const { code, stdout } = await daicn([...args, '--json'], { cwd: folder, env })
    return { code, value: JSON.parse(stdout) }
  }
  const verify = (...files: string[]) => run('verify', '--log', ...files, '--poster', poster)

  // Without a bond nothing is posted, and nothing breaks.
  await post()
  expect(await roots.postedRoots(wallet, poster, last)).toEqual({ receipts: null, decisions: null })
  const bonding = run('poster', 'bond', '10000', '--key-file', 'poster')
  const [unposted, bonded] = await Promise.all([verify('hour-1'), bonding])
  expect(unposted).toMatchObject({ code: 1, value: { error: { code: 'receipt_not_verified' } } })
  expect(bonded).toMatchObject({ code: 0, value: { poster, bond: '10000' } })
  await post()
  const sent = await client.getTransactionCount({ address: poster })
  await post(last + 2)
  expect(await client.getTransactionCount({ address: poster })).toBe(sent)
  const { root } = second.decisions
  expect(await roots.postedRoots(wallet, poster, last)).toMatchObject({ decisions: root })
  const forged = texts[1]!.replace('"m"', '"n"')
  const other = await closeHour(second.hour, second.previous, forged.trim().split('\n').slice(1), tools)
  await writeFile(join(folder, 'hour-2'), [JSON.stringify(other), ...forged.trim().split('\n').slice(1), ''].join('\n'))
  const [good, bad, leaving] = await Promise.all([
    verify('hour-0', 'hour-1'),
    // An edge that shows another log than the one whose root it posted.
    verify('hour-2'),
    run('poster', 'unbond', '--key-file', 'poster'),
  ])
  expect(good).toMatchObject({ code: 0, value: { ok: true } })
  expect(bad).toMatchObject({ code: 1, value: { error: { code: 'receipt_not_verified' } } })
  expect(leaving).toMatchObject({ code: 0, value: { unbondsAt: expect.any(Number) } })
  await later(14 * DAY)
  await roots.finalizeBond(wallet)
  expect(await roots.bondOf(wallet, poster)).toEqual({ amount: 0n, unbondsAt: null })
})

test('what was signed for a time is refused after it, in words, and nothing moves', async () => {
  const wallet = await walletOf('dawdler', 50n)
  const { account, deployment } = wallet
  const own = lower(account.address)
  const id = accounts.accountId(own, own)
  await accounts.deposit(wallet, 20n * ONE_TOKEN, own, own)
  await accounts.lock(wallet, own, own, 10n * ONE_TOKEN)
  const before = await accounts.balance(wallet, own)
  const deadline = (await chain.client.getBlock()).timestamp - 1n
  const settlement = { abi: daicnSettlementAbi, address: deployment.settlement } as const
  const { signTypedData } = keyed('dawdler')
  const released = { account: id, receiver: own, epoch: 0n, deadline }
  const release = await signTypedData(releaseTypedData(chain.settlement, released))
  const payer = { payer: keyed('dawdler'), signer: keyed('dawdler'), account: id }
  const vouchers = packVouchers([await voucherOf(chain, payer, own, 5n * ONE_TOKEN)])
  const claim = await signTypedData(claimTypedData(chain.settlement, { receiver: own, vouchers, deadline }))
  const permit = [own, own, ONE_TOKEN, deadline, 27, sha256Hex('r'), sha256Hex('s')] as const
  const late = [
    () => transact(wallet, { ...settlement, functionName: 'release', args: [id, own, 0n, deadline, release] }),
    () => transact(wallet, { ...settlement, functionName: 'claimFor', args: [own, vouchers, deadline, claim] }),
  ]
  for (const one of late) {
    expect(await failure(one())).toMatchObject({ code: 'reverted', message: expect.stringContaining('expired at 20') })
  }
  // The contract goes on without a permit that is not good, for another may have used it; then nothing is approved.
  const deposit = transact(wallet, { ...settlement, functionName: 'depositWithPermit', args: permit })
  expect(await failure(deposit)).toMatchObject({ message: expect.stringContaining('0 tokens are approved') })
  expect(await accounts.balance(wallet, own)).toMatchObject({ tokens: before.tokens, accounts: before.accounts })
})

test('what would be refused is told in words and costs nothing', async () => {
  const wallet = await walletOf('poor', 5n)
  const own = lower(wallet.account.address)
  await accounts.deposit(wallet, 5n * ONE_TOKEN, own, own)
  const [ether, nonce] = [
    await chain.client.getBalance({ address: own }),
    await chain.client.getTransactionCount({ address: own }),
  ]
  expect(await failure(accounts.withdraw(wallet, own, 7n * ONE_TOKEN))).toMatchObject({
    code: 'insufficient_tokens',
    status: 402,
    message: 'There are not enough tokens: the account has 5 tokens free, and 7 tokens are needed',
  })
  expect(await failure(accounts.deposit(wallet, ONE_TOKEN, own, own))).toMatchObject({ code: 'insufficient_tokens' })
  const stranger = lower(keyed('stranger').address)
  expect(await failure(accounts.lock(wallet, stranger, provider, ONE_TOKEN))).toMatchObject({ code: 'reverted' })
  expect(await chain.client.getBalance({ address: own })).toBe(ether)
  expect(await chain.client.getTransactionCount({ address: own })).toBe(nonce)

  await chain.client.setBalance({ address: own, value: 1n })
  expect(await failure(accounts.withdraw(wallet, own, ONE_TOKEN))).toMatchObject({
    code: 'insufficient_gas',
    status: 402,
  })
})

test('a transaction that would cost more than it may is not sent', async () => {
  const wallet = await walletOf('thrifty', 5n)
  const own = lower(wallet.account.address)
  const fault = await failure(accounts.deposit({ ...wallet, maxFee: 1000n }, ONE_TOKEN, own, own))
  expect(fault).toMatchObject({ code: 'fee_too_high', status: 402 })
  expect(await chain.client.getTransactionCount({ address: own })).toBe(0)
  const { fee } = await accounts.deposit({ ...wallet, maxFee: parseEther('1') }, ONE_TOKEN, own, own)
  expect(fee).toBeLessThan(parseEther('1'))
})

test('a transaction whose fee has become too low is sent again for more, in its own place, and done once', async () => {
  const payer = await walletOf('underpriced', 20n)
  const own = lower(payer.account.address)
  const { client } = chain
  const wallet = { ...payer, patienceMs: 9_000 }
  await client.setAutomine(false)
  try {
    const deposit = accounts.deposit(wallet, 5n * ONE_TOKEN, own, own)
    const waiting = (earlier?: Hex) =>
      eventually('it waits for a block', 10_000, async () => {
        const { pending } = await client.getTxpoolContent()
        const all = Object.values(pending).flatMap((some) => Object.values(some))
        return all.find(({ from, hash }) => lower(from) === own && hash !== earlier)
      })
    const first = await waiting()
    await client.setNextBlockBaseFeePerGas({ baseFeePerGas: BigInt(first.maxFeePerGas!) + 1n })
    await client.mine({ blocks: 1 })
    expect(await client.getTransactionCount({ address: own })).toBe(0)
    const { hash } = await waiting(first.hash)
    await client.mine({ blocks: 1 })
    expect((await deposit).hash).toBe(hash)
  } finally {
    await client.setAutomine(true)
  }
  expect(await client.getTransactionCount({ address: own })).toBe(1)
  const { accounts: held } = await accounts.balance(payer, own)
  expect(held).toMatchObject([{ free: 5n * ONE_TOKEN }])
})

test('what was sent and is in no block in time is told by its hash, so that nobody does it twice', async () => {
  const payer = await walletOf('impatient', 20n)
  const own = lower(payer.account.address)
  const proxy = await startRpcProxy(chain.url)
  const { deployment, client } = chain
  const account = keyed('impatient')
  const wallet = { ...(await openChain({ rpc: proxy.url, deployment, account, patienceMs: 2_000 })), account }
  const waiting = () => client.getTxpoolContent().then(({ pending }) => Object.values(pending).flatMap(Object.values))
  const sent = (count: number) =>
    eventually('it waits for a block', 10_000, async () => {
      const all = (await waiting()).filter(({ from }) => lower(from) === own)
      return all.length === count ? all : undefined
    })
  await client.setAutomine(false)
  try {
    const slow = failure(accounts.deposit(wallet, 5n * ONE_TOKEN, own, own))
    const [first] = await sent(1)
    expect(await slow).toMatchObject({ code: 'not_mined', message: expect.stringContaining(first!.hash) })
    await client.mine({ blocks: 1 })
    // The node is gone before anything came of it.
    const lost = failure(accounts.withdraw(wallet, own, ONE_TOKEN))
    const [second] = await sent(1)
    proxy.setDown(true)
    expect(await lost).toMatchObject({ code: 'not_mined', message: expect.stringContaining(second!.hash) })
    await client.mine({ blocks: 1 })
  } finally {
    await client.setAutomine(true)
    await proxy.stop()
  }
  const { tokens, accounts: held } = await accounts.balance(payer, own)
  expect([tokens, held]).toMatchObject([16n * ONE_TOKEN, [{ free: 4n * ONE_TOKEN }]])
})

test('a node that is away, of another chain, or without the contracts is told from the others', async () => {
  const { deployment, url: rpc } = chain
  const opened = (settings: object) => failure(openChain({ rpc, deployment, ...settings }))
  expect(await opened({ rpc: 'http://127.0.0.1:9' })).toMatchObject({ code: 'rpc_unreachable', status: 0 })
  const elsewhere = { ...deployment, chainId: 8453 }
  expect(await opened({ deployment: elsewhere })).toMatchObject({
    code: 'wrong_chain',
    message: expect.stringContaining('is of chain 31337, the contracts are on chain 8453'),
  })
  const nowhere = { ...deployment, settlement: provider }
  expect(await opened({ deployment: nowhere })).toMatchObject({ code: 'not_deployed' })
})

test('every error of our contracts has words', () => {
  const ours = REFUSALS.filter(({ name }) => /_/.test(name))
  expect(ours.length).toBeGreaterThan(40)
  for (const { name, inputs } of ours) {
    const args = inputs.map(({ type }) => (type.startsWith('uint') ? 1n : '0xab'))
    expect(wordsOf(name, args), name).not.toContain(name)
  }
  expect(wordsOf('Strange', [1n])).toBe('Strange(1)')
})

test('the commands need a key, a node and the addresses, and no edge', { timeout: 90_000 }, async () => {
  const wallet = await walletOf('typist', 10n)
  const own = lower(wallet.account.address)
  await writeFile(join(folder, 'key'), privateKeyOf('typist'))
  const env = { XDG_CONFIG_HOME: folder, DAICN_DEPLOYMENT: 'deployment.json', DAICN_RPC: chain.url }
  const run = (...args: string[]) => daicn(args, { cwd: folder, env })
  const json = async (...args: string[]) => {
    const { code, stdout } = await run(...args, '--key-file', 'key', '--json')
    return { code, value: JSON.parse(stdout) }
  }
  expect(await json('deposit', '6', '--signer', own)).toMatchObject({
    code: 0,
    value: { hash: expect.stringMatching(/^0x/), amount: '6', signer: own, fee: expect.stringMatching(/^0\.0/) },
  })
  const { stdout } = await run('balance', own)
  expect(stdout).toContain('4 tokens')
  expect(stdout).toContain(`6 tokens free, 0 tokens locked; spent by ${own}`)
  const [poor, down, wrong, parameters] = await Promise.all([
    json('withdraw', '7'),
    json('withdraw', '1', '--rpc', 'http://127.0.0.1:9'),
    json('withdraw', 'some'),
    run('parameters'),
  ])
  expect(poor).toMatchObject({ code: 4, value: { error: { code: 'insufficient_tokens' } } })
  expect(down).toMatchObject({ code: 5, value: { error: { code: 'rpc_unreachable' } } })
  expect(wrong).toMatchObject({ code: 2, value: { error: { code: 'usage' } } })
  expect(parameters.stdout).toContain('minimum-stake\t1000\ttokens\t100\t1000000')
})

test('each command does what it says, from the first deposit to the last vote', { timeout: 120_000 }, async () => {
  const env = { XDG_CONFIG_HOME: folder, DAICN_DEPLOYMENT: 'deployment.json', DAICN_RPC: chain.url }
  const run = async (key: string, ...args: string[]) => {
    const { code, stdout } = await daicn([...args, '--key-file', key, '--json'], { cwd: folder, env })
    expect([args[0], code, code === 0 ? '' : stdout]).toEqual([args[0], 0, ''])
    return JSON.parse(stdout)
  }
  const own = lower((await walletOf('payer', 100n)).account.address)
  await walletOf('bonder', 1000n)
  const twofaced = await walletOf('twofaced', 2000n)
  await stakes.register(twofaced, lower(twofaced.account.address))
  await stakes.stake(twofaced, lower(twofaced.account.address), 2000n * ONE_TOKEN)
  for (const name of ['payer', 'bonder', 'deployer']) await writeFile(join(folder, name), privateKeyOf(name))
  for (const said of ['one', 'two']) {
    await writeFile(join(folder, `${said}.json`), JSON.stringify(await receiptBy(keyed('twofaced'), said)))
  }

  const money = async () => {
    expect(await run('payer', 'transfer', provider, '1.5')).toMatchObject({ to: provider, amount: '1.5' })
    expect(await run('payer', 'balance')).toMatchObject({ tokens: '98.5' })
    await run('payer', 'deposit', '6', '--signer', own)
    await run('payer', 'lock', provider, '2')
    expect(await run('payer', 'lanes')).toMatchObject([{ receiver: provider, locked: '2', unlockAt: null }])
    expect(await run('payer', 'unlock', provider)).toMatchObject({ unlockAt: expect.any(Number) })
    const earner = lower(keyed('earner').address)
    const signed = { payer: keyed('payer'), signer: keyed('payer'), account: accounts.accountId(own, own) }
    const vouchers = packVouchers([await voucherOf(chain, signed, earner, ONE_TOKEN)])
    await send(chain, keyed('earner'), chain.deployment.settlement, claimCall(earner, vouchers))
    const { earned } = await run('payer', 'balance', earner)
    expect(parseAmount(earned)).toBeGreaterThan(ONE_TOKEN / 2n)
    // Whoever asks, it goes to who has earned it, once.
    expect(await run('payer', 'settle', earner)).toMatchObject({ receiver: earner, amount: earned })
    expect(await run('payer', 'balance', earner)).toMatchObject({ tokens: earned, earned: '0' })
    const again = await daicn(['settle', earner, '--key-file', 'payer', '--json'], { cwd: folder, env })
    expect(again.code).toBe(1)
    expect(JSON.parse(again.stdout)).toMatchObject({
      error: { code: 'reverted', message: expect.stringContaining('has earned nothing since it was last paid') },
    })
  }
  const stake = async () => {
    expect(await run('bonder', 'stake', '1000')).toMatchObject({ stake: '1000' })
    const operator = lower(keyed('its agent').address)
    expect(await run('bonder', 'operator', operator)).toMatchObject({ operator, from: expect.any(Number) })
    expect(await run('bonder', 'unbond', '1000')).toMatchObject({ unbonding: '1000' })
  }
  const propose = async () => {
    await run('deployer', 'delegate')
    await later(1)
    return (await run('deployer', 'propose', 'set', 'fee', '60', '--why', 'more is done with it')).id as string
  }
  const accuse = async () => {
    await run('payer', 'dispute', 'equivocation', 'one.json', 'two.json')
    await run('payer', 'dispute', 'withdraw')
    const { id } = await run('payer', 'dispute', 'open', 'one.json')
    await chain.client.mine({ blocks: 2 })
    await run('payer', 'dispute', 'draw', id)
    expect(await run('payer', 'dispute', 'show', id)).toMatchObject({ provider: twofaced.account.address })
  }
  const [proposal] = await Promise.all([propose(), stake(), money().then(accuse)])
  await later(DAY + 1)
  await run('deployer', 'vote', proposal, 'for')
  await later(5 * DAY)
  const [, freed] = await Promise.all([run('deployer', 'queue', proposal), run('payer', 'unlock', provider)])
  expect(freed).toMatchObject({ freed: '2' })
  await later(2 * DAY)
  await Promise.all([run('deployer', 'execute', proposal), run('payer', 'withdraw', 'all')])
  const [parameters, proposals, held] = await Promise.all([
    run('payer', 'parameters'),
    run('payer', 'proposals'),
    run('payer', 'balance'),
  ])
  expect(parameters).toContainEqual(expect.objectContaining({ name: 'fee', value: '60' }))
  expect(proposals[0]).toMatchObject({ id: proposal, state: 'executed' })
  expect(held).toMatchObject({ accounts: [{ free: '0', locked: '0' }] })
  await later(7 * DAY)
  expect(await run('bonder', 'unbond')).toMatchObject({ stake: '0', unbonding: '0', unbondsAt: null })
})
