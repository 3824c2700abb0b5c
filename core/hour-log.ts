/**
 * An hour of the public log, closed: two Merkle trees over it, as the ReceiptLog contract checks them. A decision is the SHA-256 of
 * a line, a receipt is what `loggedHash` makes of it. The first leaf of each tree is the root of the hour before, so that a root
 * vouches for all that was ever logged.
 *
 * A leaf is the Keccak-256 of its hash; two nodes are hashed in sorted order; the shape is RFC 9162's (core/merkle.ts).
 */
import * as z from 'zod'
import { Sha256 } from './blob-ref.ts'
import { type Followed, firstProof, follow, followed, type Node, rootByInclusion, rootOfGrowing } from './merkle.ts'
import type { LoggedDecision } from './protocol/decision.ts'
import { Hour, hourNumber, TaskRecord } from './public-log.ts'
import { RequesterTally } from './requester-reputation.ts'

/** 32 bytes in lower-case hex. */
const Root = Sha256
const Tree = z.strictObject({
  root: Root,
  leaves: z.int().min(1),
  first: z
    .array(Root)
    .exactOptional()
    .describe('Proves the first leaf: its siblings, from the leaf up. Heads of before there were proofs have none.'),
})

/** The first line of a closed hour's export. */
export const HourHead = z
  .strictObject({
    hour: Hour,
    decisions: Tree.describe('One leaf for the hour before, and one for each line.'),
    receipts: Tree.describe('One leaf for the hour before, and one for each `receipt` of a line.'),
    previous: z
      .strictObject({ hour: Hour, decisions: Root, receipts: Root })
      .nullable()
      .describe('The roots of the last hour before in which anything was logged.'),
  })
  .meta({ id: 'HourHead' })
export type HourHead = z.output<typeof HourHead>

export type Tools = {
  /** Hex of the SHA-256 of a text. */
  hash: (text: string) => Promise<string>
  /** Hex of the Keccak-256 of bytes in hex. */
  keccak: (hex: string) => string
}

/** Where nothing was logged before. */
const NOTHING = '00'.repeat(32)

export const nodeBy =
  ({ keccak }: Tools): Node =>
  (x, y) =>
    x < y ? keccak(x + y) : keccak(y + x)

/** The trees of an hour from its lines, which need not be there at once. */
export async function closeHour(
  hour: string,
  previous: HourHead['previous'],
  lines: AsyncIterable<string> | Iterable<string>,
  tools: Tools,
): Promise<HourHead> {
  const node = nodeBy(tools)
  const begin = (root: string) => followed(tools.keccak(root), node)
  const decisions = begin(previous?.decisions ?? NOTHING)
  const receipts = begin(previous?.receipts ?? NOTHING)
  for await (const line of lines) {
    follow(decisions, tools.keccak(await tools.hash(line)), node)
    const { receipt } = JSON.parse(line) as Partial<TaskRecord>
    if (receipt !== undefined) follow(receipts, tools.keccak(receipt), node)
  }
  const treeOf = (of: Followed) => ({
    root: rootOfGrowing(of.tree, node),
    leaves: of.tree.size,
    first: firstProof(of, node),
  })
  return { hour, decisions: treeOf(decisions), receipts: treeOf(receipts), previous }
}

export const previousOf = ({ hour, decisions, receipts }: HourHead): HourHead['previous'] => ({
  hour,
  decisions: decisions.root,
  receipts: receipts.root,
})

/** Heads of closed hours, the earliest first: what shows that the last of them grew from the first. */
export const LogConsistency = z.object({ heads: z.array(HourHead) }).meta({ id: 'LogConsistency' })
export type LogConsistency = z.output<typeof LogConsistency>

/** True when each of these heads vouches for the roots of the one before it, so the root of the last does for all of them. */
export function isChain(heads: readonly HourHead[], tools: Tools): boolean {
  return heads.slice(1).every((head, i) => {
    const before = previousOf(heads[i]!)
    if (JSON.stringify(head.previous) !== JSON.stringify(before)) return false
    return (['decisions', 'receipts'] as const).every((tree) => {
      const { root, leaves, first } = head[tree]
      const proof = { index: 0, size: leaves, proof: first ?? [] }
      return rootByInclusion(tools.keccak(before![tree]), proof, nodeBy(tools)) === root
    })
  })
}

/** A line after the head. */
const LINE = z.union([TaskRecord.strict(), RequesterTally])

/** Nobody was passed over: who won by its merit has no less of it than any other that could take the task. */
const isByMerit = ({ rule, merit, others }: LoggedDecision): boolean =>
  rule !== 'merit' || others.every((other) => other.excluded !== undefined || other.merit <= merit)

/** One thing that was checked of an hour. */
export type Check = { what: string; ok: boolean }

/**
 * Checks the export of a closed hour.
 * @param before the head of the export before it, where that is at hand
 * @param between the heads of the hours between the two
 */
export async function checkHour(
  lines: readonly string[],
  before: HourHead | null,
  between: readonly HourHead[],
  tools: Tools,
): Promise<{ head: HourHead | null; checks: Check[] }> {
  const [first = '', ...rest] = lines
  const head = parsed(HourHead, first)
  if (!head) return { head: null, checks: [{ what: 'it begins with the head of a closed hour', ok: false }] }
  const told = rest.map((line) => parsed(LINE, line))
  const wrong = told.indexOf(null)
  const form = wrong < 0 ? `its ${rest.length} lines are records` : `line ${wrong + 2} is a record`
  if (wrong >= 0) return { head, checks: [{ what: form, ok: false }] }
  const again = await closeHour(head.hour, head.previous, rest, tools)
  const same = (tree: 'decisions' | 'receipts') =>
    again[tree].root === head[tree].root && again[tree].leaves === head[tree].leaves
  const checks = [
    { what: form, ok: true },
    { what: `their tree has the root ${head.decisions.root}`, ok: same('decisions') },
    { what: `the tree of their receipts has the root ${head.receipts.root}`, ok: same('receipts') },
    {
      what: 'it comes after the hour before',
      ok: !head.previous || hourNumber(head.previous.hour) < hourNumber(head.hour),
    },
  ]
  const decisions = told
    .flatMap((line) => (line && 'attempts' in line ? line.attempts : []))
    .flatMap((one) => one.decision ?? [])
  if (decisions.length > 0) {
    const what = `of the ${decisions.length} decisions that were noted none passed over a better offer`
    checks.push({ what, ok: decisions.every(isByMerit) })
  }
  if (!before) return { head, checks }
  const follows = isChain([before, ...between, again], tools)
  return { head, checks: [...checks, { what: `it goes on from ${before.hour}`, ok: follows }] }
}

function parsed<T>(schema: z.ZodType<T>, line: string): T | null {
  try {
    return schema.safeParse(JSON.parse(line)).data ?? null
  } catch {
    return null
  }
}
