/**
 * Tasks of a real trace, played through a real edge and paid on a real chain: requesters by the SDK, some of whom sign with keys of
 * their own, and the agents themselves, who have lanes locked, check vouchers and claim. At the end all that the edge and the chain
 * say is held against the prices of the tasks.
 */
import { join } from 'node:path'
import { createWalletClient, type Hex, http, parseEventLogs } from 'viem'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'
import { startAgent } from '../../agent/agent.ts'
import { collectFor } from '../../agent/collecting.ts'
import { createEdge } from '../../agent/edge.ts'
import type { Log } from '../../agent/log.ts'
import type { Runner } from '../../agent/runner.ts'
import { openSpool } from '../../agent/spool.ts'
import { TIMING } from '../../agent/timing.ts'
import { createTurns } from '../../agent/work.ts'
import { accountId, deposit } from '../../client/chain/accounts.ts'
import { openChain, type Wallet } from '../../client/chain/chain.ts'
import { connect, type Daicn, openWallet, signIn } from '../../client/daicn.ts'
import { call } from '../../client/edge.ts'
import type { NewTask } from '../../client/task.ts'
import { daicnSettlementAbi, daicnTokenAbi } from '../../contracts/abi.ts'
import { formatAmount, ONE_TOKEN, parseAmount } from '../../core/money.ts'
import type { BooksView } from '../../core/protocol/network.ts'
import type { Address } from '../../core/protocol/values.ts'
import { fuel, type LocalChain, readBalances, startLocalChain } from '../../scripts/chain.ts'
import { spawnEdge } from '../../scripts/edge-process.ts'
import { keyed } from '../support/chain.ts'
import { eventually } from '../support/ledger.ts'
import { transferCall } from '../support/requester.ts'
import type { Arrival } from './replay.ts'

const REQUESTERS = 10
/** Of them, so many sign for their accounts themselves. */
const OWN_KEYS = 2
const PROVIDERS = 4
const SLOTS = 32
const MODEL = 'trace'
/** As the faucet gives it. */
const DEPOSIT = 100n * ONE_TOKEN
const CREDIT = ONE_TOKEN / 10n
/** What one submission of tasks may add to what an own key has signed. */
const MOST_A_CALL = '20'
const PATIENCE_MS = 120_000
const FAREWELL_MS = 30_000
const TOLD_EVERY = 1_000

type Payer = { address: Address; account: Hex; daicn: Daicn; isOwn: boolean; spent: bigint }
type Provider = { address: Address; earned: bigint; stop: () => Promise<void> }
type World = { chain: LocalChain; edge: string; state: string; log: (line: string) => void }

/** @param drift base units by which edge, chain and the prices of the tasks differ, over all accounts; `claims` as the agents said */
export type Played = { tasks: number; vouchers: number; claims: number; spent: bigint; drift: bigint }

/** @param state folder of the edge, the chain and the agents, that goes afterwards */
export async function playMarket(
  state: string,
  arrivals: readonly Arrival[],
  log: (line: string) => void,
): Promise<Played> {
  const chain = await startLocalChain(join(state, 'chain'))
  const edge = await spawnEdge({ state: join(state, 'edge'), build: false, chain: chain.variables })
  try {
    const { address } = await call<{ address: Address }>({ edge: edge.url }, 'GET', '/v1/health')
    await fuel(chain, address)
    return await playIn({ chain, edge: edge.url, state, log }, arrivals)
  } finally {
    await edge.program.stop()
    await chain.stop()
  }
}

