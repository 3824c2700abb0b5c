/** Calls that are paid with no account at all, by the stock client of x402 and by hand, on a real chain. */
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { ExactEvmScheme } from '@x402/evm'
import { decodePaymentResponseHeader, wrapFetchWithPaymentFromConfig } from '@x402/fetch'
import { encodeFunctionData, parseEther, parseTransaction } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signIn } from '../../client/account.ts'
import { balance } from '../../client/chain/accounts.ts'
import { type Chain, openChain } from '../../client/chain/chain.ts'
import { tokensOf } from '../../client/chain/token.ts'
import { type Connection, call } from '../../client/edge.ts'
import { daicnTokenAbi } from '../../contracts/abi.ts'
import { ONE_TOKEN, parseAmount } from '../../core/money.ts'
import type { AccountView } from '../../core/protocol/account.ts'
import type { PollAnswer, Result } from '../../core/protocol/lease.ts'
import type { Address } from '../../core/protocol/values.ts'
import type { Requirements } from '../../core/x402.ts'
import { spawnEdge } from '../../scripts/edge-process.ts'
import { openTransfers } from '../../worker/chain/transfers.ts'
import { DEPLOYER, keyed, privateKeyOf, send, startTestChain, type TestChain } from '../support/chain.ts'
import { daicn } from '../support/command.ts'
import { temporaryState } from '../support/edge.ts'
import { eventually } from '../support/ledger.ts'
import { transferCall } from '../support/requester.ts'

const NETWORK = 'eip155:31337'
const CHAT = { model: 'echo', messages: [{ role: 'user', content: 'hello' }], max_tokens: 20 }
let chain: TestChain
let view: Chain
/** What the edge takes for the chain's node. */
let node: Awaited<ReturnType<typeof nodeInFrontOf>>
let edge: Awaited<ReturnType<typeof spawnEdge>>
let provider: Connection
let working: Promise<void> | undefined
let isOver = false
const folder = await temporaryState()

beforeAll(async () => {
  chain = await startTestChain()
  const { deployment, url: rpc } = chain
  view = await openChain({ rpc, deployment })
  node = await nodeInFrontOf(rpc)
  const variables = {
    CHAIN_ID: String(deployment.chainId),
    DEPLOYMENT: JSON.stringify(deployment),
    CONFIRMATIONS: '0',
    PUBLIC_RPC_URL: rpc,
    RPC_URL: node.url,
  }
  edge = await spawnEdge({ state: join(folder.state, 'edge'), build: false, chain: variables })
  const { address } = await call<{ address: Address }>({ edge: edge.url }, 'GET', '/v1/health')
  await chain.client.setBalance({ address, value: parseEther('1') })
  provider = await signedIn(keyed('provider'))
  const offers = [{ kind: 'llm.chat', model: 'echo', ask: '0.000001', speed: 100 }]
  await call(provider, 'POST', '/v1/provider/register', { body: { slots: 8, offers } })
  working = work()
})
afterAll(async () => {
  isOver = true
  await working
  await edge?.program.stop()
  node?.close()
  await chain?.stop()
  await folder.remove()
})

