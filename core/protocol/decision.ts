/** Why a task went to whom it went, as anybody may read it. */
import * as z from 'zod'
import { Preference } from './quote.ts'
import { Address, Amount, Count, Time } from './values.ts'
import { Kind } from './work.ts'

/** By which rule a provider was chosen; see core/decision.ts. */
export const Rule = z.enum(['merit', 'trial', 'turn', 'lot', 'lane', 'late'])
export type Rule = z.output<typeof Rule>

/** What an offer has before another, or is as good in. */
export const Advantage = z.enum(['price', 'speed', 'warm', 'reputation'])
export type Advantage = z.output<typeof Advantage>

/** Why another was no candidate. All that a requester alone knows of its task is `terms`, so that it stays so. */
export const PublicReason = z.enum(['slot', 'avoided', 'drawn', 'terms'])
export type PublicReason = z.output<typeof PublicReason>

/** An offer as it stood when the decision was made. */
const Contender = z.object({
  provider: Address,
  ask: Amount,
  speed: z.number(),
  reputation: z.number(),
  warm: z.boolean().describe('It need not load the model first.'),
  merit: z.number().describe('By what the requester prefers; formula in core/matching.ts.'),
})

/** One attempt at a task, as it was given out. */
export const MatchView = Contender.extend({
  task: z.string(),
  attempt: Count,
  at: Time,
  kind: Kind,
  model: z.string(),
  preference: Preference,
  rule: Rule,
  advantages: z
    .array(Advantage)
    .describe('In what it is ahead of the best other that could have taken it, what weighs most first.'),
  explanation: z.string(),
})
export type MatchView = z.output<typeof MatchView>

export const DecisionView = MatchView.extend({
  others: z
    .array(Contender.extend({ excluded: PublicReason.exactOptional().describe('Why it was no candidate.') }))
    .describe('The other offers of its class with most merit, of those that were there; a few.'),
}).meta({ id: 'DecisionView' })
export type DecisionView = z.output<typeof DecisionView>

/** A decision as the public log keeps it, beside the attempt that it led to. */
export const LoggedDecision = z
  .object({
    rule: Rule,
    preference: Preference,
    merit: z.number(),
    others: z.array(z.object({ address: Address, merit: z.number(), excluded: PublicReason.exactOptional() })),
  })
  .meta({ id: 'LoggedDecision' })
export type LoggedDecision = z.output<typeof LoggedDecision>

export const DecisionList = z.object({ decisions: z.array(DecisionView) }).meta({ id: 'DecisionList' })
export type DecisionList = z.output<typeof DecisionList>