async function playIn(world: World, arrivals: readonly Arrival[]): Promise<Played> {
  const claims: number[] = []
  const tell: Log = (event, fields) => {
    if (event === 'claimed') claims.push(Number(fields?.vouchers))
    if (event === 'unpaid') world.log(`unpaid: ${fields?.reason}`)
  }
  const providers = await Promise.all(Array.from({ length: PROVIDERS }, (_, i) => startProvider(world, i, tell)))
  const payers: Payer[] = []
  for (let i = 0; i < REQUESTERS; i++) {
    payers.push(await (i < OWN_KEYS ? ownPayer : payer)(world, keyed(`payer ${i}`), keyed(`signer ${i}`)))
  }
  const prices = new Map<string, bigint>()
  let tasks = 0
  await Promise.all(
    payers.map(async (payer, i) => {
      const own = arrivals.filter((_, at) => at % REQUESTERS === i).map(taskOf)
      for await (const { task } of payer.daicn.batch(own, { open: 500 })) {
        if (task.status !== 'succeeded') throw new Error(`task ${task.id} ${task.status}: ${task.error?.message}`)
        const price = parseAmount(task.price!)
        const lane = `${payer.account} ${task.provider}`
        prices.set(lane, (prices.get(lane) ?? 0n) + price)
        payer.spent += price
        if (++tasks % TOLD_EVERY === 0) world.log(`${tasks} of ${arrivals.length} tasks are done`)
      }
    }),
  )
  for (const { stop } of providers) await stop()
  return {
    tasks,
    vouchers: claims.reduce((sum, count) => sum + count, 0),
    claims: claims.length,
    spent: payers.reduce((sum, { spent }) => sum + spent, 0n),
    drift: await driftOf(world, payers, providers, prices),
  }
}

/** The trace's tokens go with the task, for its provider to count. */
const taskOf = ({ inTokens, outTokens }: Arrival): NewTask<'llm.chat'> => ({
  kind: 'llm.chat',
  model: MODEL,
  // Held is a token for each byte of the messages, so these are as long as what was asked.
  input: {
    messages: [{ role: 'user', content: `${inTokens} ${outTokens} `.padEnd(inTokens, '.') }],
    max_tokens: Math.max(outTokens, 1),
  },
})

const runner: Runner = {
  kind: 'llm.chat',
  model: MODEL,
  concurrency: SLOTS,
  load: async () => {},
  probe: async () => ({ speed: 1000 }),
  async run(input) {
    const [{ content }] = (input as { messages: [{ content: string }] }).messages
    const [inputTokens, outputTokens] = content.split(' ').map(Number) as [number, number]
    return { output: { content: 'done', finishReason: 'stop' }, usage: { inputTokens, outputTokens } }
  },
  close: async () => {},
}

async function startProvider({ chain, edge: url, state }: World, i: number, log: Log): Promise<Provider> {
  const provider = keyed(`provider ${i}`)
  await fuel(chain, provider.address)
  const edge = createEdge(url, provider, Date.now)
  const folder = join(state, `provider ${i}`)
  const settings = { rpc: chain.url, state: folder, etherPrice: 0n, credit: CREDIT }
  const signal = new AbortController().signal
  const collector = (await collectFor({ settings, edge, provider, log, signal }))!
  // No round numbers, so that fees have something to round.
  const ask = formatAmount(parseAmount('0.000009') + BigInt(i) * 123_456_789n)
  const agent = await startAgent({
    edge,
    registration: {
      name: `provider ${i}`,
      agent: 'bench',
      slots: SLOTS,
      offers: [{ kind: 'llm.chat', model: MODEL, ask, speed: 1000 }],
    },
    payment: collector,
    runners: [runner],
    turns: createTurns(),
    spool: await openSpool(join(folder, 'spool'), url),
    log,
    now: Date.now,
    random: Math.random,
    timing: TIMING,
  })
  return {
    address: lower(provider.address),
    earned: 0n,
    async stop() {
      await agent.stop(FAREWELL_MS, signal)
      await collector.stop()
    },
  }
}

const lower = (address: string) => address.toLowerCase() as Address

