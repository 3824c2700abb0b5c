/**
 * What a task would cost and how long it would wait, were it submitted now; or what stands in its way.
 *
 * | figure         | formula                                                                                    |
 * |----------------|--------------------------------------------------------------------------------------------|
 * | price.ceiling  | bid x most units x most results: what submitting it holds                                  |
 * | price.expected | ask of the best candidate x the most units x (units paid for / most units) of its class;   |
 * |                | for each further result that is expected, the mean ask of the candidates instead           |
 * | assurance      | see assuranceOf                                                                            |
 * | wait, free     | 0 while a candidate has a free slot                                                        |
 * | wait, learned; | what the class's tasks have taught (core/forecast/eta.ts), once that is enough and while   |
 * | finish         | nobody who offers the class is left out for what this task asks for                        |
 * | wait, busy     | Erlang(ahead + 1, slots / mean run time): the wait in a queue whose servers are all busy,  |
 * |                | run times being exponential (M/M/c); tasks that come later are not counted                 |
 *
 * Quantiles of the Erlang distribution are by Wilson and Hilferty (1931). What was never measured is null.
 */
import { detection, leastResults, mostResults, spotRate } from './assurance.ts'
import type { Book, Provider } from './book.ts'
import { DomainError } from './errors.ts'
import { type Counts, census, failing, inWords, type Reason, suitable, total } from './explain.ts'
import { nextTag } from './fairness.ts'
import { type Estimate, estimate } from './forecast/eta.ts'
import { modelOf } from './market.ts'
import { type Ask, aheadOf, classOf, exclusion, type Match, MOST_AHEAD, merit, type Want } from './matching.ts'
import { meanRunMs } from './measured.ts'
import { formatAmount, min } from './money.ts'
import { sightOf } from './outlook.ts'
import { isMeteredByInput } from './pricing.ts'
import type { Quote } from './protocol/quote.ts'
import type { Address } from './protocol/values.ts'
import { NEWCOMER } from './reputation.ts'
import type { TaskRequest } from './request.ts'
import { held } from './task.ts'

/** Standard normal quantiles of 50 % and 90 %. */
const Z50 = 0
const Z90 = 1.2815515655446004
/** Shares of colluders for which a quote tells what is caught. */
const COLLUDERS = [0.1, 0.3]
/** More than any ask. */
const ANY_PRICE = 1n << 128n
/** Why a provider may not run a task of the class whatever else it asks for. */
const OF_ANY_TASK: ReadonlySet<string> = new Set<Reason>(['self', 'kind', 'model', 'away'])

/** Changes nothing. */
export function quote(book: Book, requester: Address, request: TaskRequest, now: number): Quote {
  const want = wantOf(book, requester, request, now)
  const { candidates, excluded } = census(book, want, now)
  const best = bestOffer(want, candidates, now)
  const assurance = assuranceOf(book, request, want, candidates, best)
  const none = candidates.length === 0
  const least = none ? leastAsk(book, want, now) : null
  return {
    kind: request.kind,
    model: want.model === '' ? null : want.model,
    candidates: candidates.length,
    price: {
      ceiling: formatAmount(held(request)),
      expected: expectedPrice(book, want, best?.offer, request.maxUnits, further(want, candidates, assurance, now)),
    },
    ...etaOf(book, want, candidates, excluded, request.maxUnits, now),
    assurance,
    excluded,
    failing: none ? failing(excluded) : null,
    leastMaxPrice:
      least === null ? null : formatAmount(least * BigInt(request.maxUnits * mostResults(request.assurance))),
    explanation: explanationOf(candidates.length, excluded),
  }
}

/** The task as matching would see it, behind all that wait with the same tag. */
export function wantOf(book: Book, requester: Address, request: TaskRequest, now: number): Want {
  return {
    ...request,
    ...modelFor(book, request),
    id: '',
    seq: Number.MAX_SAFE_INTEGER,
    requester,
    tag: nextTag(book.fairness, requester),
    deadline: now + request.deadlineMs,
    avoid: [],
    avoidUntil: 0,
    drawn: null,
    queued: false,
  }
}

/** The model that submitting would choose; where that is refused, the one that is named, or none. */
function modelFor(book: Book, request: TaskRequest): ReturnType<typeof modelOf> {
  try {
    return modelOf(book, request)
  } catch (error) {
    if (error instanceof DomainError) return { model: request.model ?? '', variant: request.variant }
    throw error
  }
}

/**
 * A spot check takes a second result at the rate of the provider that would get the task now, and catches a wrong one just as
 * often; a quorum always has a second.
 */
function assuranceOf(
  book: Book,
  { assurance }: TaskRequest,
  want: Want,
  candidates: Provider[],
  best: Match | null,
): Quote['assurance'] {
  if (!assurance) return null
  const { level } = assurance
  const least = leastResults(assurance)
  const reputation = best && book.providers.get(best.supply.address)!.reputations.get(classOf(want))
  const rate = level === 'spot' ? spotRate(want.kind, (reputation ?? NEWCOMER).streak) : 1
  const results = { least, expected: level === 'spot' ? 1 + rate : least, most: mostResults(assurance) }
  const collusion = COLLUDERS.map((share) => ({ share, detection: detection(assurance, rate, share) }))
  return { level, enough: candidates.length >= least, results, detection: rate, collusion }
}

