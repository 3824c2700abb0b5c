/** The money of a network, as its API tells it. */
import { setTimeout as wait } from 'node:timers/promises'
import { call } from '../../client/edge.ts'
import { parseAmount } from '../../core/money.ts'
import type { AccountView } from '../../core/protocol/account.ts'
import type { BooksView } from '../../core/protocol/network.ts'
import type { Member, World } from './fault-world.ts'

type Books = Record<keyof BooksView, bigint>

export async function readBooks({ url }: World): Promise<Books> {
  const view = await call<BooksView>({ edge: url }, 'GET', '/v1/network/books')
  return Object.fromEntries(Object.entries(view).map(([name, amount]) => [name, parseAmount(amount)])) as Books
}

/** What the books themselves must come to at any time. Zero when they do. */
export const booksGap = ({ drawn, restored, held, available, captured, earned, fees }: Books) => ({
  drawn: drawn - restored - held - available - captured,
  captured: captured - earned - fees,
})

export type Balances = Record<'deposited' | 'free' | 'held' | 'spent' | 'earned', bigint>

export async function readBalances({ caller }: Member): Promise<Balances> {
  const view = await call<AccountView>(caller, 'GET', '/v1/account')
  const { deposited, free, held, spent, earned } = view
  const amounts = Object.entries({ deposited, free, held, spent, earned })
  return Object.fromEntries(amounts.map(([name, amount]) => [name, parseAmount(amount)])) as Balances
}

export type Totals = Balances & { fees: bigint }

/** Over all accounts of the world. What is missing: deposits that are neither free, held, earned nor fees. */
export async function readTotals(world: World): Promise<{ totals: Totals; missing: bigint }> {
  const totals: Totals = { deposited: 0n, free: 0n, held: 0n, spent: 0n, earned: 0n, fees: 0n }
  for (const member of [...world.requesters, ...world.providers]) {
    for (const [name, amount] of Object.entries(await readBalances(member))) totals[name as keyof Balances] += amount
  }
  totals.fees = (await readBooks(world)).fees
  const { deposited, free, held, earned, fees } = totals
  return { totals, missing: deposited - free - held - earned - fees }
}

/** Effects reach the accounts a little later: looks until nothing is missing, or `timeoutMs` is over. */
export async function untilSettled(world: World, timeoutMs: number): Promise<{ totals: Totals; missing: bigint }> {
  const until = Date.now() + timeoutMs
  for (;;) {
    const read = await readTotals(world)
    if (read.missing === 0n || Date.now() >= until) return read
    await wait(200)
  }
}

/** Looks until it holds; rejects with what it is about when it does not within `timeoutMs`. */
export async function eventually<T>(what: string, timeoutMs: number, look: () => Promise<T | undefined>): Promise<T> {
  const until = Date.now() + timeoutMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() >= until) throw new Error(`${what}: not within ${timeoutMs} ms`)
    await wait(50)
  }
}
