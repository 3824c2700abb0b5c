/**
 * Assurance: how sure a requester wants to be that a result is right, and what that takes. A result is compared with those of other
 * providers, disjoint ones, and stands when enough of them agree; until then the task is being verified, and nothing is charged.
 *
 * | level       | results                                             | stands when  |
 * |-------------|-----------------------------------------------------|--------------|
 * | none        | 1                                                   | it is there  |
 * | spot        | 1; drawn by lot, 2, and when they differ a third    | 2 agree      |
 * | quorum(n,k) | k, and while they do not agree further ones up to n | k agree      |
 *
 * The lot of a spot check is a secret number that the market draws for the task when it is submitted, in 0..1; the task is checked
 * when it is below the rate of the provider whose result came (`spotRate`). That is the rule of BOINC's adaptive replication. Who gives
 * a further result is drawn by the lot too (core/verifier.ts).
 *
 * | kind          | two results agree when their distance is at most the tolerance (0 unless told)                     |
 * |---------------|----------------------------------------------------------------------------------------------------|
 * | llm.chat      | the share of their words that are not in both; 0 asks for the very same text and tool calls        |
 * | doc.ocr       | the share of their words that are not in both; 0 asks for the very same text                       |
 * | image.upscale | 0 for the very same bytes, else 1                                                                  |
 * | programs      | 0 for the very same exit code, output and files, else 1                                            |
 * | text.embed    | 1 - the least cosine of two vectors of the same text; 0.001 unless told, for hardware rounds apart |
 */
import * as z from 'zod'
import { canonicalJson } from './canonical-json.ts'
import type { Signed } from './protocol/lease.ts'
import type { Kind, OutputOf, Usage } from './protocol/work.ts'

const MOST_RESULTS = 9

const tolerance = z
  .number()
  .min(0)
  .max(0.5)
  .optional()
  .describe('How far results may differ and still agree, by the measure of the kind.')

export const Assurance = z
  .discriminatedUnion('level', [
    z.strictObject({ level: z.literal('none') }),
    z.strictObject({ level: z.literal('spot'), tolerance }),
    z
      .strictObject({
        level: z.literal('quorum'),
        n: z.int().min(2).max(MOST_RESULTS).describe('The most results, each by another provider.'),
        k: z.int().min(2).max(MOST_RESULTS).describe('How many must agree: more than half of n.'),
        tolerance,
      })
      .refine(({ n, k }) => k <= n, { path: ['k'], error: 'must be at most n' })
      .refine(({ n, k }) => 2 * k > n, { path: ['k'], error: 'must be more than half of n' }),
  ])
  .meta({ id: 'Assurance' })
export type Assurance = z.output<typeof Assurance>
/** As it is asked for. */
export type NewAssurance = z.input<typeof Assurance>
/** An assurance that may take more than one result. */
export type Checked = Exclude<Assurance, { level: 'none' }>

/** The most results that a task may take, and be charged for. */
export function mostResults(assurance: Checked | undefined): number {
  if (!assurance) return 1
  return assurance.level === 'spot' ? 3 : assurance.n
}

/** The fewest. */
export const leastResults = (assurance: Checked): number => (assurance.level === 'spot' ? 1 : assurance.k)

/** A provider is checked always until it has done so many tasks of the class in a row. */
const TRIAL = 10
/**
 * And never less often than this. What a model writes depends on its weights, which a provider might exchange for cheaper ones at any
 * time: one check in twenty finds that within a hundred requests with 99 % (`caughtWithin`).
 */
const FLOORS: Record<Kind, number> = {
  'llm.chat': 0.05,
  'text.embed': 0.05,
  'doc.ocr': 0.01,
  'image.upscale': 0.05,
  'wasi.run': 0.01,
  'container.run': 0.01,
  'gpu.exec': 0.01,
}

/** How likely the result of a provider is to be checked that has succeeded so many times in a row. */
export const spotRate = (kind: Kind, streak: number): number =>
  streak < TRIAL ? 1 : Math.max(FLOORS[kind], 1 / streak)

/** The chance that a provider whose every result is wrong is caught within so many, each of which is caught with probability `rate`. */
export const caughtWithin = (requests: number, rate: number): number => 1 - (1 - rate) ** requests

/**
 * The chance that a wrong result does not stand, when this share of those who may be asked gives the very same one: that fewer than
 * k - 1 of the n - 1 further results are theirs.
 * @param rate how likely it is to be checked at all
 */
export function detection(assurance: Checked, rate: number, colluders: number): number {
  const { n, k } = assurance.level === 'spot' ? SPOT : assurance
  return rate * fewOf(k - 2, n - 1, colluders)
}

/** The chance that of so many who are drawn at most `most` are of those who make up this share of all. */
export function fewOf(most: number, drawn: number, share: number): number {
  let [chance, ways] = [0, 1]
  for (let theirs = 0; theirs <= most; theirs++) {
    chance += ways * share ** theirs * (1 - share) ** (drawn - theirs)
    ways *= (drawn - theirs) / (theirs + 1)
  }
  return chance
}

/** A checked result is held to this quorum. */
const SPOT = { n: 3, k: 2 }