function expectedPrice(
  book: Book,
  want: Want,
  best: Ask | undefined,
  maxUnits: number,
  { results, ask }: Further,
): string | null {
  const measured = book.measured.get(classOf(want))
  if (!best || (!measured && !isMeteredByInput(want.kind))) return null
  const share = isMeteredByInput(want.kind) ? 1 : measured!.units / measured!.maxUnits
  const units = Math.min(1, share) * maxUnits
  return formatAmount(best.ask * BigInt(Math.ceil(units)) + ask * BigInt(Math.ceil(units * results)))
}

/** Results beyond the first: how many are expected, and what each asks for a unit. */
type Further = { results: number; ask: bigint }

/** Whoever may run a task is as likely as any other to give a further result of it. */
function further(want: Want, candidates: Provider[], assurance: Quote['assurance'], now: number): Further {
  if (!assurance || candidates.length === 0) return { results: 0, ask: 0n }
  const asks = candidates.flatMap(({ supply }) => suitable(want, supply, now).map(({ ask }) => ask))
  const mean = asks.reduce((sum, ask) => sum + ask, 0n) / BigInt(asks.length)
  return { results: assurance.results.expected - 1, ask: mean }
}

/** The offer of most merit: of those with a free slot, while there is one. */
export function bestOffer(want: Want, candidates: Provider[], now: number): Match | null {
  const free = candidates.filter(({ supply }) => exclusion(want, supply, now) === null)
  let best: Match | null = null
  let most = Number.NEGATIVE_INFINITY
  for (const { supply } of free.length > 0 ? free : candidates) {
    for (const offer of suitable(want, supply, now)) {
      const worth = merit(want.preference, offer)
      if (worth > most) [best, most] = [{ want, supply, offer }, worth]
    }
  }
  return best
}

/** The lowest ask of those who would do if the price were theirs to set; null when there is none. */
function leastAsk(book: Book, want: Want, now: number): bigint | null {
  const anyPrice = { ...want, bid: ANY_PRICE }
  const asks = census(book, anyPrice, now).candidates.flatMap(({ supply }) => suitable(anyPrice, supply, now))
  return asks.length === 0 ? null : asks.reduce((least, { ask }) => min(least, ask), ANY_PRICE)
}

/** When it would start and finish. */
function etaOf(
  book: Book,
  want: Want,
  candidates: Provider[],
  excluded: Counts,
  size: number,
  now: number,
): Pick<Quote, 'wait' | 'finish'> {
  const slots = candidates.reduce((sum, { registration }) => sum + registration.slots, 0)
  const free = candidates.reduce(
    (sum, { supply }) => sum + (exclusion(want, supply, now) === null ? supply.room : 0),
    0,
  )
  const ahead = aheadOf(book.matching, want)
  const choosy = Object.keys(excluded).some((reason) => !OF_ANY_TASK.has(reason))
  const learned = slots === 0 || choosy ? null : learnedOf(book, want, { free, ahead, size }, now)
  const queue = { free, slots, ahead }
  const finish = learned && { p50Ms: Math.round(learned.finish.p50), p90Ms: Math.round(learned.finish.p90) }
  if (free === 0 && learned) {
    const { p50, p90 } = learned.wait
    return { wait: { p50Ms: Math.round(p50), p90Ms: Math.round(p90), basis: 'learned', ...queue }, finish }
  }
  const quantile = (z: number): number | null => {
    if (free > 0) return 0
    const runMs = meanRunMs(book.measured.get(classOf(want)))
    if (slots === 0 || runMs === null || ahead >= MOST_AHEAD) return null
    return Math.round(erlang(ahead + 1, z) * (runMs / slots))
  }
  return { wait: { p50Ms: quantile(Z50), p90Ms: quantile(Z90), basis: 'formula', ...queue }, finish }
}

/** What the class's tasks have taught of one like this, or null while that is too little. */
function learnedOf(
  book: Book,
  want: Want,
  { free, ahead, size }: { free: number; ahead: number; size: number },
  now: number,
): Estimate | null {
  const outlook = book.outlooks.get(classOf(want))
  if (!outlook) return null
  const said = estimate(outlook.eta, sightOf(outlook, ahead, free > 0, size, now))
  return said.wait.basis === 'learned' && said.finish.basis === 'learned' ? said : null
}

/** A quantile of the time until the k-th of events that come one in a unit of time. */
const erlang = (k: number, z: number): number => k * (1 - 1 / (9 * k) + z / (3 * Math.sqrt(k))) ** 3

function explanationOf(candidates: number, excluded: Quote['excluded']): string {
  const all = candidates + total(excluded)
  if (all === 0) return 'No provider is there.'
  const fit = candidates > 0 ? [`${candidates} can run it`] : []
  const rest = total(excluded) > 0 ? [inWords(excluded, 'providers')] : []
  return `${all} ${all === 1 ? 'provider' : 'providers'}: ${[...fit, ...rest].join(', ')}.`
}
