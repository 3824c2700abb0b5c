/**
 * What an assurance is worth against those who cheat: on the real core, with providers that do their work in virtual time. Of each
 * wrong result that came first it is known how likely the quote said that it would be caught, and whether it was.
 */
import { type Checked, mostResults } from '#core/assurance.ts'
import { type Book, createBook, disconnect, type Provider, record } from '#core/book.ts'
import { CHECK, refutes } from '#core/canary.ts'
import { poll, register, submit } from '#core/market.ts'
import { formatAmount, ONE_TOKEN } from '#core/money.ts'
import type { Result } from '#core/protocol/lease.ts'
import type { Quote } from '#core/protocol/quote.ts'
import type { Address } from '#core/protocol/values.ts'
import { purseId } from '#core/purse.ts'
import { quote } from '#core/quote.ts'
import type { TaskRequest } from '#core/request.ts'
import type { Task } from '#core/task.ts'
import { advance, after, createAgenda } from './agenda.ts'
import { address, EPOCH } from './plan.ts'
import { chance, exponential, lognormal, type Random, randomOf } from './random.ts'
import { cheapChat } from './request.ts'

/**
 * `lazy`: never does its work, and makes something up. `colluding`: the same, and all of them make up the same. `sometimes`: does one
 * task in ten so, when it is known for good work. `swapping`: does forty tasks well, and all others with another model than it says, that
 * writes something else. `whitewashing`: lazy, under a new address after each time it was caught. `sybil`:
 * colluding, of one owner, who asks so little that all tasks go to its addresses first.
 */
export const CHEATERS = ['lazy', 'colluding', 'sometimes', 'swapping', 'whitewashing', 'sybil'] as const
export type Cheater = (typeof CHEATERS)[number]

export const SHARES = [0.1, 0.3] as const

export const LEVELS = ['none', 'canaries', 'spot', 'quorum(3,2)'] as const
type Level = (typeof LEVELS)[number]
const ASSURANCES: Record<Level, Checked | undefined> = {
  none: undefined,
  canaries: undefined,
  spot: { level: 'spot' },
  'quorum(3,2)': { level: 'quorum', n: 3, k: 2 },
}

export type Trial = { cheater: Cheater; share: number; level: Level }

const PROVIDERS = 200
const REQUESTERS = 10
/** One more account. */
const OPERATOR = REQUESTERS
const WORK_MS = 10_000
const RIGHT = { content: 'right', finishReason: 'stop' }
/** Of the providers' time so much would be taken if every task took as many results as it may. */
const LOAD = 0.75
const OFFER = { kind: 'llm.chat' as const, model: 'm', speed: 1 }
/** Of a task, in base units: a two-hundredth of a token. */
const ASK = 5e15
const BID = BigInt(ASK * 20)
const DISCOUNTS: Record<Cheater, number> = {
  lazy: 0.5,
  colluding: 0.5,
  sometimes: 0.7,
  swapping: 0.7,
  whitewashing: 0.5,
  sybil: 0.1,
}

export const trialsOf = (cheaters: readonly Cheater[] = CHEATERS): Trial[] =>
  cheaters.flatMap((cheater) => SHARES.flatMap((share) => LEVELS.map((level) => ({ cheater, share, level }))))

/**
 * Of a task in the trial, what was quoted, and whether its first result was wrong. `canary`: it is the operator's, of which nothing
 * is quoted to anybody; what is said of it is what docs/trust.md does.
 */
type Case = { quoted: number; lied: boolean; canary: boolean }

/** Of the tasks of a trial so many are followed by a canary: the market's own share, of which trials of few tasks would have too few. */
const CANARIES = 0.05

/** `done`: tasks that it has worked on. `left`: it has gone on under another name, and takes no more under this. */
type Player = { provider: Provider; cheats: boolean; done: number; left: boolean }

export type Court = Trial & {
  random: Random
  book: Book
  agenda: ReturnType<typeof createAgenda>
  players: Map<Address, Player>
  cases: Map<string, Case>
  /** Attempts that sent something wrong. */
  lies: Set<string>
  begun: Set<string>
  made: number
  /** Providers that cheat; one that washes itself counts once. */
  liars: number
  ended: Task[]
}

/** A network of which some cheat, until all tasks have ended. */
export function hold(trial: Trial, seed: number, tasks: number): Court {
  const random = randomOf(seed, `${trial.cheater} ${trial.share} ${trial.level}`)
  const court: Court = {
    ...trial,
    random,
    book: createBook('c1'),
    agenda: createAgenda(EPOCH),
    players: new Map(),
    cases: new Map(),
    lies: new Set(),
    begun: new Set(),
    made: 0,
    liars: Math.round(PROVIDERS * trial.share),
    ended: [],
  }
  const { book, agenda } = court
  for (let n = 0; n <= OPERATOR; n++) {
    record(book, { type: 'drew', at: EPOCH, purse: purseOf(n), total: 1_000_000_000n * ONE_TOKEN })
  }
  for (let n = 0; n < PROVIDERS; n++) enrol(court, n < court.liars)
  const assurance = ASSURANCES[trial.level]
  const meanMs = (WORK_MS * mostResults(assurance)) / PROVIDERS / LOAD
  let asked = 0
  const next = () => {
    ask(court, asked)
    if (++asked < tasks) after(agenda, exponential(random, meanMs), next)
  }
  next()
  while (advance(agenda));
  return court
}

