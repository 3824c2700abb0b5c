/** Ways to match work with machines: the market's own, driven whole, and those of others, as they describe them. */
import { SESSION_KEY } from '#core/account.ts'
import { type Book, createBook, type Provider, record } from '#core/book.ts'
import { poll, register, submit } from '#core/market.ts'
import { ONE_TOKEN } from '#core/money.ts'
import { purseId } from '#core/purse.ts'
import { type Job, type Machine, type Mix, machineAddress, offersOf } from './mix.ts'
import { address, EPOCH } from './plan.ts'
import { type Random, randomOf, whole } from './random.ts'
import { cheapChat } from './request.ts'

/** What begins now. */
export type Start = { job: Job; machine: Machine }

export type Matcher = {
  /** A task comes. */
  submit: (job: Job, at: number) => Start[]
  /** A task is done, and its machine has a free slot. */
  finish: (start: Start, at: number) => Start[]
}

/** Whose of the tasks that wait goes first, and which of the machines that are free takes one. */
type Policy = {
  before: (x: Job, y: Job) => number
  choose: (free: Machine[], random: Random) => Machine
}

const inTurn = (x: Job, y: Job) => x.n - y.n
const anyOf = (free: Machine[], random: Random) => free[whole(random, free.length)]!

/** With each the source that describes it. */
export const BASELINES: Record<string, Policy> = {
  random: { before: inTurn, choose: anyOf },
  // Lilypad: the solver takes the cheapest offer that fits.
  cheapest: { before: inTurn, choose: (free) => free.reduce((best, one) => (one.ask < best.ask ? one : best)) },
  // AI Horde: who has more kudos goes first; workers take what comes.
  kudos: { before: (x, y) => x.requester - y.requester || inTurn(x, y), choose: anyOf },
  // OpenRouter: at random, weighted by the inverse square of the price.
  'price squared': { before: inTurn, choose: byInverseSquare },
}

function byInverseSquare(free: Machine[], random: Random): Machine {
  const weights = free.map(({ ask }) => (1e12 / ask) ** 2)
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [i, machine] of free.entries()) {
    left -= weights[i]!
    if (left < 0) return machine
  }
  return free.at(-1)!
}

export function baseline(name: string, mix: Mix, seed: number): Matcher {
  const { before, choose } = BASELINES[name]!
  const random = randomOf(seed, name)
  const busy = new Map(mix.machines.map((machine) => [machine, 0]))
  const queues = new Map<string, Job[]>()
  const begin = (job: Job, machine: Machine): Start => {
    busy.set(machine, busy.get(machine)! + 1)
    return { job, machine }
  }
  return {
    submit(job) {
      const free = mix.machines.filter(
        (machine) => machine.models.includes(job.model) && busy.get(machine)! < machine.slots,
      )
      if (free.length > 0) return [begin(job, choose(free, random))]
      const queue = queues.get(job.model) ?? []
      queues.set(job.model, queue)
      let place = queue.length
      while (place > 0 && before(job, queue[place - 1]!) < 0) place--
      queue.splice(place, 0, job)
      return []
    },
    finish({ machine }) {
      busy.set(machine, busy.get(machine)! - 1)
      const heads = machine.models.flatMap((model) => queues.get(model)?.[0] ?? [])
      const next = heads.sort(before)[0]
      if (!next) return []
      queues.get(next.model)!.shift()
      return [begin(next, machine)]
    },
  }
}

/** The market itself. */
export function market(mix: Mix): Matcher {
  const book = createBook('c1')
  const jobs = new Map<string, Job>()
  const machines = new Map(mix.machines.map((machine) => [machineAddress(machine), machine]))
  const leases = new Map<number, string>()
  for (let n = 0; n < mix.requesters; n++) {
    record(book, { type: 'drew', at: EPOCH, purse: purseOf(n), total: 1_000_000n * ONE_TOKEN })
  }
  for (const machine of mix.machines) {
    const provider = register(
      book,
      machineAddress(machine),
      { name: '', slots: machine.slots, offers: offersOf(machine), agent: '' },
      EPOCH,
    )
    say(book, provider, machine.slots, [], EPOCH)
  }

  /** What was given out since, as its machines begin with it. */
  function starts(): Start[] {
    const begun: Start[] = []
    for (const at of book.news.providers) {
      const provider = book.providers.get(at)!
      for (const [id, lease] of provider.leases) {
        const job = jobs.get(lease.task)!
        if (leases.has(job.n)) continue
        // Its machine would renew it for as long as it runs.
        lease.expiresAt = Number.POSITIVE_INFINITY
        leases.set(job.n, id)
        begun.push({ job, machine: machines.get(at)! })
      }
    }
    book.log.length = 0
    book.ended.clear()
    book.news = { ended: [], changed: [], providers: new Set() }
    return begun
  }

  return {
    submit(job, at) {
      const id = `t${job.n}`
      jobs.set(id, job)
      const requester = requesterOf(job.requester)
      submit(
        book,
        { requester, purse: purseOf(job.requester), requests: [requestOf(job)], newId: () => id },
        EPOCH + at,
      )
      return starts()
    },
    finish({ job, machine }, at) {
      const provider = book.providers.get(machineAddress(machine))!
      const usage = { inputTokens: job.size.in, outputTokens: job.size.out }
      const output = { content: '', finishReason: 'stop' }
      const result = { lease: leases.get(job.n)!, outcome: { status: 'succeeded' as const, output, usage } }
      say(book, provider, machine.slots - provider.leases.size + 1, [result], EPOCH + at)
      return starts()
    },
  }
}

function say(
  book: Book,
  provider: Provider,
  free: number,
  results: Parameters<typeof poll>[2]['results'],
  now: number,
): void {
  const done = new Set(results.map(({ lease }) => lease))
  const renew = [...provider.leases.keys()].filter((lease) => !done.has(lease))
  poll(book, provider, { free, seen: provider.lastSeq, results, renew }, now)
  provider.reachable = true
}

const requesterOf = (n: number) => address(0xa0_0000 + n)
const purseOf = (n: number) => purseId(requesterOf(n), SESSION_KEY)

const requestOf = ({ model, size, units }: Job) =>
  cheapChat({ model, input: size, bid: 1_000_000_000_000_000n, maxUnits: units })