/** The edge signs for it. */
async function payer({ chain, edge }: World, key: PrivateKeyAccount): Promise<Payer> {
  const owner = await signIn({ edge }, key)
  await owner.faucet()
  const { chain: own } = await owner.account()
  const free = async () => parseAmount((await owner.account()).free) === DEPOSIT || undefined
  await eventually('its deposit counts', PATIENCE_MS, free)
  const { key: apiKey } = await owner.keys.create({ name: 'trace' })
  await fuel(chain, key.address)
  const daicn = connect({ edge, key: apiKey })
  return { address: lower(key.address), account: own!.account as Hex, daicn, isOwn: false, spent: 0n }
}

/** It signs itself. */
async function ownPayer({ chain, edge }: World, key: PrivateKeyAccount, signer: PrivateKeyAccount): Promise<Payer> {
  const { url: rpc, deployment, variables } = chain
  const treasurer = createWalletClient({
    account: privateKeyToAccount(variables.FAUCET_KEY as Hex),
    transport: http(rpc),
  })
  await treasurer.sendTransactionSync({ to: deployment.token, data: transferCall(key.address, DEPOSIT), chain: null })
  await fuel(chain, key.address)
  const [payer, spender] = [lower(key.address), lower(signer.address)]
  const wallet = (await openChain({ rpc, deployment, account: key })) as Wallet
  await deposit(wallet, DEPOSIT, payer, spender)
  const owner = await signIn({ edge }, key)
  const { key: apiKey } = await owner.keys.create({ name: 'trace' })
  const daicn = connect({ edge, key: apiKey, wallet: openWallet(signer, { maxPerCall: MOST_A_CALL }) })
  return { address: payer, account: accountId(payer, spender), daicn, isOwn: true, spent: 0n }
}

/** Every account at the edge and on the chain, every lane, every wallet, and the contract, which holds all that is left. */
async function driftOf(
  { chain, edge }: World,
  payers: Payer[],
  providers: Provider[],
  prices: Map<string, bigint>,
): Promise<bigint> {
  const { url, deployment } = chain
  const { node } = await openChain({ rpc: url, deployment })
  const logs = await node.getLogs({
    address: deployment.settlement,
    fromBlock: BigInt(deployment.block),
    toBlock: 'latest',
  })
  const earned = parseEventLogs({ abi: daicnSettlementAbi, eventName: 'Earned', logs, strict: true })
  const spent = payers.reduce((sum, payer) => sum + payer.spent, 0n)
  const books = await call<BooksView>({ edge }, 'GET', '/v1/network/books')
  const tokensOf = (owner: Address) =>
    node.readContract({ abi: daicnTokenAbi, address: deployment.token, functionName: 'balanceOf', args: [owner] })
  const lanes = payers.flatMap(({ account }) => providers.map(({ address }) => ({ account, address })))
  const paid = await Promise.all(
    lanes.map(async ({ account, address }) => {
      const total = await readBalances(chain, account).paidTo(address)
      return total - (prices.get(`${account} ${address}`) ?? 0n)
    }),
  )
  const wallets = await Promise.all(
    providers.map(async ({ address }) => {
      const own = earned.filter(({ args }) => lower(args.receiver) === address)
      return (await tokensOf(address)) - own.reduce((sum, { args }) => sum + args.amount, 0n)
    }),
  )
  const accounts = await Promise.all(
    payers.map(async ({ daicn, spent, isOwn }) => {
      const view = await daicn.account()
      return parseAmount(view.free) + parseAmount(view.held) - (isOwn ? 0n : DEPOSIT - spent)
    }),
  )
  const fees = earned.reduce((sum, { args }) => sum + args.fee, 0n)
  const amounts = earned.reduce((sum, { args }) => sum + args.amount, 0n)
  const gaps = [
    ...paid,
    ...wallets,
    ...accounts,
    amounts + fees - spent,
    parseAmount(books.captured) - spent,
    parseAmount(books.earned) + parseAmount(books.fees) - spent,
    // What is free or locked, and the fees that nobody has paid out.
    (await tokensOf(deployment.settlement)) - (BigInt(REQUESTERS) * DEPOSIT - spent + fees),
  ]
  return gaps.reduce((sum, gap) => sum + (gap < 0n ? -gap : gap), 0n)
}
