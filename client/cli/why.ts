/** `daicn why`. */
import { contendersOf, roughSpeed } from '#core/decision-words.ts'
import { type Cli, open, print } from './cli.ts'

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
      cli.out.table(HEAD, contendersOf(decision).map(row))
    }
  })
}

const row = ({ provider, ask, speed, reputation, warm, merit, outcome }: ReturnType<typeof contendersOf>[number]) => [
  provider,
  ask,
  `${roughSpeed(speed)}${warm ? '' : ', not loaded'}`,
  reputation.toFixed(2),
  merit.toFixed(3),
  outcome,
]
