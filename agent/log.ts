/**
 * What the agent tells its owner: one event a line, as calm text or as JSON `{ at, event, ... }` (--log json).
 * What is about one edge also has `edge`, its origin; that of `start` names all of them.
 * No prompt, output, key or token is ever logged. The events and their fields, which other programs may rely on:
 *
 * | event   | when                                                                    | fields                          |
 * |---------|-------------------------------------------------------------------------|---------------------------------|
 * | start   | the agent has its key                                                   | address, edge, state, agent     |
 * | device  | what the machine computes with                                          | id, name, memoryBytes, freeBytes? |
 * | found   | a runner has passed its probe, or works again                           | kind, model, speed?, context?, ms?    |
 * | missing | a runner is not offered                                                 | kind, model, why, mend?         |
 * | withdrawn | a runner failed three probes in a row and is not offered until it works | kind, model, why             |
 * | offer   | what is asked for a unit of it; basis: set, index or default            | kind, model, ask, unit, basis   |
 * | online  | registered and connected                                                | transport, slots, cell          |
 * | offline | the edge cannot be reached, or refuses                                  | reason                          |
 * | task    | a lease has ended here: succeeded, failed, returned or revoked          | lease, kind, model, ms, status, code? |
 * | refused | the edge did not take a result                                          | lease, code                     |
 * | restart | a runner's process ended out of turn; the next task gets a fresh one    | kind, model, reason             |
 * | pause   | the owner wants no more work taken                                      |                                 |
 * | resume  | the owner wants work taken again                                        |                                 |
 * | rest    | the machine is not within its owner's limits; `resume` ends it           | reason                          |
 * | settings | agent.toml was changed, and what of it waits for the next start         | later?                          |
 * | spool   | results of an earlier run wait to be handed in                          | results                         |
 * | claimed | vouchers were paid on the chain                                         | vouchers, amount, transaction   |
 * | closed  | a lane was closed, as its requester asked: nothing more is charged to it    | account, charged                |
 * | unpaid  | a voucher is no good, or none can be checked or claimed now             | reason, account?                |
 * | stop    | the agent is leaving, then has left                                     | state: leaving or left          |
 * | error   | the agent cannot go on                                                  | reason, mend?                   |
 */
export type LogEvent =
  | 'start'
  | 'device'
  | 'found'
  | 'missing'
  | 'withdrawn'
  | 'offer'
  | 'online'
  | 'offline'
  | 'task'
  | 'refused'
  | 'restart'
  | 'pause'
  | 'resume'
  | 'rest'
  | 'settings'
  | 'spool'
  | 'claimed'
  | 'closed'
  | 'unpaid'
  | 'stop'
  | 'error'

export type LogFields = Record<string, string | number | undefined>
export type Log = (event: LogEvent, fields?: LogFields) => void

const SYMBOLS: Record<LogEvent, string> = {
  start: '◆',
  device: '▪',
  found: '+',
  missing: '-',
  withdrawn: '-',
  offer: '$',
  online: '●',
  offline: '○',
  task: '✓',
  refused: '!',
  restart: '↻',
  pause: '‖',
  resume: '▸',
  rest: '‖',
  settings: '≡',
  spool: '≡',
  claimed: '+',
  closed: '-',
  unpaid: '!',
  stop: '■',
  error: '✗',
}

export function createLog(format: 'json' | 'pretty', write: (line: string) => void, now: () => Date): Log {
  if (format === 'json')
    return (event, fields = {}) => write(`${JSON.stringify({ at: now().getTime(), event, ...fields })}\n`)
  return (event, fields = {}) => {
    const time = now().toTimeString().slice(0, 8)
    const symbol = event === 'task' && fields.status !== 'succeeded' ? '✗' : SYMBOLS[event]
    write(`${time} ${symbol} ${sentence(event, fields)}\n`)
  }
}

const BASIS = { set: 'as you set it', index: 'as it sold of late', default: 'the default' }

function sentence(event: LogEvent, f: LogFields): string {
  const work = `${f.kind} ${f.model}`
  switch (event) {
    case 'start':
      return `agent ${f.address} for ${f.edge}, state in ${f.state}`
    case 'device':
      return `${f.name}: ${f.freeBytes === undefined ? '' : `${gib(f.freeBytes)} free of `}${gib(f.memoryBytes)}`
    case 'found':
      if (f.speed === undefined) return `${work} works again`
      return `${work} works: ${round(f.speed)} units/s${f.context ? `, context ${f.context}` : ''}`
    case 'missing':
      return `${work} is not offered: ${f.why}${f.mend ? `; to mend: ${f.mend}` : ''}`
    case 'withdrawn':
      return `${work} is not offered until it works again: ${f.why}`
    case 'offer':
      return `${work} at ${f.ask} ${f.unit} (${BASIS[f.basis as keyof typeof BASIS]}) for ${f.edge}`
    case 'online':
      return `online at ${f.edge} by ${f.transport}, ${f.slots} slots, cell ${f.cell}`
    case 'offline':
      return `offline: ${f.reason}`
    case 'task':
      return `${work} ${f.status} in ${f.ms} ms${f.code ? ` (${f.code})` : ''}`
    case 'refused':
      return `the edge did not take the result of ${f.lease}: ${f.code}`
    case 'restart':
      return `${work}: ${f.reason}; the next task gets a fresh process`
    case 'pause':
      return 'paused: no more work is taken'
    case 'resume':
      return 'work is taken again'
    case 'rest':
      return `no work is taken: ${f.reason}`
    case 'settings':
      return `agent.toml was read again${f.later ? `; ${f.later} will be as it says from the next start on` : ''}`
    case 'spool':
      return `${f.results} finished results of an earlier run wait to be handed in`
    case 'claimed':
      return `claimed ${f.amount} tokens by ${f.vouchers} vouchers in ${f.transaction}`
    case 'closed':
      return `closed the lane of account ${f.account} at ${f.charged} tokens, as its requester asked`
    case 'unpaid':
      return f.account ? `account ${f.account} cannot be relied on: ${f.reason}` : `payment has to wait: ${f.reason}`
    case 'stop':
      return f.state === 'left' ? 'stopped' : 'stopping: finishing what runs, giving back the rest'
    case 'error':
      return `${f.reason}${f.mend ? `; to mend: ${f.mend}` : ''}`
  }
}

const gib = (bytes: string | number | undefined) => `${(Number(bytes) / 1024 ** 3).toFixed(1)} GiB`
const round = (value: string | number | undefined) => Number(Number(value).toPrecision(3))