/**
 * Another lot in 0..1 of a task for each time, by which it is drawn who gives its next result. Bits are mixed as by MurmurHash3: the
 * lots of checked tasks are small.
 */
export function lotOf(lot: number, now: number): number {
  let bits = Math.imul(Math.floor(lot * 2 ** 32) ^ Math.imul(now, 0x9e3779b9), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return ((bits ^ (bits >>> 16)) >>> 0) / 2 ** 32
}

/** A result that is held against others. */
export type Delivery = {
  attempt: number
  output: Record<string, unknown>
  usage: Usage
  units: number
  devices?: string[]
  signed?: Signed
}

export type Verdict =
  /** More results are needed. */
  | { is: 'open' }
  /** These attempts agree, the first of them gives the output, and the others are refuted. */
  | { is: 'agreed'; attempts: number[] }
  /** So many can not agree any more. */
  | { is: 'split' }

/**
 * @param deliveries in the order in which they came
 * @param drawn whether the only result there is was drawn for a check; of no meaning otherwise
 * @param known the right output of a canary, with which k must agree, or the first; see core/canary.ts
 */
export function judge(
  assurance: Checked,
  kind: Kind,
  deliveries: readonly Delivery[],
  drawn: boolean,
  known?: Output,
): Verdict {
  const spot = assurance.level === 'spot'
  const first = deliveries[0]!
  if (spot && deliveries.length === 1 && !drawn) return { is: 'agreed', attempts: [first.attempt] }
  const { n, k } = spot ? SPOT : assurance
  const allowed = assurance.tolerance ?? (kind === 'text.embed' ? EMBED_TOLERANCE : 0)
  const like = (output: Output) => deliveries.filter((other) => distance(kind, output, other.output) <= allowed)
  const most = known
    ? like(known)
    : deliveries.map(({ output }) => like(output)).reduce((x, y) => (y.length > x.length ? y : x))
  const unanimous = known !== undefined && most.length === deliveries.length
  if (most.length >= k || unanimous) return { is: 'agreed', attempts: most.map(({ attempt }) => attempt) }
  return most.length + n - deliveries.length < k ? { is: 'split' } : { is: 'open' }
}

const EMBED_TOLERANCE = 0.001

type Output = Record<string, unknown>

/** In 0..1 for texts, 0..2 for embeddings; 0 of equal outputs, symmetric, and it throws for no outputs of the kind. */
export function distance(kind: Kind, one: Output, other: Output): number {
  switch (kind) {
    case 'llm.chat': {
      const [x, y] = [one, other].map((output) => chatText(output as OutputOf<'llm.chat'>)) as [string, string]
      return textDistance(x, y)
    }
    case 'doc.ocr':
      return textDistance((one as OutputOf<'doc.ocr'>).text, (other as OutputOf<'doc.ocr'>).text)
    case 'image.upscale':
    case 'wasi.run':
    case 'container.run':
    case 'gpu.exec':
      return canonicalJson(one) === canonicalJson(other) ? 0 : 1
    case 'text.embed': {
      const [x, y] = [one as OutputOf<'text.embed'>, other as OutputOf<'text.embed'>]
      return embeddingDistance(x.embeddings, y.embeddings)
    }
  }
}

/** What of a chat's output was said: text and tool calls of all its choices. Calls have ids of their own, which are left out. */
function chatText({ alternatives = [], ...choice }: OutputOf<'llm.chat'>): string {
  return [choice, ...alternatives]
    .map(({ content, tool_calls = [] }) => {
      const calls = tool_calls.map(({ id: _, ...call }) => canonicalJson(call))
      return [content ?? '', ...calls].join('\n')
    })
    .join('\n')
}

/** 1 - Dice's coefficient of the texts' words, each counted as often as it is there. Texts of the same words in another order are not equal. */
function textDistance(one: string, other: string): number {
  if (one === other) return 0
  const [x, y] = [wordsOf(one), wordsOf(other)]
  const left = new Map<string, number>()
  for (const word of x) left.set(word, (left.get(word) ?? 0) + 1)
  let shared = 0
  for (const word of y) {
    const count = left.get(word) ?? 0
    if (count === 0) continue
    left.set(word, count - 1)
    shared++
  }
  const all = x.length + y.length
  return all === 0 ? SLIGHT : Math.max(SLIGHT, 1 - (2 * shared) / all)
}

/** Of texts that differ in nothing but white space or order. */
const SLIGHT = Number.EPSILON

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '')

function embeddingDistance(one: number[][], other: number[][]): number {
  if (one.length !== other.length) return 2
  let least = 1
  for (const [i, vector] of one.entries()) least = Math.min(least, cosine(vector, other[i]!))
  return 1 - least
}

/** In -1..1; -1 of vectors that have no angle, unless they are equal. */
function cosine(x: number[], y: number[]): number {
  if (x.length !== y.length) return -1
  if (x.every((value, i) => value === y[i])) return 1
  let [xy, xx, yy] = [0, 0, 0]
  for (let i = 0; i < x.length; i++) {
    xy += x[i]! * y[i]!
    xx += x[i]! * x[i]!
    yy += y[i]! * y[i]!
  }
  const value = xy / Math.sqrt(xx * yy)
  return Number.isFinite(value) ? Math.min(1, Math.max(-1, value)) : -1
}
