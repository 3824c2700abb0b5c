/** `daicn watch`: a task, or the whole network, as it changes. */
import type { Quantiles } from '#core/protocol/forecast.ts'
import type { NetworkSnapshot, TaskSummary } from '#core/protocol/network.ts'
import { unsuccessful } from '../error.ts'
import type { Done } from '../task.ts'
import { type Cli, edgeOf, open, openPublic } from './cli.ts'
import { PROVIDER_HEAD, providerRow } from './network.ts'
import { shown } from './run.ts'
import { seconds } from './terminal.ts'

const ROWS = 8

/** Its text goes to standard output as it is written, its states to standard error. */
export async function watchTask(cli: Cli, id: string): Promise<void> {
  const daicn = await open(cli)
  let told = ''
  for await (const event of daicn.watch(id, { signal: cli.signal })) {
    if (cli.json) process.stdout.write(`${JSON.stringify(event)}\n`)
    else if (event.type === 'output') cli.out.text(event.delta)
    else if (event.type === 'status') {
      cli.err.item(event.status, event.provider ?? '')
      // Who cannot be told when it ends can still be told what happens.
      const ahead = await daicn.forecast(id, { signal: cli.signal }).catch(() => null)
      if (ahead?.startMs) cli.err.item('starts in', within(ahead.startMs))
      if (ahead?.finishMs) cli.err.item('finished in', within(ahead.finishMs))
    }
    if (event.type === 'output') told += event.delta
    if (event.type !== 'done') continue
    if (event.task.status !== 'succeeded') throw unsuccessful(event.task)
    if (cli.json) return
    if (told === '') cli.out.text(shown(event.task as Done))
    else if (!told.endsWith('\n')) process.stdout.write('\n')
    cli.err.done('succeeded', `${event.task.price} tokens`)
  }
}

/** A view that is drawn over on a terminal; elsewhere a line for each change, or JSON. */
export async function watchNetwork(cli: Cli): Promise<void> {
  const edge = await edgeOf(cli)
  let last = ''
  for await (const snapshot of (await openPublic(cli)).watchNetwork({ signal: cli.signal })) {
    const line = headline(snapshot)
    if (cli.json) process.stdout.write(`${JSON.stringify(snapshot)}\n`)
    else if (cli.out.live) cli.out.draw(view(cli, edge, snapshot))
    else if (line !== last) process.stdout.write(`${new Date(snapshot.at).toISOString()}  ${line}\n`)
    last = line
  }
}

function headline({ metrics, status }: NetworkSnapshot): string {
  const { activeProviders, totalProviders, totalTasks, healthScore } = metrics
  return [
    `${activeProviders} of ${totalProviders} providers active`,
    `${count(totalTasks)} tasks`,
    `${count(status.queued)} queued`,
    `${count(status.leased + status.running)} running`,
    `health ${healthScore === null ? 'unknown' : Math.round(healthScore)}`,
  ].join('  ')
}

function view({ out }: Cli, edge: string, snapshot: NetworkSnapshot): string[] {
  const { providers, latest } = snapshot
  return [
    '',
    `  ${out.strong('DAICN')}  ${out.accent(edge)}`,
    '',
    `  ${headline(snapshot)}`,
    '',
    ...out.tableLines(PROVIDER_HEAD, providers.slice(0, ROWS).map(providerRow)),
    '',
    ...out.tableLines(['task', 'kind', 'model', 'status', 'wait', 'ran', 'price'], latest.slice(0, ROWS).map(taskRow)),
    '',
    `  ${out.faint('Ctrl-C to leave')}`,
  ]
}

function taskRow({ id, kind, model, status, waitMs, runMs, price }: TaskSummary): string[] {
  return [id, kind, model, status, time(waitMs), time(runMs), price ?? '']
}

const time = (ms: number | undefined) => (ms === undefined ? '' : seconds(ms))
const count = (number: number) => number.toLocaleString('en')

const within = ({ p10, p50, p90, basis }: Quantiles): string =>
  `${seconds(p50)}, four times in five ${seconds(p10)} to ${seconds(p90)}${basis === 'early' ? ' (early: little is known)' : ''}`
