/** Which cell of the market a call is for; see core/cells.ts. A network of one cell has nothing to ask. */
import { bestQuote, type CellLoad, chooseCell, chooseHome, FIRST_CELL, isForAnybody } from '#core/cells.ts'
import { DomainError } from '#core/errors.ts'
import type { Idempotency } from '#core/idempotency.ts'
import type { Offer } from '#core/protocol/provider.ts'
import type { Quote } from '#core/protocol/quote.ts'
import type { Address } from '#core/protocol/values.ts'
import type { TaskRequest } from '#core/request.ts'
import type { Network } from './env.ts'
import { logError } from './log.ts'

/** How long a look at the cells is believed, and, while another is on its way, at most. */
const FRESH_MS = 1_000
const STALE_MS = 10_000
const HOMES_KEPT = 10_000

type Look = { at: number; loads: CellLoad[] }
let latest: Look | null = null
let looking = false
const homes = new Map<Address, string>()

/** The cell where a provider is at home; null when it never registered. */
export async function homeOf(network: Network, provider: Address): Promise<string | null> {
  const { cells, everywhere } = network
  if (cells.length === 1) return cells[0]!
  const known = homes.get(provider)
  if (known) return known
  const found = await everywhere((market) => market.isHomeOf(provider))
  const home = cells[found.indexOf(true)]
  if (!home) return null
  if (homes.size >= HOMES_KEPT) homes.clear()
  homes.set(provider, home)
  return home
}

/** The cell that a provider's calls are for; one that never registered is told so by any. */
export const cellOf = async (network: Network, provider: Address): Promise<string> =>
  (await homeOf(network, provider)) ?? FIRST_CELL

/** Where a provider that registers is at home from now on. Its account remembers where, for it must not be in two cells. */
export async function makeHome(network: Network, provider: Address, offers: Offer[]): Promise<string> {
  const home = await homeOf(network, provider)
  if (home) return home
  const { loads } = await look(network, 0)
  return network.account(provider).settleIn(chooseHome(loads, offers))
}

/** The cell that is to take these tasks together. Of tasks with terms of their own the first speaks for the others. */
export async function cellFor(network: Network, requester: Address, requests: TaskRequest[]): Promise<string> {
  const { cells } = network
  if (cells.length === 1) return cells[0]!
  const named = requests.find(({ only }) => only !== undefined)
  if (named) return cellOf(network, named.only!)
  const special = requests.find((request) => !isForAnybody(request))
  if (special) return (await quoteOf(network, requester, special)).cell
  const known = await look(network, FRESH_MS)
  const choice = chooseCell(known.loads, requests, Math.random())
  // Somebody may have come since.
  return choice.fits ? choice.cell : chooseCell((await look(network, 0)).loads, requests, Math.random()).cell
}

/** The quote of the cell that would take the task best. */
export async function quoteOf(
  { cells, everywhere }: Network,
  requester: Address,
  request: TaskRequest,
): Promise<{ cell: string; quote: Quote }> {
  const quotes = await everywhere((market) => market.quote(requester, request))
  return bestQuote(quotes.map((quote, i) => ({ cell: cells[i]!, quote })))
}

/**
 * Submits by way of the cell that is for it. What is sent again under the same idempotency key goes where it went before: the account
 * remembers that, until a cell has refused it.
 */
export async function inCell<T>(
  network: Network,
  requester: Address,
  cell: string,
  idempotency: Idempotency | undefined,
  submit: (cell: string) => Promise<T>,
): Promise<T> {
  if (network.cells.length === 1 || !idempotency) return submit(cell)
  const account = network.account(requester)
  const place = await account.place(idempotency.key, cell)
  try {
    return await submit(place)
  } catch (error) {
    // Whether a market that went away, or met a fault of its own, has taken it is not known.
    const isRefused = error instanceof DomainError && error.code !== 'market_restarted' && error.code !== 'internal'
    if (isRefused) await account.unplace(idempotency.key)
    throw error
  }
}

/** How the cells are, as this isolate has seen them not longer ago than that. A cell that does not answer is left out. */
async function look({ cells, market }: Network, freshMs: number): Promise<Look> {
  const now = Date.now()
  const believedMs = looking && freshMs > 0 ? STALE_MS : freshMs
  if (latest && now - latest.at < believedMs) return latest
  looking = true
  try {
    const answers = await Promise.allSettled(cells.map((cell) => market(cell).load()))
    const loads = answers.flatMap((answer, i) => {
      if (answer.status === 'fulfilled') return answer.value
      logError('cell_away', answer.reason, { cell: cells[i]! })
      return []
    })
    if (loads.length === 0) throw new DomainError('market_restarted', { retryAfterSeconds: 1 })
    latest = { at: now, loads }
    return latest
  } finally {
    looking = false
  }
}
