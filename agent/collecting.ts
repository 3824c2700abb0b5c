/** What a working agent collects by: the chain of its edge's network, and an RPC of its own or the edge's choice. */
import type { LocalAccount } from 'viem'
import type { ChainView } from '#core/deployment.ts'
import type { Address } from '#core/protocol/values.ts'
import type { Settlement } from '#core/voucher.ts'
import type { Collector } from './collector.ts'
import { createCover } from './cover.ts'
import { type Edge, EdgeError } from './edge.ts'
import type { Log } from './log.ts'
import type { Settings } from './settings.ts'
import { backoff, pause, TIMING } from './timing.ts'
import type { VoucherBook } from './voucher-book.ts'

type Collecting = {
  settings: Pick<Settings, 'rpc' | 'state' | 'etherPrice' | 'credit'>
  edge: Edge
  provider: LocalAccount
  log: Log
  /** Ends the wait for an edge that does not answer. */
  signal: AbortSignal
}

/** Undefined where there is nothing to collect: a network without a chain, or no RPC to check vouchers by. */
export async function collectFor({
  settings,
  edge,
  provider,
  log,
  signal,
}: Collecting): Promise<Collector | undefined> {
  const chain = await chainOf(edge, signal)
  if (!chain?.deployment) return undefined
  const rpc = settings.rpc ?? chain.rpc
  if (rpc === null) {
    log('unpaid', { reason: 'there is no RPC to check vouchers by; name one by --rpc' })
    return undefined
  }
  // The code of the chain is half of the program, and many networks have none.
  const [{ linkSettlement }, { startCollector }] = await Promise.all([
    import('./settlement.ts'),
    import('./collector.ts'),
  ])
  const settlement = { chainId: chain.deployment.chainId, address: chain.deployment.settlement }
  const receiver = provider.address.toLowerCase() as Address
  const link = linkSettlement(rpc, settlement, provider)
  const book = await bookOf(settings.state, settlement, receiver)
  return startCollector({
    edge,
    settlement,
    court: chain.deployment.court,
    receiver,
    link,
    book,
    cover: createCover(settings.credit),
    etherPrice: settings.etherPrice,
    log,
    timing: TIMING,
    now: Date.now,
  })
}

const books = new Map<string, Promise<VoucherBook>>()

/** One for all edges that pay by the same contract, for they pay by the same lanes. */
async function bookOf(state: string, settlement: Settlement, receiver: Address): Promise<VoucherBook> {
  const { openVoucherBook } = await import('./voucher-book.ts')
  const { chainId, address } = settlement
  const key = [state, chainId, address, receiver].join(' ')
  const book = books.get(key) ?? openVoucherBook(state, settlement, receiver)
  books.set(key, book)
  return book
}

/** Undefined for an edge that knows of no chains, or when the signal ends the wait for it. */
async function chainOf(edge: Edge, signal: AbortSignal): Promise<ChainView | undefined> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      return await edge.getChain()
    } catch (error) {
      if (error instanceof EdgeError && error.code === 'not_found') return undefined
      await pause(backoff(failures, TIMING, Math.random), signal)
    }
  }
  return undefined
}