const requesterOf = (n: number) => address(0xa0_0000 + n)
const purseOf = (n: number) => purseId(requesterOf(n), 'session')

/** Another provider, that has room. */
function enrol(court: Court, cheats: boolean): void {
  const { book, cheater, random, agenda } = court
  // Who does no work can do it for less.
  const median = cheats ? ASK * DISCOUNTS[cheater] : ASK
  const price = Math.round(lognormal(random, median, 0.3) / 1e4) * 1e4
  const at = address(0xb0_0000 + court.made++)
  const offers = [{ ...OFFER, ask: formatAmount(BigInt(price)) }]
  const provider = register(book, at, { name: '', slots: 1, offers, agent: '' }, agenda.now)
  const player = { provider, cheats, done: 0, left: false }
  court.players.set(at, player)
  say(court, player, [])
}

/** A requester asks what a task would cost, then for the task. */
function ask(court: Court, n: number): void {
  const { book, agenda, random, level } = court
  const assurance = ASSURANCES[level]
  const who = n % REQUESTERS
  const request: TaskRequest = {
    ...cheapChat({ model: OFFER.model, input: {}, bid: BID, maxUnits: 1 }),
    ...(assurance && { assurance, lot: random() }),
  }
  const said = assurance && quote(book, requesterOf(who), request, agenda.now).assurance
  const id = `t${n}`
  const first = { quoted: said ? quotedOf(court, said) : 0, lied: false, canary: false }
  put(court, id, who, request, first)
  if (level === 'canaries' && chance(random, CANARIES)) {
    const quoted = refutes(court.share)
    after(agenda, exponential(random, WORK_MS), () => {
      put(court, `c${n}`, OPERATOR, canaryOf(request, random()), { quoted, lied: false, canary: true })
    })
  }
}

function put(court: Court, id: string, who: number, request: TaskRequest, first: Case): void {
  court.cases.set(id, first)
  const submission = { requester: requesterOf(who), purse: purseOf(who), requests: [request], newId: () => id }
  submit(court.book, submission, court.agenda.now)
  follow(court)
}

/** As if some other quorum had agreed upon the right answer to this. */
const canaryOf = (request: TaskRequest, lot: number): TaskRequest => ({
  ...request,
  assurance: CHECK,
  lot,
  canary: { id: 'known', output: RIGHT },
})

function quotedOf({ cheater, share }: Court, { detection, collusion }: NonNullable<Quote['assurance']>): number {
  if (cheater !== 'colluding' && cheater !== 'sybil') return detection
  return collusion.find((one) => one.share === share)!.detection
}

/** Has everybody begin what was given out, and notes what has ended. */
function follow(court: Court): void {
  const { book } = court
  const { providers, ended } = book.news
  book.news = { ended: [], changed: [], providers: new Set() }
  book.log.length = 0
  book.ended.clear()
  for (const task of ended) {
    court.ended.push(task)
    if (court.cheater === 'whitewashing') for (const one of refutedBy(task)) wash(court, one)
  }
  for (const at of providers) {
    const { provider } = court.players.get(at)!
    for (const [lease, held] of provider.leases) {
      if (court.begun.has(lease)) continue
      court.begun.add(lease)
      // Its agent would renew it for as long as it works.
      held.expiresAt = Number.POSITIVE_INFINITY
      after(court.agenda, exponential(court.random, WORK_MS), () => finish(court, at, lease, held.task))
    }
  }
}

const refutedBy = ({ attempts }: Task): Address[] =>
  attempts.filter(({ state }) => state.is === 'refuted').map(({ provider }) => provider)

/** Leaves its name, which works on nothing then, and comes back under another. */
function wash(court: Court, at: Address): void {
  const player = court.players.get(at)!
  if (!player.cheats || player.left) return
  player.left = true
  disconnect(court.book, player.provider)
  enrol(court, true)
}

function finish(court: Court, at: Address, lease: string, id: string): void {
  const { book, lies, cases } = court
  const player = court.players.get(at)!
  const lie = lieOf(court, player)
  if (lie !== null) {
    lies.add(lease)
    if (!book.tasks.get(id)!.task.deliveries) cases.get(id)!.lied = true
  }
  player.done++
  const output = lie === null ? RIGHT : { ...RIGHT, content: lie }
  const usage = { inputTokens: 0, outputTokens: 1 }
  say(court, player, [{ lease, outcome: { status: 'succeeded', output, usage } }])
  follow(court)
}

/** So many tasks does a provider well before it exchanges its model. */
const HONEST = 40

/** Something wrong, or null for honest work. */
function lieOf({ cheater, random }: Court, { cheats, provider, done }: Player): string | null {
  if (!cheats) return null
  switch (cheater) {
    case 'lazy':
    case 'whitewashing':
      return `made up ${random()}`
    case 'sometimes': {
      const [reputation] = provider.reputations.values()
      return (reputation?.streak ?? 0) >= 20 && chance(random, 0.1) ? `made up ${random()}` : null
    }
    case 'swapping':
      return done >= HONEST ? `otherwise ${random()}` : null
    case 'colluding':
    case 'sybil':
      return 'agreed upon'
  }
}

/** A poll of a provider of one slot, with what it has done. */
function say({ book, agenda }: Court, { provider, left }: Player, results: Result[]): void {
  poll(book, provider, { free: left ? 0 : 1, seen: provider.lastSeq, results, renew: [] }, agenda.now)
  provider.reachable = !left
}
