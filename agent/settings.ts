/**
 * What the owner wants of the agent: the command line and agent.toml, which have the same words. The command line goes before.
 * Everything is checked here, once; what is wrong throws RangeError with a message for the owner.
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { isAmount, parseAmount } from '#core/money.ts'
import { Address, LIMITS, Region } from '#core/protocol/values.ts'
import { KINDS, Kind } from '#core/protocol/work.ts'
import type { Limits } from './limits.ts'
import { parsePrices } from './price.ts'
import { parseSchedule } from './schedule.ts'

export const DEFAULT_STATE = join(homedir(), '.daicn', 'agent')
/** Tokens; nobody trades them yet, so this takes one for a dollar. */
export const DEFAULT_ETHER_PRICE = '3000'
/** Tokens that a requester may owe beyond what is locked for us. */
export const DEFAULT_CREDIT = '0.1'
/** Beyond these a number is a slip of the pen. */
const MOST = { idleMinutes: 1440, celsius: 120, watts: 2000 }
export const LOGS = ['json', 'pretty', 'live'] as const

/** As it was written, on either side. */
export type Given = {
  edge?: string[]
  state?: string
  config?: string
  name?: string
  region?: string
  owner?: string
  runners?: string[]
  upstream?: string[]
  rpc?: string
  etherPrice?: string
  credit?: string
  runner?: string[]
  image?: string[]
  price?: string[]
  device?: string[]
  slots?: string
  idle?: string
  schedule?: string[]
  temperature?: string
  power?: string
  log?: string
}

/** An image whose programs may run here, pinned. */
export type AllowedImage = { name: string; digest: string }
export type OwnRunner = { kind: Kind; model: string; file: string }

export type Settings = {
  /** Origins; at least one. */
  edges: string[]
  state: string
  /** The file they were read from, whether it is there or not. */
  file: string
  name: string
  region: Region | undefined
  /** Whom the edge tells how this machine does. */
  owner: Address | undefined
  kinds: Kind[]
  upstreams: string[]
  /** On which devices model servers compute, by their origins: the owner's word, in place of what the agent sees. */
  placing: Record<string, string[]>
  /** By which vouchers are checked and claimed; without it, by the one that the edge names. */
  rpc: string | undefined
  /** What an ether is worth in tokens, base units. */
  etherPrice: bigint
  /** What each requester may owe beyond what its lane covers, base units. */
  credit: bigint
  /** Runners of the owner's own, each by its module's file. */
  own: OwnRunner[]
  images: AllowedImage[]
  prices: Map<Kind, string>
  slots: number | undefined
  limits: Limits
  log: (typeof LOGS)[number] | undefined
}

/** Reads the file too. */
export function loadSettings(given: Given): Settings {
  const state = resolve(given.state ?? DEFAULT_STATE)
  const file = given.config === undefined ? join(state, 'agent.toml') : resolve(given.config)
  return settingsOf({ ...fromFile(file, given.config !== undefined), ...given }, state, file)
}

