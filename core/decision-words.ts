/** What is said of decisions; apart from core/decision.ts, so that who reads them need not carry a market. */
import type { DecisionView, PublicReason } from './protocol/decision.ts'

type Contender = DecisionView['others'][number]

/** Why an offer was passed over, of one or of many. */
export const PASSED: Record<PublicReason, string> = {
  slot: 'had no free slot',
  avoided: 'failed it a moment before',
  drawn: 'was not drawn',
  terms: 'did not meet its terms',
}

/** To three digits: nobody reads more of a speed. */
export const roughSpeed = (speed: number): number => (speed < 1000 ? Number(speed.toPrecision(3)) : Math.round(speed))

/** The winner, then the others that were considered, each with what became of it. */
export const contendersOf = ({ others, ...winner }: DecisionView): (Contender & { outcome: string })[] => [
  { ...winner, outcome: 'chosen' },
  ...others.map((other) => ({ ...other, outcome: other.excluded ? PASSED[other.excluded] : 'could have taken it' })),
]
