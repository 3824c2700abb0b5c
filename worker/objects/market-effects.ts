/** What a market tells others: accounts, the history, the rooms of tasks, the network's feed. */
import { currentAttempt } from '#core/attempts.ts'
import { openOf, purseOf, record } from '#core/book.ts'
import { DomainError } from '#core/errors.ts'
import { sealed } from '#core/market.ts'
import { isBinOver } from '#core/outlook.ts'
import { suppliesOf } from '#core/outlook-view.ts'
import type { NetworkSnapshot } from '#core/protocol/network.ts'
import type { WatchEvent } from '#core/protocol/task.ts'
import type { Address } from '#core/protocol/values.ts'
import { recordOf } from '#core/public-log.ts'
import { available, drawTargets, isUnsettled, laneOf, type Purse, parsePurseId } from '#core/purse.ts'
import { loggedHash } from '#core/receipt.ts'
import { MINUTE_MS, minutesUntil } from '#core/stats.ts'
import { isOver, statusOf, type Task } from '#core/task.ts'
import { networkSnapshot, taskView } from '#core/views.ts'
import { webhookEvent } from '#core/webhook.ts'
import { sha256 } from '../auth.ts'
import type { Network } from '../env.ts'
import { logError } from '../log.ts'
import { createOutbox, drain, type Outbox, signal } from '../outbox.ts'
import type { HistoryTask } from '../store/history.ts'
import type { Notice } from './account-webhooks.ts'
import { openCanaries } from './canaries.ts'
import {
  type ArchivedTask,
  archived,
  dropOld,
  type MarketStore,
  markExported,
  nextPack,
  pack,
  writeMarket,
} from './market-store.ts'

/** How long effects wait for more of their kind. */
const SETTLE_MS = 2_000
const PACK_MS = 5_000
const SEAL_RETRY_MS = 200
/** How long an unused purse is kept filled. */
const IDLE_PURSE_MS = 60_000
const FEED_MS = 250
/** How long the word of a task's status lets the leases of the same turn go ahead of it. */
const STATUS_MS = 1
/** Minutes are saved once they are over, so many at most: of more the edge was away, and they are not known. */
const MINUTES_SAVED = 5

export type MarketEffects = ReturnType<typeof createEffects>

