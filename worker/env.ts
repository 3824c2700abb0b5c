/** The platform's bindings, and the one place where the parts are wired to each other. */
import { waitUntil } from 'cloudflare:workers'
import { cellNames } from '#core/cells.ts'
import { DomainError } from '#core/errors.ts'
import type { OutputFrame, Poll, PollAnswer } from '#core/protocol/lease.ts'
import type { TaskView, WatchEvent } from '#core/protocol/task.ts'
import type { Address } from '#core/protocol/values.ts'
import { rateLimits } from '#core/rate-limit.ts'
import { roomOf } from '#core/task-id.ts'
import { canarySettings } from './canary-keys.ts'
import { accountIdOf, signerOf } from './chain/account-signer.ts'
import { edgeKeyOf } from './chain/edge-key.ts'
import { openFaucet } from './chain/faucet.ts'
import { keccak } from './chain/keccak.ts'
import { openPoster } from './chain/poster.ts'
import { openReader } from './chain/reader.ts'
import { chainSettings } from './chain/settings.ts'
import { hashOf, isSignedBy, recoverSigner, type SignInMessage } from './chain/signature.ts'
import { openTransfers, type Transfers } from './chain/transfers.ts'
import { ask, type Carrier, openLine, type Question } from './line.ts'
import type { Account } from './objects/account.ts'
import type { Library } from './objects/library.ts'
import type { Market } from './objects/market.ts'
import type { NetworkFeed } from './objects/network-feed.ts'
import type { Start } from './objects/output-log.ts'
import type { Payments } from './objects/payments.ts'
import type { TaskRoom } from './objects/task-room.ts'
import type { Json } from './outcome.ts'
import { openBlobs } from './store/blobs.ts'
import { openDeposits } from './store/deposits.ts'
import { openFiles } from './store/files.ts'
import { openHistory } from './store/history.ts'
import { counted, used } from './usage.ts'

export type Env = {
  MARKET: DurableObjectNamespace<Market>
  TASK_ROOM: DurableObjectNamespace<TaskRoom>
  ACCOUNT: DurableObjectNamespace<Account>
  NETWORK_FEED: DurableObjectNamespace<NetworkFeed>
  DB: D1Database
  LIBRARY: DurableObjectNamespace<Library>
  PAYMENTS: DurableObjectNamespace<Payments>
  BLOBS: R2Bucket
  ASSETS: Fetcher
  CHAIN_ID: string
  DEPLOYMENT: string
  CONFIRMATIONS: string
  PUBLIC_RPC_URL: string
  RPC_URL?: string
  /** Posts the roots of the public log; without it nobody does. */
  POSTER_KEY?: string
  /** Of a development network on a chain alone. */
  FAUCET_KEY?: `0x${string}`
  DEV: string
  /** Calls a minute of one API key; see rateLimits. */
  CALLS_PER_MINUTE?: string
  /** How many cells the market has; see core/cells.ts. */
  CELLS: string
  EDGE_SECRET: string
  /** Lets its bearer read what is the operator's alone; without it nobody does. */
  OPERATOR_TOKEN?: string
  /** API keys of accounts of the operator's that pay for canaries; without them there are none. */
  CANARY_KEYS?: string
  CANARY_SHARE?: string
}

export type Network = ReturnType<typeof wire>

/** An object as its callers see it. The platform's own type turns `unknown`, as in a task's output, into nothing. */
type Remote<T> = Pick<Fetcher, 'fetch'> & {
  [K in Exclude<keyof T, 'fetch'>]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never
}

/** A market's calls as routes make them: they travel together, see line.ts. Values come back as JSON. */
function marketLine(market: () => Remote<Market>) {
  const line = openLine(crypto.randomUUID())
  const carrier: Carrier = {
    exchange: (isolate, calls) => market().exchange(isolate, calls),
    waitUntil,
    now: Date.now,
  }
  return {
    submit: (...args: Extract<Question, { method: 'submit' }>['args']): Promise<Json<TaskView[]>> =>
      ask(line, carrier, { method: 'submit', args }),
    read: (requester: Address, id: string, waitMs: number): Promise<Json<TaskView>> =>
      ask(line, carrier, { method: 'read', args: [requester, id, waitMs] }),
    cancel: (requester: Address, id: string): Promise<Json<TaskView>> =>
      ask(line, carrier, { method: 'cancel', args: [requester, id] }),
    poll: (provider: Address, call: Json<Poll>): Promise<Json<PollAnswer>> =>
      ask(line, carrier, { method: 'poll', args: [provider, call] }),
  }
}

/** The room of a task, in the object that it shares with others. */
function roomOfTask(env: Env, task: string) {
  const rooms = counted(env.TASK_ROOM.getByName(roomOf(task)) as unknown as Remote<TaskRoom>, used.room)
  return {
    /** A socket to it; see `fetch` of TaskRoom for the query. */
    open: (query: string): Promise<Response> =>
      rooms.fetch(`https://room/?task=${task}&${query}`, { headers: { upgrade: 'websocket' } }),
    tell: (event: WatchEvent) => rooms.tell(task, event),
    seal: (attempt: number) => rooms.seal(task, attempt),
    append: (attempt: number, start: Start, frame: OutputFrame) => rooms.append(task, attempt, start, frame),
  }
}

