/** Which lane pays for the tasks of a requester that signs its own vouchers: a voucher is for one provider, so it is chosen before. */
import type { Book } from './book.ts'
import { DomainError } from './errors.ts'
import { candidacy, census } from './explain.ts'
import { lanePurse, type Signed, signedFor } from './lane.ts'
import { modelOf } from './market.ts'
import { max } from './money.ts'
import type { Address } from './protocol/values.ts'
import { available, laneKey, newPurse, purseId } from './purse.ts'
import { bestOffer, wantOf } from './quote.ts'
import type { TaskRequest } from './request.ts'
import { held } from './task.ts'

type Wanted = { requester: Address; account: string; requests: TaskRequest[] }
/** `ceiling` is what must be signed for, `signed` what was, base units. */
export type LaneChoice = { provider: Address; ceiling: bigint; signed: Signed | null }

/**
 * The best provider that can run all of the tasks. Changes nothing.
 * @throws DomainError no_provider, unknown_model, not_comparable
 */
export function chooseLane(book: Book, { requester, account, requests }: Wanted, now: number): LaneChoice {
  if (requests.some(({ assurance }) => assurance)) {
    throw new DomainError('not_comparable', { detail: 'a voucher pays one provider, and others would have to agree' })
  }
  const wants = requests.map((request) => wantOf(book, requester, request, now))
  const [first, ...others] = wants
  const able = census(book, first!, now).candidates.filter((provider) =>
    others.every((want) => candidacy(want, provider, now) === null),
  )
  const laneTo = (provider: Address) => lanePurse(book, requester, account, provider)
  const open = able.filter(({ supply }) => !laneTo(supply.address)?.closing)
  const provider = bestOffer(first!, open, now)?.supply.address
  if (!provider) {
    for (const request of requests) modelOf(book, request)
    if (able.length > 0) {
      throw new DomainError('no_provider', {
        detail: 'the lanes of this key to all who can are closed; use another key',
      })
    }
    throw new DomainError('no_provider', { detail: 'no one provider can run all of it now', retryAfterSeconds: 10 })
  }
  const purse = laneTo(provider) ?? newPurse(purseId(requester, laneKey(account, provider)))
  const need = requests.reduce((sum, request) => sum + held(request), 0n)
  const ceiling = purse.drawn + max(need - available(purse), 0n)
  return { provider, ceiling, signed: signedFor(book, requester, account, provider) }
}
