/**
 * The end of a lane whose requester signs for it: its provider signs that it never charges it more, and that what is locked in it is
 * free at once. Should it claim more all the same, what it signed proves that to DisputeCourt. A closed lane stays closed.
 */
import { type Book, record } from './book.ts'
import { DomainError } from './errors.ts'
import { lanePurse } from './lane.ts'
import { formatAmount } from './money.ts'
import type { ClosingLane, LaneClosing, OwnLane } from './protocol/lane-closing.ts'
import type { Address } from './protocol/values.ts'
import { laneKey, laneOf, type Purse, parsePurseId, purseId } from './purse.ts'

/** The lanes that a requester signs for. */
export function ownLanes(book: Book, requester: Address): OwnLane[] {
  return [...book.purses.values()]
    .filter(({ id }) => laneOf(id) && parsePurseId(id).account === requester)
    .map((purse) => viewOf(book, purse))
}

/**
 * Asks for the end of a lane, which takes no more tasks from then on. Asked again, it tells how far that has come.
 * @throws DomainError lane_not_found, lane_in_use
 */
export function askToClose(book: Book, requester: Address, account: string, provider: Address, now: number): OwnLane {
  const purse = lanePurse(book, requester, account, provider)
  if (!purse?.signature) throw new DomainError('lane_not_found')
  if (purse.held > 0n) throw new DomainError('lane_in_use')
  if (!purse.closing) record(book, { type: 'closing', at: now, purse: purse.id, signed: null })
  return viewOf(book, purse)
}

/** The lanes whose provider is asked to close them. */
export function closingsOf(book: Book, address: Address): ClosingLane[] {
  return [...(book.providers.get(address)?.closing ?? [])].map((id) => {
    const { account } = laneOf(id)!
    return { requester: parsePurseId(id).account, account, charged: formatAmount(chargedTo(book, id)) }
  })
}

/**
 * The provider has signed; whether by its key has been checked.
 * @throws DomainError lane_not_found for a lane that it is not asked to close, closing_refused for what does not close it
 */
export function close(book: Book, address: Address, requester: Address, signed: LaneClosing, now: number): void {
  const { provider, account, charged, closed } = signed.statement
  const id = purseId(requester, laneKey(account, address))
  if (!book.providers.get(address)?.closing?.has(id)) throw new DomainError('lane_not_found')
  const due = chargedTo(book, id)
  if (provider !== address || !closed || BigInt(charged) !== due) {
    throw new DomainError('closing_refused', { detail: `it must be closed at ${due} base units, by ${address}` })
  }
  record(book, { type: 'closing', at: now, purse: id, signed })
}

/** What a lane's requester was charged, over all time. */
function chargedTo(book: Book, id: string): bigint {
  const { account, provider } = laneOf(id)!
  return book.providers.get(provider)?.charges.get(account)?.amount ?? 0n
}

function viewOf(book: Book, { id, drawn, held, closing }: Purse): OwnLane {
  const signed = closing?.signed ?? null
  return {
    ...laneOf(id)!,
    signed: formatAmount(drawn),
    charged: formatAmount(chargedTo(book, id)),
    held: formatAmount(held),
    state: signed ? 'closed' : closing ? 'closing' : 'open',
    closing: signed,
  }
}
