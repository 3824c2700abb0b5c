/** How far a load has come, as its submitters and providers were told. */
export type Progress = {
  /** Tasks that the edge acknowledged, with who submitted them. */
  acknowledged: Map<string, number>
  /** Tasks that any provider was given, with who submitted them: also those whose acknowledgement was lost. */
  given: Map<string, number>
  /** Leases whose result was answered with accepted, by task. */
  winners: Map<string, Set<string>>
  /** Tasks of which a provider knows that they are over. */
  ended: Set<string>
  /** Submits that wait for their answer. */
  sending: number
  sent(by: 1 | -1): void
  acknowledge(task: string, submitter: number): void
  told(task: string, submitter: number): void
  accepted(lease: string): void
  over(task: string): void
  /** Resolves as soon as it holds. */
  until(holds: () => boolean): Promise<void>
}

export function createProgress(): Progress {
  let waiting: { holds: () => boolean; resolve: () => void }[] = []
  const changed = () => {
    waiting = waiting.filter(({ holds, resolve }) => {
      if (!holds()) return true
      resolve()
      return false
    })
  }
  const progress: Progress = {
    acknowledged: new Map(),
    given: new Map(),
    winners: new Map(),
    ended: new Set(),
    sending: 0,
    sent(by) {
      progress.sending += by
      changed()
    },
    acknowledge(task, submitter) {
      progress.acknowledged.set(task, submitter)
      changed()
    },
    told(task, submitter) {
      progress.given.set(task, submitter)
    },
    accepted(lease) {
      const task = lease.slice(0, lease.lastIndexOf('.'))
      progress.winners.set(task, (progress.winners.get(task) ?? new Set()).add(lease))
    },
    over(task) {
      progress.ended.add(task)
      changed()
    },
    until: (holds) =>
      new Promise((resolve) => {
        waiting.push({ holds, resolve })
        changed()
      }),
  }
  return progress
}
