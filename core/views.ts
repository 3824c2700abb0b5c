/** The book as others may see it. */
import type { Book, Provider } from './book.ts'
import { latestMatches } from './decision.ts'
import { isActive, metricsOf } from './health.ts'
import { leaseId } from './lease.ts'
import { classOf, parseClass } from './matching.ts'
import { formatAmount, parseAmount } from './money.ts'
import { UNITS } from './pricing.ts'
import type { Lease } from './protocol/lease.ts'
import type { ModelView } from './protocol/model.ts'
import type { BooksView, NetworkSnapshot, ProviderSummary } from './protocol/network.ts'
import { type Offer, SIMULATED } from './protocol/provider.ts'
import { type AttemptView, TASK_STATUSES, type TaskStatus, type TaskView } from './protocol/task.ts'
import type { Address } from './protocol/values.ts'
import type { Kind } from './protocol/work.ts'
import type { ReputationView } from './public-log.ts'
import { available, laneOf, parsePurseId } from './purse.ts'
import { interval, NEWCOMER, pooled, score } from './reputation.ts'
import { attemptShown, latencyView, minutesUntil } from './stats.ts'
import { type Attempt, held, paid, statusOf, type Task } from './task.ts'

export const PROVIDERS_SHOWN = 50
export const LATEST_SHOWN = 20
export const MATCHES_SHOWN = 6

export function taskView(task: Task): TaskView {
  const { spec, state } = task
  const view: TaskView = {
    id: spec.id,
    kind: spec.kind,
    model: spec.variant?.digest ? `${spec.model}@${spec.variant.digest}` : spec.model,
    status: statusOf(task),
    createdAt: spec.createdAt,
    maxPrice: formatAmount(held(spec)),
    attempts: task.attempts.map(attemptView),
  }
  if (spec.assurance) view.assurance = assuranceView(task)
  const shown = attemptShown(task)
  if (shown) view.provider = shown.provider
  switch (state.is) {
    case 'queued':
    case 'leased':
    case 'running':
    case 'sealing':
      return view
    case 'succeeded': {
      const { at, units, usage, output, price } = state
      return { ...view, finishedAt: at, price: formatAmount(price), units, usage, output }
    }
    case 'failed':
      return { ...view, ...delivered(task), finishedAt: state.at, error: state.error }
    case 'expired':
      return {
        ...view,
        ...delivered(task),
        finishedAt: state.at,
        error: { code: 'task_expired', message: 'The task was not finished before its deadline.' },
      }
    case 'cancelled':
      return { ...view, ...delivered(task), finishedAt: state.at }
  }
}

function assuranceView({ spec, attempts, deliveries = [] }: Task): NonNullable<TaskView['assurance']> {
  const agreed = attempts.filter(({ state }) => state.is === 'succeeded').length
  return { level: spec.assurance!.level, results: deliveries.length, agreed }
}

/** What a task without a result cost: only what was delivered of its stream. */
function delivered(task: Task): { price: string; units?: number } {
  const price = formatAmount(paid(task))
  return task.prefix ? { price, units: task.prefix.tokens } : { price }
}

function attemptView({ number, provider, ask, units, grantedAt, state }: Attempt): AttemptView {
  const view: AttemptView = { number, provider, state: state.is, grantedAt }
  if (units > 0) Object.assign(view, { units, price: formatAmount(ask * BigInt(units)) })
  switch (state.is) {
    case 'granted':
      return view
    case 'started':
      return { ...view, startedAt: state.at }
    case 'failed':
      return { ...view, endedAt: state.at, error: state.error }
    case 'delivered':
    case 'succeeded':
    case 'refuted':
    case 'lost':
    case 'superseded':
      return { ...view, endedAt: state.at }
  }
}

/** A provider's leases beyond `seen`, oldest first. */
export function leasesAfter(book: Book, provider: Provider, seen: number): Lease[] {
  const leases: Lease[] = []
  for (const { seq, task, attempt, expiresAt } of provider.leases.values()) {
    if (seq <= seen) continue
    const { spec, prefix, attempts } = book.tasks.get(task)!.task
    const { kind, model, input, maxUnits, stream, requester, purse } = spec
    const { ask, digest = null } = attempts[attempt - 1]!
    const terms = { requester, ask: formatAmount(ask), digest }
    const lease: Lease = { id: leaseId(task, attempt), seq, kind, model, input, maxUnits, stream, terms, expiresAt }
    const paidBy = laneOf(purse)
    leases.push({ ...lease, ...(prefix && { prefix }), ...(paidBy && { account: paidBy.account }) })
  }
  return leases
}

export function networkSnapshot(book: Book, now: number): NetworkSnapshot {
  const { metrics, health, reputation } = metricsOf(book, now)
  return {
    at: now,
    metrics,
    reputation,
    health,
    status: statusCounts(book),
    minutes: minutesUntil(book.stats, now),
    latest: book.stats.latest.slice(-LATEST_SHOWN).reverse(),
    matches: latestMatches(book, MATCHES_SHOWN),
    simulated: [...book.providers.values()].some(
      (provider) => provider.registration.agent === SIMULATED && isActive(provider, now),
    ),
    providers: [...book.providers.values()]
      .map((provider) => providerSummary(provider, now))
      .sort(byStanding)
      .slice(0, PROVIDERS_SHOWN),
  }
}

