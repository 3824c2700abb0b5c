/** `daicn reputation`. */
import type { ReputationView } from '#core/public-log.ts'
import { type Cli, openPublic, print } from './cli.ts'

/** What an edge tells is not what its public log gives. */
export class NotBorneOut extends Error {
  readonly code = 'reputation_not_borne_out'
  readonly hint: string

  constructor(wrong: { counted: object | null }[]) {
    const late = wrong.every(({ counted }) => counted === null)
    super(`${wrong.length} ${wrong.length === 1 ? 'reputation is' : 'reputations are'} not what the public log gives`)
    this.name = 'NotBorneOut'
    this.hint = late
      ? 'The log does not have all outcomes yet: try again in ten seconds.'
      : 'Do not rely on the reputations of this edge.'
  }
}

/** @throws NotBorneOut */
export async function reputation(cli: Cli, provider: string | undefined, { check }: { check?: true }): Promise<void> {
  const daicn = await openPublic(cli)
  const options = { signal: cli.signal, ...(provider !== undefined && { provider }) }
  if (!check) {
    const all = await daicn.reputations(options)
    print(cli, all, () => cli.out.table(HEAD, all.map(row)))
    return
  }
  const all = await daicn.checkReputations(options)
  const wrong = all.filter(({ ok }) => !ok)
  if (!cli.json) {
    cli.out.table(
      [...HEAD, 'by the log'],
      all.map(({ told, counted, ok }) => [
        ...row(told),
        ok ? 'the same' : counted ? numbers(counted) : 'not there yet',
      ]),
    )
  }
  // Who asks of one provider asks of no requester.
  const requesters = provider === undefined ? await daicn.checkRequesters({ signal: cli.signal }) : []
  const wrongToo = requesters.filter(({ ok }) => !ok)
  if (wrong.length + wrongToo.length > 0) throw new NotBorneOut([...wrong, ...wrongToo])
  print(cli, { ok: true, checked: all.length, requesters: requesters.length }, () =>
    cli.out.line(
      `${all.length} of providers and ${requesters.length} of requesters counted again, all the same to the bit.`,
    ),
  )
}

const HEAD = ['provider', 'kind', 'model', 'outcomes', 'score', '90 % interval']

const row = (view: ReputationView): string[] => [
  view.provider,
  view.kind,
  view.model,
  view.outcomes.toLocaleString('en'),
  view.score.toFixed(2),
  numbers(view),
]

const numbers = ({ interval: { low, mean, high } }: ReputationView): string =>
  `${mean.toFixed(4)} (${low.toFixed(4)} to ${high.toFixed(4)})`
