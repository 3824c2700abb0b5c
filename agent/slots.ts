/**
 * How the slots of one machine are divided among its edges. Each has a fair share; an edge with more work than that borrows what
 * others have idle, and gives it back, as its leases end, when they have work. No I/O and no clock.
 *
 * Invariant: what the edges may count on together is never more than there is. A slot is given to another only when the edge that had it
 * has answered to a word that counts it no more.
 */

export type Share = {
  /** What the edge is to be promised from now on. */
  slots: number
  /** The most it may still count on, by what it was told before. */
  told: number
  running: number
  isOnline: boolean
}

/**
 * The fair shares.
 * Throws RangeError when there is not one for each.
 */
export function sharesOf(slots: number, edges: number): number[] {
  if (slots < edges)
    throw new RangeError(
      `${slots} ${slots === 1 ? 'slot' : 'slots'} cannot be promised to ${edges} edges: name fewer edges`,
    )
  return Array.from({ length: edges }, (_, i) => Math.floor(slots / edges) + (i < slots % edges ? 1 : 0))
}

/** What each edge is to be promised from now on, given how things stand; `total` is at least one for each. */
export function divide(total: number, shares: Share[]): number[] {
  const fair = sharesOf(total, shares.length)
  const slots = shares.map((share) => share.slots)
  if (sum(slots) > total) return fair.map((share, i) => Math.min(share, slots[i]!))
  const over = (i: number) => slots[i]! - fair[i]!
  const idle = (i: number) => slots[i]! - shares[i]!.running
  const leastOver = (indexes: number[]) => indexes.toSorted((a, b) => over(a) - over(b))[0]
  const busy = () => [...slots.keys()].filter((i) => shares[i]!.isOnline && idle(i) <= 0)

  // What is counted on is no longer raised by what was lowered here, so the slots that are free already are given first.
  let spare = total - sum(shares.map(({ told, running }, i) => Math.max(told, running, slots[i]!)))
  for (; spare > 0; spare--) slots[leastOver(busy()) ?? leastOver([...slots.keys()])!]!++

  const isAskedBack = shares.some(({ told }, i) => told > slots[i]!)
  const needy = leastOver(busy())
  if (needy === undefined || isAskedBack) return slots
  const lenders = [...slots.keys()].filter((i) => i !== needy && shares[i]!.isOnline)
  // One idle slot stays, or the lender would hear of no work; what is owed is given back to the last.
  const canLend = (i: number) =>
    over(needy) < 0 && over(i) > 0 ? Math.min(idle(i), over(i), -over(needy)) : Math.floor(idle(i) / 2)
  const lender = lenders.toSorted((a, b) => canLend(b) - canLend(a))[0]
  if (lender !== undefined) slots[lender]! -= Math.max(canLend(lender), 0)
  return slots
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)
