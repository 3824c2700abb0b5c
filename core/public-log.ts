/**
 * The public log: a record of each task that has ended, which anybody may read. It tells who was given the task and what came of
 * it, and nothing of its content or its requester.
 */
import * as z from 'zod'
import { Sha256 } from './blob-ref.ts'
import { type DecisionView, LoggedDecision } from './protocol/decision.ts'
import { TaskSummary } from './protocol/network.ts'
import { AttemptView, type TaskView } from './protocol/task.ts'
import { Address, Interval, Time } from './protocol/values.ts'
import { Kind } from './protocol/work.ts'

/** An hour as the log names it: UTC, as in 2026-11-22T19. */
export const Hour = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d$/, 'must be an hour in UTC, as in 2026-11-22T19')
const HOUR_MS = 3_600_000

/** Hours since 1970, as contracts count them. */
export const hourOf = (at: number): number => Math.floor(at / HOUR_MS)
export const hourName = (hour: number): string => new Date(hour * HOUR_MS).toISOString().slice(0, 13)
export const hourNumber = (name: string): number => hourOf(Date.parse(`${name}:00Z`))

/** One line of an hour's export. */
export const TaskRecord = TaskSummary.extend({
  finishedAt: Time,
  attempts: z.array(
    AttemptView.pick({ provider: true, state: true, grantedAt: true, endedAt: true, price: true }).extend({
      decision: LoggedDecision.exactOptional().describe(
        'Why it went to this provider. Of a hundred attempts a second at most.',
      ),
    }),
  ),
  receipt: Sha256.exactOptional().describe(
    'Names the receipt of its result, if its provider signed one; see core/receipt.ts.',
  ),
}).meta({ id: 'TaskRecord' })
export type TaskRecord = z.output<typeof TaskRecord>

/**
 * Of a task that has ended.
 * @param digest what it asked for after the model's name; a record names the model alone, in whose class reputations are
 */
export function recordOf(view: TaskView, digest?: string, decisions: readonly DecisionView[] = []): TaskRecord {
  const { id, kind, status, createdAt, provider, price, attempts } = view
  const finishedAt = view.finishedAt!
  const model = digest === undefined ? view.model : view.model.slice(0, -digest.length - 1)
  const recorded = (attempt: AttemptView) => {
    const decision = decisions.find((one) => one.attempt === attempt.number)
    return { ...attemptOf(attempt), ...(decision && { decision: loggedDecision(decision) }) }
  }
  const record: TaskRecord = { id, kind, model, status, createdAt, finishedAt, attempts: attempts.map(recorded) }
  if (provider) record.provider = provider
  if (price) record.price = price
  if (attempts[0]) record.waitMs = attempts[0].grantedAt - createdAt
  const last = attempts.findLast(({ state }) => state === 'succeeded') ?? attempts.at(-1)
  if (last) record.runMs = finishedAt - last.grantedAt
  return record
}

/** Its attempt names the winner. */
const loggedDecision = ({ rule, preference, merit, others }: DecisionView): LoggedDecision => ({
  rule,
  preference,
  merit,
  others: others.map(({ provider, merit, excluded }) => ({ address: provider, merit, ...(excluded && { excluded }) })),
})

function attemptOf({ provider, state, grantedAt, endedAt, price }: AttemptView): TaskRecord['attempts'][number] {
  return {
    provider,
    state,
    grantedAt,
    ...(endedAt !== undefined && { endedAt }),
    ...(price !== undefined && { price }),
  }
}

/** The hours of which there is anything to export, latest first. */
export const HourList = z
  .object({ hours: z.array(z.object({ hour: Hour, records: z.int() })) })
  .meta({ id: 'HourList' })
export type HourList = z.output<typeof HourList>

/** A provider's reputation in one class, with all that it follows from; formulas in core/reputation.ts. */
export const ReputationView = z
  .object({
    provider: Address,
    kind: Kind,
    model: z.string(),
    score: z.number().describe('What matching goes by: the lower bound, rounded down to a hundredth.'),
    interval: Interval,
    successes: z.number().describe('Weighted.'),
    failures: z.number().describe('Weighted.'),
    day: z.int().describe('Of which the weights are, counted from 1970.'),
    outcomes: z
      .int()
      .describe('Ever counted: the same number of records of the public log give this reputation again.'),
    streak: z.int().describe('Successes in a row; how often it is checked goes by that, see docs/trust.md.'),
  })
  .meta({ id: 'ReputationView' })
export type ReputationView = z.output<typeof ReputationView>
export const ReputationList = z.object({ reputations: z.array(ReputationView) }).meta({ id: 'ReputationList' })
export type ReputationList = z.output<typeof ReputationList>
