/** Models, as OpenAI's clients list them. */
import * as z from 'zod'
import { Kind } from './work.ts'

const Milliseconds = z.number().nullable()
/** Upper bounds for half and for 95 % of a model's late tasks: from submission to the first grant, and from a grant to success. */
export const ModelLatency = z.object({
  waitP50Ms: Milliseconds,
  waitP95Ms: Milliseconds,
  runP50Ms: Milliseconds,
  runP95Ms: Milliseconds,
})
export type ModelLatency = z.output<typeof ModelLatency>

/** A model as OpenAI's clients list it, with what its active providers say of it. */
export const ModelView = z
  .object({
    id: z.string(),
    object: z.literal('model'),
    /** Unix seconds. */
    created: z.int(),
    owned_by: z.literal('daicn'),
    kind: Kind,
    providers: z.int(),
    /** Lowest ask of an active provider, tokens per unit. */
    ask: z.string().nullable(),
    /** Lowest and highest ask, tokens per `unit`; see core/pricing.ts. */
    price: z.object({ unit: z.string(), least: z.string(), most: z.string() }).nullable(),
    /** The longest context, in tokens. */
    context: z.int().nullable(),
    quantizations: z.array(z.string()),
    /** Any of them can be asked for as `id@digest`. */
    digests: z.array(z.string()),
    /** What some provider honours of a request beyond what all do. */
    capabilities: z.array(z.string()),
    /** Highest measured speed, units a second. */
    speed: z.number().nullable(),
    latency: ModelLatency,
  })
  .meta({ id: 'Model' })
export type ModelView = z.output<typeof ModelView>
export const ModelList = z.object({ object: z.literal('list'), data: z.array(ModelView) }).meta({ id: 'ModelList' })