/** In receipts of a network without contracts. */
const NO_COURT: Address = `0x${'00'.repeat(20)}`

/** @throws DomainError no_chain */
export function chainOf({ chain }: Network): NonNullable<Network['chain']> {
  if (!chain) throw new DomainError('no_chain')
  return chain
}

let wired: { env: Env; network: Network } | undefined

/** The network as the rest of the Worker uses it. Throws when a setting is missing or wrong. */
export function networkOf(env: Env): Network {
  if (wired?.env !== env) wired = { env, network: wire(env) }
  return wired.network
}

function wire(env: Env) {
  if (!env.EDGE_SECRET || env.EDGE_SECRET.length < 32) {
    throw new Error('EDGE_SECRET must be set to at least 32 characters: wrangler secret put EDGE_SECRET')
  }
  if (env.OPERATOR_TOKEN && env.OPERATOR_TOKEN.length < 32) {
    throw new Error('OPERATOR_TOKEN must have at least 32 characters: wrangler secret put OPERATOR_TOKEN')
  }
  const chainId = Number(env.CHAIN_ID)
  if (!Number.isSafeInteger(chainId) || chainId < 1) throw new Error(`CHAIN_ID is not a chain id: ${env.CHAIN_ID}`)
  const settings = chainSettings(chainId, env)
  let edgeKey: ReturnType<typeof edgeKeyOf> | undefined
  let transfers: Transfers | undefined
  const cells = cellNames(Number(env.CELLS))
  const market = (cell: string) => counted(env.MARKET.getByName(cell) as unknown as Remote<Market>, used.market)
  const openTo = (cell: string) => marketLine(() => market(cell))
  const lines = new Map<string, ReturnType<typeof openTo>>()
  return {
    chainId,
    isDevelopment: env.DEV === 'true',
    secret: env.EDGE_SECRET,
    rates: rateLimits(env.CALLS_PER_MINUTE, env.DEV === 'true'),
    operatorToken: env.OPERATOR_TOKEN || undefined,
    canaries: canarySettings(env.CANARY_KEYS, env.CANARY_SHARE),
    /** True when a sign-in was signed for this chain by the key of its address. */
    isSignedIn: (message: SignInMessage, signature: `0x${string}`) => isSignedBy(chainId, message, signature),
    /** Whose proofs receipts are; see core/receipt.ts. */
    receiptDomain: { chainId, court: settings?.deployment.court ?? NO_COURT },
    /** Where its money is; null for a network without a chain. */
    chain: settings && {
      ...settings,
      /** The contract by which it pays. */
      settlement: { chainId, address: settings.deployment.settlement },
      reader: openReader(settings),
      faucet: env.DEV === 'true' && env.FAUCET_KEY ? openFaucet(settings, env.FAUCET_KEY) : null,
      poster: settings.posterKey ? openPoster(settings, settings.posterKey) : null,
      deposits: openDeposits(env.DB, settings.deployment.settlement),
    },
    /** The key that spends for an account on the chain. */
    signerOf: (account: Address) => signerOf(env.EDGE_SECRET, account),
    accountIdOf,
    recoverSigner,
    hashOf,
    keccak,
    /** By which the edge countersigns receipts. Made when it is first needed, for that is slow. */
    edgeKey: () => {
      edgeKey ??= edgeKeyOf(env.EDGE_SECRET)
      return edgeKey
    },
    /** By which payments are taken; only for the object that has them in its care. */
    transfers: () => {
      edgeKey ??= edgeKeyOf(env.EDGE_SECRET)
      transfers ??= openTransfers(settings!, edgeKey.account)
      return transfers
    },
    payments: () => counted(env.PAYMENTS.getByName('payments') as unknown as Remote<Payments>, used.payments),
    /** Their names. */
    cells,
    /** An id that anybody made up must not make a market. */
    isCell: (name: string): boolean => cells.includes(name),
    market,
    /** Asks each cell. */
    everywhere: <T>(question: (market: Remote<Market>) => Promise<T>): Promise<T[]> =>
      Promise.all(cells.map((cell) => question(market(cell)))),
    line: (cell: string) => {
      const line = lines.get(cell) ?? openTo(cell)
      lines.set(cell, line)
      return line
    },
    account: (address: Address) => counted(env.ACCOUNT.getByName(address) as unknown as Remote<Account>, used.account),
    room: (task: string) => roomOfTask(env, task),
    feed: () => counted(env.NETWORK_FEED.getByName('network') as unknown as Remote<NetworkFeed>, used.feed),
    history: openHistory(env.DB),
    blobs: openBlobs(env.BLOBS),
    library: (address: Address) => counted(env.LIBRARY.getByName(address) as unknown as Remote<Library>, used.library),
    files: openFiles(env.BLOBS),
    /** For an object: what it waits for must not be answered by another. */
    ownLine: (cell: string) => openTo(cell),
  }
}
