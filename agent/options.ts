/** The command line, parsed once. Throws RangeError or TypeError with a message for its user. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { KINDS, Kind, LIMITS, Region } from '#core/protocol.ts'
import { parsePrices } from './price.ts'

export const USAGE = `usage: node agent/main.ts --edge URL [options]

  --edge URL          the edge to take work from
  --state DIR         key and unsent results (default ~/.daicn/agent)
  --name NAME         shown to others beside the address
  --region REGION     ${Region.options.join(', ')}
  --runners KINDS     kinds of work to offer, with commas (default ${KINDS.join(',')})
  --upstream URL      an OpenAI-compatible server to offer; repeat for more.
                      ollama, vLLM and llama-server on this machine are found without it.
                      DAICN_UPSTREAM_KEY in the environment is sent to it as its API key
  --price KIND=AMOUNT tokens to ask for a unit of a kind; repeat for more
  --slots N           tasks at once over all kinds (default: what the runners can take)
  --log json|pretty   (default pretty)
  --help`

export type Options = {
  edge: string
  state: string
  name: string
  region: Region | undefined
  kinds: Kind[]
  upstreams: string[]
  prices: Map<Kind, string>
  slots: number | undefined
  log: 'json' | 'pretty'
}

export function parseOptions(argv: string[]): Options | 'help' {
  const { values } = parseArgs({
    args: argv,
    options: {
      edge: { type: 'string' },
      state: { type: 'string', default: join(homedir(), '.daicn', 'agent') },
      name: { type: 'string', default: '' },
      region: { type: 'string' },
      runners: { type: 'string', default: KINDS.join(',') },
      upstream: { type: 'string', multiple: true, default: [] },
      price: { type: 'string', multiple: true, default: [] },
      slots: { type: 'string' },
      log: { type: 'string', default: 'pretty' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  if (values.edge === undefined) throw new RangeError('--edge URL is missing')
  return {
    edge: origin('--edge', values.edge),
    state: resolve(values.state),
    name: values.name.slice(0, 60),
    region: values.region === undefined ? undefined : oneOf('--region', values.region, Region.options),
    kinds: values.runners.split(',').map((kind) => oneOf('--runners', kind, Kind.options)),
    upstreams: values.upstream.map((url) => origin('--upstream', url)),
    prices: parsePrices(values.price),
    slots: values.slots === undefined ? undefined : count('--slots', values.slots),
    log: oneOf('--log', values.log, ['json', 'pretty']),
  }
}

function origin(flag: string, url: string): string {
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new RangeError(`${flag} ${url}: write a URL, as in http://127.0.0.1:8787`)
  return new URL(url).origin
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((known) => known === value)
  if (!found) throw new RangeError(`${flag} ${value}: choose from ${allowed.join(', ')}`)
  return found
}

function count(flag: string, value: string): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1 || number > LIMITS.slots)
    throw new RangeError(`${flag} ${value}: write a whole number from 1 to ${LIMITS.slots}`)
  return number
}