/** A node that passes all on to another, and can be away: at once, or after a call of one method. */
async function nodeInFrontOf(rpc: string) {
  const state = { isAway: false, awayAfter: '' }
  const server = createServer(async (request, response) => {
    if (state.isAway) return void request.socket.destroy()
    const headers = { 'content-type': 'application/json' }
    const body = await text(request)
    const answer = await fetch(rpc, { method: 'POST', headers, body })
    if (state.awayAfter !== '' && body.includes(state.awayAfter)) Object.assign(state, { isAway: true, awayAfter: '' })
    response.writeHead(answer.status, headers).end(await answer.text())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return Object.assign(state, { url: `http://127.0.0.1:${port}`, close: () => void server.close() })
}

const lower = (address: string) => address.toLowerCase() as Address
const tokens = (owner: PrivateKeyAccount) => tokensOf(view, owner.address)

async function signedIn(account: PrivateKeyAccount): Promise<Connection> {
  const signer = { ...account, address: lower(account.address) }
  return { edge: edge.url, key: (await signIn({ edge: edge.url }, signer as never)).token }
}

/** Does what it is given, until the tests are over. */
async function work(): Promise<void> {
  let results: Result[] = []
  while (!isOver) {
    const body = { free: 8, results, waitSeconds: 1 }
    const { leases } = await call<PollAnswer>(provider, 'POST', '/v1/provider/poll', { body, holdMs: 1000 })
    const output = { content: 'hello yourself', finishReason: 'stop' as const }
    const usage = { inputTokens: 3, outputTokens: 2 }
    results = leases.map(({ id: lease }) => ({ lease, outcome: { status: 'succeeded', output, usage } }))
  }
}

/** Somebody with tokens and nothing else: no ether, no account. */
async function payer(name: string, amount = 10n * ONE_TOKEN): Promise<PrivateKeyAccount> {
  const account = keyed(name)
  await send(chain, DEPLOYER, chain.deployment.token, transferCall(account.address, amount))
  return account
}

const post = (path: string, body: object, headers: Record<string, string> = {}, url = edge.url) =>
  fetch(new URL(path, url), {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

const decoded = (header: string | null) => JSON.parse(Buffer.from(header!, 'base64').toString())

/** What a chat costs, as the edge says to who brings nothing. */
async function requirements(): Promise<Requirements> {
  const asked = await post('/v1/chat/completions', CHAT)
  expect(asked.status).toBe(402)
  return decoded(asked.headers.get('payment-required')).accepts[0]
}

type Change = { authorization?: object; accepted?: object; signer?: PrivateKeyAccount }

/** A payment by hand, in whatever way it is to be wrong. */
async function signed(from: PrivateKeyAccount, wanted: Requirements, change: Change = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const authorization = {
    from: from.address,
    to: wanted.payTo,
    value: wanted.amount,
    validAfter: '0',
    validBefore: String(now + 60),
    nonce: privateKeyOf(`nonce ${Math.random()}`),
    ...change.authorization,
  }
  const signature = await (change.signer ?? from).signTypedData({
    domain: { name: 'DAICN', version: '1', chainId: 31337, verifyingContract: chain.deployment.token },
    types: {
      TransferWithAuthorization: [
        { name: 'from', type: 'address' },
        { name: 'to', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'validAfter', type: 'uint256' },
        { name: 'validBefore', type: 'uint256' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'TransferWithAuthorization',
    message: authorization as never,
  })
  const payment = { x402Version: 2, accepted: { ...wanted, ...change.accepted }, payload: { authorization, signature } }
  return Buffer.from(JSON.stringify(payment)).toString('base64')
}

test('the stock client pays for a chat and a task, and what is left is in the account of whoever paid', async () => {
  const alice = await payer('alice')
  const paid = wrapFetchWithPaymentFromConfig(fetch, {
    schemes: [{ network: NETWORK, client: new ExactEvmScheme(alice) }],
    // The stock client pays with tokens that it does not know only when it is told which, and how much at most.
    spendControls: {
      allowedAssets: [{ network: NETWORK, asset: chain.deployment.token, maxAmountPerPayment: String(ONE_TOKEN) }],
    },
  })
  const wanted = await requirements()
  const response = await paid(`${edge.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(CHAT),
  })
  expect(await response.json()).toMatchObject({ choices: [{ message: { content: 'hello yourself' } }] })
  const told = decodePaymentResponseHeader(response.headers.get('payment-response')!)
  expect(told).toMatchObject({ success: true, network: NETWORK, payer: lower(alice.address), amount: wanted.amount })
  const { status } = await chain.client.getTransactionReceipt({ hash: told.transaction as `0x${string}` })
  expect(status).toBe('success')
  expect(await tokens(alice)).toBe(10n * ONE_TOKEN - BigInt(wanted.amount))

  const owner = await signedIn(alice)
  const account = await call<AccountView>(owner, 'GET', '/v1/account')
  expect(parseAmount(account.spent)).toBeGreaterThan(0n)
  expect(parseAmount(account.free) + parseAmount(account.spent)).toBe(BigInt(wanted.amount))
  const held = await balance(view, lower(alice.address))
  expect(held.accounts).toMatchObject([{ signer: account.chain!.signer, free: BigInt(wanted.amount) }])

  const task = { kind: 'llm.chat', model: 'echo', input: { messages: CHAT.messages, max_tokens: 20 } }
  const submitted = await paid(`${edge.url}/v1/tasks?waitSeconds=20`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(task),
  })
  expect(await submitted.json()).toMatchObject({ status: 'succeeded', output: { content: 'hello yourself' } })
  expect(await tokens(alice)).toBe(10n * ONE_TOKEN - 2n * BigInt(wanted.amount))
})

test('a payment that does not do is refused in words, and nothing is taken', async () => {
  const bob = await payer('bob')
  const wanted = await requirements()
  const past = String(Math.floor(Date.now() / 1000) - 60)
  const far = String(Math.floor(Date.now() / 1000) + 100_000)
  const elsewhere = lower(keyed('elsewhere').address)
  const less = String(BigInt(wanted.amount) - 1n)
  const cases: [says: string, header: Promise<string> | string][] = [
    ['not JSON in base64', '%%%'],
    ['x402Version', Buffer.from('{}').toString('base64')],
    ['it has expired', signed(bob, wanted, { authorization: { validBefore: past } })],
    ['longer than an hour', signed(bob, wanted, { authorization: { validBefore: far } })],
    ['its time has not come', signed(bob, wanted, { authorization: { validAfter: far } })],
    ['are needed', signed(bob, wanted, { authorization: { value: less } })],
    ['it is to', signed(bob, wanted, { authorization: { to: elsewhere } })],
    ['of the token', signed(bob, wanted, { accepted: { asset: elsewhere } })],
    ['it is on eip155:8453', signed(bob, wanted, { accepted: { network: 'eip155:8453' } })],
    ['the scheme is upto', signed(bob, wanted, { accepted: { scheme: 'upto' } })],
    ['it is not signed by', signed(bob, wanted, { signer: keyed('elsewhere') })],
    ['holds 0 tokens', signed(keyed('beggar'), wanted)],
  ]
  for (const [says, header] of cases) {
    const response = await post('/v1/chat/completions', CHAT, { 'payment-signature': await header })
    expect(response.status, says).toBe(402)
    expect((await response.json()) as object).toMatchObject({ error: { code: 'payment_refused' } })
    expect(decoded(response.headers.get('payment-required'))).toMatchObject({
      x402Version: 2,
      error: expect.stringContaining(says),
      accepts: [{ scheme: 'exact', network: NETWORK, asset: chain.deployment.token }],
    })
  }
  const wrong = await post('/v1/chat/completions', { model: 'echo' })
  expect(wrong.status).toBe(400)
  const named = await post('/v1/chat/completions', CHAT, { authorization: 'Bearer dk_nobody' })
  expect(named.status).toBe(401)
  expect(await tokens(bob)).toBe(10n * ONE_TOKEN)
})

test('a payment counts once, however often it is sent, and also when another has made it', async () => {
  const carol = await payer('carol')
  const wanted = await requirements()
  const header = { 'payment-signature': await signed(carol, wanted) }
  const answers = await Promise.all([1, 2, 3].map(() => post('/v1/chat/completions', CHAT, header)))
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 402, 402])
  const again = await post('/v1/chat/completions', CHAT, header)
  expect(again.status).toBe(402)
  expect(await again.text()).toContain('it was made before')
  expect(await tokens(carol)).toBe(10n * ONE_TOKEN - BigInt(wanted.amount))

  const made = await signed(carol, wanted)
  const { authorization, signature } = decoded(made).payload
  const { from, to, value, validAfter, validBefore, nonce } = authorization
  await send(chain, DEPLOYER, chain.deployment.token, transferWithAuthorization())
  expect((await post('/v1/chat/completions', CHAT, { 'payment-signature': made })).status).toBe(200)
  const [account] = (await balance(view, lower(carol.address))).accounts
  expect(account!.free).toBe(2n * BigInt(wanted.amount))

  function transferWithAuthorization() {
    const args = [from, to, BigInt(value), BigInt(validAfter), BigInt(validBefore), nonce, signature] as const
    return encodeFunctionData({ abi: daicnTokenAbi, functionName: 'transferWithAuthorization', args })
  }
})

test('with the chain away a payment is refused, and the same one is taken once it is back', async () => {
  const dave = await payer('dave')
  const wanted = await requirements()
  const header = { 'payment-signature': await signed(dave, wanted) }
  node.isAway = true
  const away = await post('/v1/chat/completions', CHAT, header)
  node.isAway = false
  expect(away.status).toBe(503)
  expect(await away.json()).toMatchObject({ error: { code: 'chain_unreachable' } })
  expect((await post('/v1/chat/completions', CHAT, header)).status).toBe(200)
  expect(await tokens(dave)).toBe(10n * ONE_TOKEN - BigInt(wanted.amount))
})

test('a payment that breaks off between its two transactions is deposited later', async () => {
  const erin = await payer('erin')
  const wanted = await requirements()
  const header = { 'payment-signature': await signed(erin, wanted) }
  node.awayAfter = 'eth_sendRawTransaction'
  const broken = await post('/v1/chat/completions', CHAT, header)
  expect(broken.status).toBe(503)
  expect(await broken.json()).toMatchObject({ error: { code: 'payment_unsettled' } })
  expect(await tokens(erin)).toBe(10n * ONE_TOKEN - BigInt(wanted.amount))
  expect((await balance(view, lower(erin.address))).accounts).toEqual([])
  node.isAway = false
  await eventually('it is deposited', 30_000, async () => (await balance(view, lower(erin.address))).accounts[0])
  expect((await post('/v1/chat/completions', CHAT, header)).status).toBe(402)
})

test('a payment whose deposit the chain takes back is deposited again, and counts once', {
  timeout: 60_000,
}, async () => {
  const { client, deployment, url } = chain
  const variables = {
    CHAIN_ID: String(deployment.chainId),
    DEPLOYMENT: JSON.stringify(deployment),
    PUBLIC_RPC_URL: url,
  }
  const state = join(folder.state, 'patient')
  const patient = await spawnEdge({
    state,
    build: false,
    chain: { ...variables, CONFIRMATIONS: '2', RPC_URL: node.url },
  })
  try {
    const { address } = await call<{ address: Address }>({ edge: patient.url }, 'GET', '/v1/health')
    await client.setBalance({ address, value: parseEther('1') })
    const frank = await payer('frank')
    const send = (headers: Record<string, string> = {}) => post('/v1/chat/completions', CHAT, headers, patient.url)
    const [wanted] = decoded((await send()).headers.get('payment-required')).accepts
    const header = { 'payment-signature': await signed(frank, wanted) }
    // It is answered when it counts; nobody works for this edge, so no more than that is waited for.
    const paying = send(header).catch(() => null)
    const account = async () => (await balance(view, lower(frank.address))).accounts[0]
    await eventually('it is deposited', 30_000, account)
    // The deposit alone; then what came before it too: the allowance, and the payment itself.
    for (const blocks of [1, 4]) {
      node.isAway = true
      await client.request({ method: 'anvil_reorg', params: [blocks, []] } as never)
      expect(await account()).toBeUndefined()
      expect(await tokensOf(view, lower(address))).toBe(blocks === 1 ? BigInt(wanted.amount) : 0n)
      node.isAway = false
      await eventually('it is deposited again', 30_000, account)
    }
    await client.mine({ blocks: 3 })
    expect((await account())!.free).toBe(BigInt(wanted.amount))
    expect([await tokens(frank), await tokensOf(view, lower(address))]).toEqual([
      10n * ONE_TOKEN - BigInt(wanted.amount),
      0n,
    ])
    expect(await (await send(header)).text()).toContain('it was made before')
    await patient.program.stop()
    await paying
  } finally {
    node.isAway = false
    await patient.program.stop()
  }
})

test('the commands know the chain by the edge, also when it is gone', async () => {
  const cwd = folder.state
  const key = join(cwd, 'key')
  await writeFile(key, privateKeyOf('alice'))
  const env = { XDG_CONFIG_HOME: join(cwd, 'config'), DAICN_EDGE: edge.url, DAICN_KEY: undefined }
  const run = async (...args: string[]) => {
    const { code, stdout } = await daicn([...args, '--json'], { cwd, env })
    return { code, value: JSON.parse(stdout) }
  }
  const own = lower(keyed('alice').address)
  expect(await run('balance', own)).toMatchObject({ code: 0, value: { address: own, accounts: [{ locked: '0' }] } })
  isOver = true
  await working
  await edge.program.stop()
  expect(await run('balance', own)).toMatchObject({ code: 0, value: { address: own } })
  const file = join(cwd, 'config', 'daicn', 'chains.json')
  const kept = JSON.parse(await readFile(file, 'utf8'))
  expect(kept[edge.url].deployment).toEqual(chain.deployment)
})

test('a transaction of the edge that pays too little, or that its node has dropped, is sent again in its place', async () => {
  const { client, deployment, url: rpc } = chain
  const edgeKey = keyed('stuck edge')
  await client.setBalance({ address: edgeKey.address, value: parseEther('1') })
  const transfers = openTransfers({ rpc, deployment }, edgeKey, { raiseMs: 50, patienceMs: 5_000 })
  const signed = (await transfers.signApproval())!
  let last = signed
  await client.setAutomine(false)
  try {
    await transfers.send(signed)
    const { maxFeePerGas } = parseTransaction(signed.raw)
    await client.setNextBlockBaseFeePerGas({ baseFeePerGas: (maxFeePerGas! * 13n) / 10n })
    await client.mine({ blocks: 1 })
    expect(await transfers.stateOf(signed)).toBe('waiting')
    const mined = transfers.mined(signed, (next) => {
      last = next
      if (next.earlier!.length > 1) void client.mine({ blocks: 1 })
    })
    expect(await mined).toBe(true)
    expect(await transfers.stateOf(last)).toBe('done')

    const dropped = await transfers.signDeposit(lower(edgeKey.address), lower(edgeKey.address), 0n)
    await transfers.send(dropped)
    await client.dropTransaction({ hash: dropped.hash })
    const again = transfers.mined(dropped, () => void client.setAutomine(true))
    expect(await again).toBe(true)

    await client.setAutomine(false)
    // Behind a number that is missing nothing is waited for.
    const deposit = () => transfers.signDeposit(lower(edgeKey.address), lower(edgeKey.address), 0n)
    const missing = await deposit()
    await transfers.send(missing)
    const behind = await deposit()
    await transfers.send(behind)
    await client.dropTransaction({ hash: missing.hash })
    const from = performance.now()
    await expect(transfers.mined(behind)).rejects.toThrow('is in no block yet')
    expect(performance.now() - from).toBeLessThan(4_000)
    await client.dropTransaction({ hash: behind.hash })

    const hasty = openTransfers({ rpc, deployment }, edgeKey, { patienceMs: 0 })
    const lost = await hasty.signDeposit(lower(edgeKey.address), lower(edgeKey.address), 0n)
    await hasty.send(lost)
    await client.dropTransaction({ hash: lost.hash })
    await expect(hasty.mined(lost)).rejects.toThrow('is in no block yet')
    // Nothing waits behind the number that is missing.
    const next = await hasty.signDeposit(lower(edgeKey.address), lower(edgeKey.address), 0n)
    expect(next.nonce).toBe(lost.nonce)
    await hasty.send(next)
    await client.mine({ blocks: 1 })
    expect(await hasty.stateOf(next)).toBe('done')
  } finally {
    await client.setAutomine(true)
  }
  expect(await client.getTransactionCount({ address: edgeKey.address })).toBe(3)
})
