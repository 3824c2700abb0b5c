/**
 * Why the providers of a market may or may not run a task, in counts and in a sentence. One look at each provider: for quotes
 * and for `why`, never on the path of a task.
 */
import type { Book, Provider } from './book.ts'
import { isActive } from './health.ts'
import { type Ask, EXCLUSIONS, exclusion, offerExclusion, type Supply, type Want } from './matching.ts'
import type { Preference } from './protocol/quote.ts'

/** Matching's reasons, and that a provider that would do is not there. Tested in this order. */
export const REASONS = [...EXCLUSIONS, 'away'] as const
export type Reason = (typeof REASONS)[number]
export type Counts = Partial<Record<Reason, number>>

/** What each reason says of one and of many providers to the requester, and of one and of many tasks to the provider. */
const WORDS: Record<Reason, { providers: [string, string]; tasks: [string, string] }> = {
  self: { providers: ['is your own', 'are your own'], tasks: ['is your own', 'are your own'] },
  kind: {
    providers: ['does not do this kind of work', 'do not do this kind of work'],
    tasks: ['is of another kind', 'are of another kind'],
  },
  model: { providers: ['lacks the model', 'lack the model'], tasks: ['wants another model', 'want another model'] },
  digest: {
    providers: ['has another digest of the model', 'have other digests of the model'],
    tasks: ['wants another digest of the model', 'want other digests of the model'],
  },
  quantization: {
    providers: ['is quantised further than you allow', 'are quantised further than you allow'],
    tasks: ['wants less quantisation', 'want less quantisation'],
  },
  capability: {
    providers: ['does not honour all of the request', 'do not honour all of the request'],
    tasks: ['asks for what you do not honour', 'ask for what you do not honour'],
  },
  context: {
    providers: ['has too short a context', 'have too short a context'],
    tasks: ['wants a longer context', 'want a longer context'],
  },
  region: {
    providers: ['is not in the region', 'are not in the region'],
    tasks: ['wants another region', 'want another region'],
  },
  price: {
    providers: ['asks more than your ceiling', 'ask more than your ceiling'],
    tasks: ['pays less than you ask', 'pay less than you ask'],
  },
  reputation: {
    providers: ['is below your minimum reputation', 'are below your minimum reputation'],
    tasks: ['wants a higher reputation', 'want a higher reputation'],
  },
  excluded: { providers: ['is excluded by you', 'are excluded by you'], tasks: ['excludes you', 'exclude you'] },
  avoided: {
    providers: ['failed it a moment ago', 'failed it a moment ago'],
    tasks: ['failed with you a moment ago', 'failed with you a moment ago'],
  },
  drawn: {
    providers: ['was not drawn to give the next result', 'were not drawn to give the next result'],
    tasks: ['was drawn for another to check', 'were drawn for others to check'],
  },
  slot: {
    providers: ['has no free slot', 'have no free slot'],
    tasks: ['needs a free slot of yours', 'need a free slot of yours'],
  },
  away: { providers: ['is away', 'are away'], tasks: ['needs you to be there', 'need you to be there'] },
}

/** What a requester that prefers this wants. */
export const WANTS: Record<Preference, string> = {
  cheapest: 'the cheapest',
  balanced: 'price, speed and reputation in balance',
  fastest: 'the fastest',
}

/** Why this provider is no candidate for the task; null when it is one. A busy one is: the task would wait for it. */
export function candidacy(want: Want, provider: Provider, now: number): Reason | null {
  const reason = exclusion(want, provider.supply, now)
  if (reason !== null && reason !== 'slot') return reason
  return isActive(provider, now) ? null : 'away'
}

/**
 * Every provider that is there, by whether it is a candidate for the task and if not why; of those that are away only the ones
 * that would do.
 */
export function census(book: Book, want: Want, now: number): { candidates: Provider[]; excluded: Counts } {
  const candidates: Provider[] = []
  const excluded: Counts = {}
  for (const provider of book.providers.values()) {
    const reason = candidacy(want, provider, now)
    if (reason === null) candidates.push(provider)
    else if (reason === 'away' || isActive(provider, now)) count(excluded, reason)
  }
  return { candidates, excluded }
}

/** The offers by which a candidate may run the task. */
export const suitable = (want: Want, supply: Supply, now: number): Ask[] =>
  supply.offers.filter((offer) => {
    const reason = offerExclusion(want, supply, offer, now)
    return reason === null || reason === 'slot'
  })

export function count(counts: Counts, reason: Reason): void {
  counts[reason] = (counts[reason] ?? 0) + 1
}

export const total = (counts: Counts): number => Object.values(counts).reduce((sum, n) => sum + n, 0)

/** The filter that left nobody: the last of those that excluded anybody, each being tested on what the ones before it left. */
export const failing = (counts: Counts): Reason | null => REASONS.findLast((reason) => counts[reason]) ?? null

/** '9 lack the model, 3 ask more than your ceiling'; in the order of the filters. */
export const inWords = (counts: Counts, of: 'providers' | 'tasks'): string =>
  REASONS.filter((reason) => counts[reason])
    .map((reason) => `${counts[reason]} ${WORDS[reason][of][counts[reason] === 1 ? 0 : 1]}`)
    .join(', ')