function fromFile(file: string, named: boolean): Given {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (!named && (error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new RangeError(`${file} cannot be read: ${(error as Error).message}`)
  }
  try {
    return fromToml(text)
  } catch (error) {
    throw new RangeError(`${file}: ${(error as Error).message}`)
  }
}

/** The words of agent.toml, as the command line would say them. */
export function fromToml(text: string): Given {
  const given: Given = {}
  for (const [key, value] of Object.entries(parseToml(text))) {
    switch (key) {
      case 'edge':
      case 'upstream':
      case 'runners':
      case 'runner':
      case 'image':
      case 'schedule':
        given[key] = texts(key, value)
        break
      case 'name':
      case 'region':
      case 'owner':
      case 'rpc':
      case 'log':
        given[key] = textOf(key, value)
        break
      case 'slots':
      case 'idle':
      case 'temperature':
      case 'power':
        given[key] = String(value)
        break
      case 'ether-price':
        given.etherPrice = String(value)
        break
      case 'credit':
        given.credit = String(value)
        break
      case 'price':
        given.price = Object.entries(tableOf(key, value)).map(
          ([kind, ask]) => `${kind}=${textOf(`price.${kind}`, ask)}`,
        )
        break
      case 'device':
        given.device = Object.entries(tableOf(key, value)).map(
          ([url, ids]) => `${url}=${texts(`device."${url}"`, ids).join()}`,
        )
        break
      default:
        throw new RangeError(`${key} is no setting`)
    }
  }
  return given
}

function settingsOf(given: Given, state: string, file: string): Settings {
  const {
    edge = [],
    runners = [...KINDS],
    region,
    owner,
    upstream = [],
    runner = [],
    image = [],
    price = [],
    device = [],
    rpc,
    slots,
    schedule = [],
    log,
  } = given
  if (edge.length === 0) throw new RangeError('--edge URL is missing')
  return {
    edges: [...new Set(edge.map((url) => origin('--edge', url)))],
    state,
    file,
    name: (given.name ?? '').slice(0, 60),
    region: region === undefined ? undefined : oneOf('--region', region, Region.options),
    owner: owner === undefined ? undefined : addressOf('--owner', owner),
    kinds: runners.map((kind) => oneOf('--runners', kind, Kind.options)),
    upstreams: upstream.map((url) => origin('--upstream', url)),
    placing: Object.fromEntries(device.map(placeOf)),
    rpc: rpc === undefined ? undefined : rpcUrl(rpc),
    etherPrice: amount('--ether-price', given.etherPrice ?? DEFAULT_ETHER_PRICE),
    credit: amount('--credit', given.credit ?? DEFAULT_CREDIT),
    own: runner.map(ownRunner),
    images: imagesOf(image),
    prices: parsePrices(price),
    slots: slots === undefined ? undefined : count('--slots', slots, LIMITS.slots),
    limits: {
      idleMinutes: given.idle === undefined ? undefined : count('--idle', given.idle, MOST.idleMinutes),
      schedule: schedule.flatMap(parseSchedule),
      celsius: given.temperature === undefined ? undefined : count('--temperature', given.temperature, MOST.celsius),
      watts: given.power === undefined ? undefined : count('--power', given.power, MOST.watts),
    },
    log: log === undefined ? undefined : oneOf('--log', log, LOGS),
  }
}

function ownRunner(text: string): OwnRunner {
  const [, kind, model, file] = /^([^/=]+)\/([^=]+)=(.+)$/.exec(text) ?? []
  if (!kind || !model || !file)
    throw new RangeError(`--runner ${text}: write kind/model=file, as in text.embed/letters=own-runner.mjs`)
  return { kind: oneOf('--runner', kind, Kind.options), model: model.slice(0, 200), file: resolve(file) }
}

function placeOf(text: string): [string, string[]] {
  const [, url, ids] = /^(.+)=([^=]*)$/.exec(text) ?? []
  if (!url) throw new RangeError(`--device ${text}: write URL=ID, as in http://127.0.0.1:8000=GPU-...`)
  return [origin('--device', url), ids!.split(',').filter((id) => id !== '')]
}

function imagesOf(texts: string[]): AllowedImage[] {
  const images = texts.map((text) => {
    const [, name, digest] = /^([^@\s-][^@\s]{0,199})@(sha256:[0-9a-f]{64})$/.exec(text) ?? []
    if (!name || !digest)
      throw new RangeError(`--image ${text}: pin it by its digest, as in docker.io/library/python@sha256:...`)
    return { name, digest }
  })
  const twice = images.find(({ name }, i) => images.findIndex((other) => other.name === name) < i)
  if (twice) throw new RangeError(`--image ${twice.name}: allow one digest of an image`)
  return images
}

function origin(flag: string, url: string): string {
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new RangeError(`${flag} ${url}: write a URL, as in http://127.0.0.1:8787`)
  return new URL(url).origin
}

/** Its path may hold a key, so it is kept whole and never repeated. */
export function rpcUrl(url: string): string {
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new RangeError('--rpc: write a URL, as in http://127.0.0.1:8545')
  return url
}

function amount(flag: string, value: string): bigint {
  if (!isAmount(value)) throw new RangeError(`${flag} ${value}: write a number of tokens, as in ${DEFAULT_CREDIT}`)
  return parseAmount(value)
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((known) => known === value)
  if (!found) throw new RangeError(`${flag} ${value}: choose from ${allowed.join(', ')}`)
  return found
}

function addressOf(flag: string, value: string): Address {
  const { data, success } = Address.safeParse(value)
  if (!success) throw new RangeError(`${flag} ${value}: write an address, as in 0x and 40 digits from 0 to f`)
  return data
}

function count(flag: string, value: string, most: number): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1 || number > most)
    throw new RangeError(`${flag} ${value}: write a whole number from 1 to ${most}`)
  return number
}

function textOf(key: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new RangeError(`${key}: write it between quotes`)
}

function texts(key: string, value: unknown): string[] {
  return Array.isArray(value) ? value.map((item) => textOf(key, item)) : [textOf(key, value)]
}

function tableOf(key: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new RangeError(`${key}: write a table, as in [${key}]`)
}
