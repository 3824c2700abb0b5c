/** `daicn why`. */
import type { DecisionView, PublicReason } from '#core/protocol/decision.ts'
import { type Cli, open, print } from './cli.ts'

const PASSED: Record<PublicReason, string> = {
  slot: 'had no free slot',
  avoided: 'failed it just before',
  drawn: 'was not drawn',
  terms: 'did not meet its terms',
}
const HEAD = ['provider', 'ask', 'speed', 'reputation', 'merit', '']

/** Who was considered for a task of ours, and why it went to whom it went. */
export async function why(cli: Cli, task: string): Promise<void> {
  const decisions = await (await open(cli)).decisions(task, { signal: cli.signal })
  print(cli, decisions, () => {
    if (decisions.length === 0) cli.out.line('Nothing is known of it: it waits, is being checked, or was not noted.')
    for (const decision of decisions) {
      cli.out.heading(`attempt ${decision.attempt}`)
      cli.out.line(decision.explanation)
      cli.out.line()
      cli.out.table(HEAD, contendersOf(decision))
    }
  })
}

const contendersOf = ({ others, ...winner }: DecisionView): string[][] => [
  row(winner, 'chosen'),
  ...others.map((other) => row(other, other.excluded ? PASSED[other.excluded] : 'could have taken it')),
]

const row = (
  { provider, ask, speed, reputation, warm, merit }: DecisionView['others'][number],
  outcome: string,
): string[] => [
  provider,
  ask,
  `${speed < 1000 ? Number(speed.toPrecision(3)) : Math.round(speed)}${warm ? '' : ', not loaded'}`,
  reputation.toFixed(2),
  merit.toFixed(3),
  outcome,
]
