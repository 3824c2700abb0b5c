/** What a task would cost, and why nobody would take it. */
import * as z from 'zod'
import { Amount, Count } from './values.ts'
import { Kind } from './work.ts'

export const Preference = z.enum(['cheapest', 'fastest', 'balanced'])
export type Preference = z.output<typeof Preference>

/** Counts of providers or of tasks by the reason's code; see core/explain.ts. */
export const ReasonCounts = z.record(z.string(), Count)

/** What a task would cost and how long it would wait, were it submitted now. Formulas in core/quote.ts; null is not known. */
export const Quote = z
  .object({
    kind: Kind,
    /** Null when no model is named and nobody offers this kind of work. */
    model: z.string().nullable(),
    /** Providers that may run it, the busy ones too. */
    candidates: Count,
    /** The most that would be held, and what it will likely come to. */
    price: z.object({ ceiling: Amount, expected: Amount.nullable() }),
    /** Milliseconds until it starts; slots of the candidates, those free now, and tasks of the class that come before it. */
    wait: z.object({
      p50Ms: z.int().min(0).nullable(),
      p90Ms: z.int().min(0).nullable(),
      basis: z
        .enum(['learned', 'formula'])
        .describe(
          "Learned from how long the class's tasks waited, or reckoned from the queue and their mean run time.",
        ),
      free: Count,
      slots: Count,
      ahead: Count,
    }),
    finish: z
      .object({ p50Ms: z.int().min(0), p90Ms: z.int().min(0) })
      .nullable()
      .describe("Milliseconds until it is finished, learned from the class's tasks; null while that is too little."),
    /** Providers that may not run it, each counted once, by the first filter that it fails. */
    assurance: z
      .object({
        level: z.enum(['spot', 'quorum']),
        /** Candidates are enough for the fewest results. */
        enough: z.boolean(),
        results: z.object({ least: Count, expected: z.number(), most: Count }),
        detection: z.number().describe('The chance that a wrong result which no other provider gives too is caught.'),
        collusion: z
          .array(z.object({ share: z.number(), detection: z.number() }))
          .describe('The same where this share of the candidates gives the same wrong result.'),
      })
      .nullable()
      .describe('What its assurance takes; null where there is none. Formulas in docs/trust.md.'),
    excluded: ReasonCounts,
    /** When there is no candidate, the filter that left nobody. */
    failing: z.string().nullable(),
    /** When there is none but would be for more money, the least maxPrice that would do. */
    leastMaxPrice: Amount.nullable(),
    explanation: z.string(),
  })
  .meta({ id: 'Quote' })
export type Quote = z.output<typeof Quote>