function statusCounts(book: Book): Record<TaskStatus, number> {
  const counts = Object.fromEntries(TASK_STATUSES.map((status) => [status, 0])) as Record<TaskStatus, number>
  Object.assign(counts, book.stats.ended)
  counts.queued = book.matching.queued
  counts.verifying = book.verifying.size
  for (const id of book.verifying) if (book.tasks.get(id)!.task.state.is === 'queued') counts.queued--
  // Telling leased from running takes a look at each lease, of which there are never more than slots.
  for (const { leases } of book.providers.values()) {
    for (const { task, attempt } of leases.values()) {
      const { state, deliveries } = book.tasks.get(task)!.task
      // Of two leases the later one counts.
      const isIts = (state.is === 'leased' || state.is === 'running') && state.attempt === attempt
      if (!deliveries && isIts) counts[state.is]++
    }
  }
  counts.running += book.sealing.size
  return counts
}

/** How providers are listed: the active ones first, each by the lower bound of its reputation. */
export const byStanding = (x: Standing, y: Standing): number =>
  Number(y.active) - Number(x.active) || y.reputation.low - x.reputation.low

export type Standing = Pick<ProviderSummary, 'active'> & { reputation: { low: number } }

export function providerSummary(provider: Provider, now: number): ProviderSummary {
  const { supply, registration, reputations } = provider
  const summary: ProviderSummary = {
    address: supply.address,
    name: registration.name,
    active: isActive(provider, now),
    reputation: interval(pooled(reputations.values())),
    slots: registration.slots,
    busy: provider.leases.size,
    offers: registration.offers.map(({ kind, model, ask, speed }) => {
      const reputation = interval(reputations.get(classOf({ kind, model })) ?? NEWCOMER)
      return { kind, model, ask, speed, reputation }
    }),
    succeeded: provider.succeeded,
    failed: provider.failed,
    earned: formatAmount(provider.earned),
  }
  if (supply.region !== null) summary.region = supply.region
  if (registration.devices) summary.devices = registration.devices.map(({ id: _, ...device }) => device)
  return summary
}

type Model = { kind: Kind; model: string; created: number; offers: Offer[] }

/** Every model that was ever offered, with what those who offer it now say of it. */
export function modelsOf(book: Book, now: number): ModelView[] {
  const models = new Map<string, Model>()
  for (const provider of book.providers.values()) {
    const { registration, registeredAt: created } = provider
    const active = isActive(provider, now)
    for (const offer of registration.offers) {
      const { kind, model } = offer
      const known = models.get(classOf(offer)) ?? { kind, model, created, offers: [] }
      models.set(classOf(offer), known)
      if (active) known.offers.push(offer)
    }
  }
  return [...models.values()].map((model) => modelView(book, model)).sort((x, y) => (x.id < y.id ? -1 : 1))
}

function modelView(book: Book, { kind, model, created, offers }: Model): ModelView {
  const asks = offers.map(({ ask }) => parseAmount(ask)).sort((x, y) => (x < y ? -1 : 1))
  const [least, most] = [asks[0], asks.at(-1)]
  const all = (of: (offer: Offer) => string | string[] | undefined) =>
    [...new Set(offers.flatMap((offer) => of(offer) ?? []))].sort()
  return {
    id: model,
    object: 'model',
    created: Math.floor(created / 1000),
    owned_by: 'daicn',
    kind,
    providers: offers.length,
    ask: least === undefined ? null : formatAmount(least),
    price:
      least === undefined ? null : { unit: UNITS[kind].unit, least: formatAmount(least), most: formatAmount(most!) },
    context: greatest(offers.map(({ context }) => context)),
    quantizations: all(({ quantization }) => quantization),
    digests: all(({ digest }) => digest),
    capabilities: all(({ capabilities }) => capabilities),
    speed: greatest(offers.map(({ speed }) => speed)),
    latency: latencyView(book.stats, { kind, model }),
  }
}

function greatest(values: (number | undefined)[]): number | null {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? null : Math.max(...known)
}

/** Reputations of every provider, or of one, in the classes of which anything is known. */
export function reputationsOf(book: Book, only?: Address): ReputationView[] {
  const views: ReputationView[] = []
  for (const { supply, reputations } of book.providers.values()) {
    if (only !== undefined && supply.address !== only) continue
    for (const [name, reputation] of reputations) {
      const provider = supply.address
      views.push({
        provider,
        ...parseClass(name),
        score: score(reputation),
        interval: interval(reputation),
        ...reputation,
      })
    }
  }
  return views
}

/** The market's money, in tokens: drawn = restored + held + available + captured, and captured = earned + fees. */
export function booksOf(book: Book): BooksView {
  const totals = { drawn: 0n, restored: 0n, held: 0n, available: 0n, captured: 0n, earned: 0n, fees: book.fees }
  for (const purse of book.purses.values()) {
    totals.drawn += purse.drawn
    totals.restored += purse.restored
    totals.held += purse.held
    totals.available += available(purse)
    totals.captured += purse.captured
  }
  for (const provider of book.providers.values()) totals.earned += provider.earned
  return Object.fromEntries(Object.entries(totals).map(([name, amount]) => [name, formatAmount(amount)])) as BooksView
}

/** What this market holds of an account: still spendable, and held for open tasks. Base units. */
export function pursesOf(book: Book, account: Address): { available: bigint; held: bigint; captured: bigint } {
  const totals = { available: 0n, held: 0n, captured: 0n }
  for (const purse of book.purses.values()) {
    if (parsePurseId(purse.id).account !== account || laneOf(purse.id)) continue
    totals.available += available(purse)
    totals.held += purse.held
    totals.captured += purse.captured
  }
  return totals
}