export function createEffects(store: MarketStore, network: Network) {
  const { book } = store
  const outbox: Outbox = createOutbox()
  const watched = new Set<string>()
  /** Tasks whose room is about to hear of their status. */
  const changing = new Set<string>()
  /** Tasks of whose end the account was told for its webhooks; after a restart it is told again, which changes nothing. */
  const notified = new Set<string>()
  /** Draws whose answers are awaited, by purse. */
  const drawing = new Map<string, number>()
  let exporting = Promise.resolve()
  let telling = false
  let feedSent = new Map<string, string>()
  const feed = { watched: true }
  let savedMinute: number | null = null

  /** Everything that is due by the present truth; also how the outbox comes back after a restart. */
  function deriveSignals(now: number): void {
    for (const purse of book.purses.values()) {
      signalPurse(purse.id, now)
      if (purse.drawing) signal(outbox, `draw ${purse.id}`, now)
    }
    for (const { supply, earned, credited } of book.providers.values()) {
      if (earned !== credited) signal(outbox, `credit ${supply.address}`, now)
    }
    for (const { spec } of book.ended.values()) if (spec.webhook) signal(outbox, `notify ${spec.requester}`, now)
    for (const id of book.sealing) signal(outbox, `seal ${id}`, now)
    if (book.ended.size > 0 || nextPack(store)) signal(outbox, 'pack', now + PACK_MS)
  }

  function signalPurse(id: string, now: number): void {
    if (laneOf(id)) return
    const purse = book.purses.get(id)!
    if (isUnsettled(purse)) signal(outbox, `settle ${id}`, now + SETTLE_MS)
    if (purse.held === 0n && available(purse) > 0n) signal(outbox, `restore ${id}`, purse.usedAt + IDLE_PURSE_MS)
  }

  async function handle(key: string): Promise<void> {
    const [verb, id] = key.split(' ') as [string, string]
    switch (verb) {
      case 'draw':
        return recallDraw(id)
      case 'settle':
        return settle(id)
      case 'restore':
        return restorePurse(id)
      case 'credit':
        return credit(id as `0x${string}`)
      case 'notify':
        return notify(id as Address)
      case 'pack':
        return exportPacks()
      case 'room':
        return tellDone(id)
      case 'seal':
        return seal(id)
      case 'canary':
        return canaries?.ask(key.slice('canary '.length))
    }
  }

  /** Asks the account for more. It is written down first, so that an answer that is lost with this object is asked for again. */
  async function draw(id: string, targets: { least: bigint; most: bigint }): Promise<void> {
    const { account, key } = parsePurseId(id)
    const inFlight = (change: number) => {
      const count = (drawing.get(id) ?? 0) + change
      if (count > 0) drawing.set(id, count)
      else drawing.delete(id)
      return count
    }
    inFlight(1)
    if (!purseOf(book, id).drawing) record(book, { type: 'drawing', at: Date.now(), purse: id })
    writeMarket(store)
    const ask = () => network.account(account).draw({ cell: book.cell, key, ...targets })
    const total = await ask()
      .then(async (granted) => {
        const others = network.cells.filter((cell) => cell !== book.cell)
        if (granted >= targets.least || others.length === 0) return granted
        // Other cells may have drawn what is missing, and hold no task for it.
        await Promise.all(others.map((cell) => network.market(cell).recall(account)))
        return ask()
      })
      .catch((error: unknown) => {
        if (inFlight(-1) === 0) signal(outbox, `draw ${id}`, Date.now() + SETTLE_MS)
        throw error
      })
    record(book, { type: 'drew', at: Date.now(), purse: id, total, drawing: inFlight(-1) > 0 })
    if (total < targets.least) throw new DomainError('insufficient_funds')
  }

  /** Learns what the account granted by an answer that never came. */
  async function recallDraw(id: string): Promise<void> {
    if (drawing.has(id)) return
    await draw(id, { least: 0n, most: 0n })
    writeMarket(store)
    signalPurse(id, Date.now())
  }

  async function settle(id: string): Promise<void> {
    const purse = book.purses.get(id)!
    const { captured, restored } = purse
    const { account, key } = parsePurseId(id)
    await network.account(account).settle(book.cell, key, captured, restored)
    purse.settled = { captured, restored }
    signalPurse(id, Date.now())
  }

  async function restorePurse(id: string): Promise<void> {
    const purse = book.purses.get(id)!
    const now = Date.now()
    if (purse.held > 0n || now - purse.usedAt < IDLE_PURSE_MS) return signalPurse(id, now)
    await giveBack(purse, now)
  }

  async function giveBack(purse: Purse, now: number): Promise<void> {
    record(book, { type: 'restored', at: now, purse: purse.id, total: purse.restored + available(purse) })
    writeMarket(store)
    await settle(purse.id)
  }

  async function credit(address: `0x${string}`): Promise<void> {
    const provider = book.providers.get(address)!
    const { earned } = provider
    await network.account(address).credit(book.cell, earned)
    provider.credited = earned
  }

  /** Tells an account at once which tasks have ended; those that are in the archive by then are told with their pack. */
  async function notify(address: Address): Promise<void> {
    const ended = [...book.ended.values()].filter(({ spec }) => spec.requester === address && spec.webhook)
    await tellWebhooks(ended.map(archived))
  }

  async function tellWebhooks(tasks: ArchivedTask[]): Promise<void> {
    const notices = new Map<Address, Notice[]>()
    for (const { requester, webhook, view } of tasks) {
      if (webhook === undefined || notified.has(view.id)) continue
      const own = notices.get(requester) ?? []
      own.push({ webhook, task: view.id, event: webhookEvent(view) })
      notices.set(requester, own)
    }
    for (const [requester, own] of notices) {
      await network.account(requester).notify(own)
      for (const { task } of own) notified.add(task)
    }
  }

  /** One after the other: a pack that is on its way need not go twice. */
  function exportPacks(): Promise<void> {
    exporting = exporting.catch(() => {}).then(exportAll)
    return exporting
  }

  async function exportAll(): Promise<void> {
    writeMarket(store)
    pack(store)
    for (let next = nextPack(store); next; next = nextPack(store)) {
      await tellWebhooks(next.tasks)
      await network.history.savePage(book.cell, next.id, await Promise.all(next.tasks.map(logged)))
      markExported(store, next.id)
      for (const { view } of next.tasks) notified.delete(view.id)
    }
  }

  /** How it stands by then: a lease that left meanwhile is waited for, and a room takes a while to open. */
  function tellStatusSoon(id: string): void {
    if (changing.has(id)) return
    changing.add(id)
    setTimeout(() => {
      changing.delete(id)
      const task = openOf(book, id)?.task
      if (!task || task.state.is === 'sealing') return
      tell(task, statusEvent(task, Date.now())).catch((error) => logError('room_failed', error, { task: id }))
    }, STATUS_MS)
  }

  function tell(task: Task, event: WatchEvent): Promise<void> {
    return network.room(task.spec.id).tell(event)
  }

  /** From here on the room takes no more of an attempt that ended, and what it has until then goes to the next one. */
  async function seal(id: string): Promise<void> {
    const state = book.tasks.get(id)?.task.state
    if (state?.is !== 'sealing') return
    const delivered = await network.room(id).seal(state.attempt)
    sealed(book, id, state.attempt, delivered, Date.now())
  }

  async function tellDone(id: string): Promise<void> {
    const task = book.ended.get(id)
    if (task) await tell(task, { type: 'done', task: taskView(task) })
  }

  function publish(): void {
    telling = false
    const changes: Record<string, unknown> = {}
    const snapshot = networkSnapshot(book, Date.now())
    for (const [name, value] of Object.entries(snapshot)) {
      const text = JSON.stringify(value)
      if (feedSent.get(name) !== text) changes[name] = value
      feedSent.set(name, text)
    }
    network
      .feed()
      .tell(book.cell, changes as Partial<NetworkSnapshot>)
      .then((watchers) => {
        feed.watched = watchers > 0
      })
      .catch((error) => {
        feedSent = new Map()
        logError('feed_failed', error, { cell: book.cell })
      })
  }

  const canaries =
    network.canaries &&
    openCanaries(store, network.canaries, {
      signal: (name, at) => signal(outbox, `canary ${name}`, at),
      draw: (id, short) => draw(id, drawTargets(purseOf(book, id), short)),
    })

  deriveSignals(Date.now())

  return {
    outbox,
    /** Tasks whose room wants to know of every change. */
    watched,
    feed,

    drain: () =>
      drain(outbox, {
        now: Date.now,
        handle,
        failed: (key, error, parked) =>
          logError('effect_failed', error, { cell: book.cell, effect: key.split(' ')[0]!, parked }),
      }),

    /** Gives back what was drawn from an account and is not held, for its owner has taken it out. */
    async recall(account: Address): Promise<void> {
      const purses = [...book.purses.values()].filter(({ id }) => parsePurseId(id).account === account && !laneOf(id))
      await Promise.all(purses.filter((purse) => available(purse) > 0n).map((purse) => giveBack(purse, Date.now())))
    },

    /** Draws on the account so that the purse can cover what is short; rejects with insufficient_funds if it cannot. */
    draw: (id: string, short: bigint): Promise<void> => draw(id, drawTargets(purseOf(book, id), short)),

    /** A task changed; `written` events are durable before anybody hears of this. */
    changed(task: Task): void {
      const { spec, state } = task
      const now = Date.now()
      if (isOver(task)) {
        signalPurse(spec.purse, now)
        signal(outbox, 'pack', now + PACK_MS)
        if (spec.webhook) signal(outbox, `notify ${spec.requester}`, now)
        for (const { provider, units } of task.attempts) {
          if (units > 0) signal(outbox, `credit ${provider}`, now + SETTLE_MS)
        }
        canaries?.ended(task, now)
      }
      // Others hear of it when it has gone on.
      if (state.is === 'sealing') return
      const isWatched = watched.has(spec.id)
      if (!isOver(task)) {
        if (isWatched) tellStatusSoon(spec.id)
      } else if (spec.stream || isWatched) {
        watched.delete(spec.id)
        tell(task, { type: 'done', task: taskView(task) }).catch(() => signal(outbox, `room ${spec.id}`, now))
      }
    },

    /** Asks the room of an ended attempt what it delivered; should that fail, the outbox asks again. */
    async seal(id: string): Promise<void> {
      await seal(id).catch((error) => {
        logError('seal_failed', error, { task: id })
        signal(outbox, `seal ${id}`, Date.now() + SEAL_RETRY_MS)
      })
    },

    /** Lets the feed know soon that something changed. @returns when it is told, or null when nothing more will be told for this */
    touch(): Promise<void> | null {
      if (!feed.watched || telling) return null
      telling = true
      return new Promise<void>((resolve) => setTimeout(resolve, FEED_MS)).then(publish)
    },

    /** Somebody more watches, from this snapshot on. Changes are told as those want them who have watched for longer. */
    watchNetwork(snapshot: NetworkSnapshot): void {
      if (feed.watched) return
      feed.watched = true
      feedSent = new Map(Object.entries(snapshot).map(([name, value]) => [name, JSON.stringify(value)]))
    },

    /** A cron run: what was counted for forecasts, all that has ended and the last minutes for the history, and outputs whose time is over. */
    async rollUp(now: number): Promise<void> {
      if (isBinOver(book, now)) {
        record(book, { type: 'binned', at: now, supplies: suppliesOf(book, now) })
        writeMarket(store)
      }
      await exportPacks()
      savedMinute ??= await network.history.readLastMinute(book.cell)
      const from = Math.max(savedMinute + MINUTE_MS, now - MINUTES_SAVED * MINUTE_MS)
      const minutes = minutesUntil(book.stats, now).filter(({ at }) => at >= from && at + MINUTE_MS <= now)
      await network.history.saveMinutes(book.cell, minutes, networkSnapshot(book, now).metrics)
      savedMinute = minutes.at(-1)?.at ?? savedMinute
      dropOld(store, now)
    },
  }
}

export function statusEvent(task: Task, at: number): WatchEvent {
  const attempt = currentAttempt(task)
  const event: WatchEvent = { type: 'status', status: statusOf(task), at }
  return attempt === 0 ? event : { ...event, attempt, provider: task.attempts[attempt - 1]!.provider }
}

/** As it goes into the public log, with the hash of its receipt. */
async function logged(task: ArchivedTask): Promise<HistoryTask> {
  const { view, receipt } = task
  if (!receipt) return historyTask(task)
  const { attempt, signed } = receipt
  const { provider, grantedAt, endedAt } = view.attempts[attempt - 1]!
  const { signature } = signed
  const named = { task: view.id, attempt, provider, grantedAt, acceptedAt: endedAt!, signature }
  return { ...historyTask(task), receipt: await loggedHash(named, sha256) }
}

export const historyTask = ({ requester, view, digest, decisions }: ArchivedTask): HistoryTask => ({
  requester,
  ...recordOf(view, digest, decisions),
})
