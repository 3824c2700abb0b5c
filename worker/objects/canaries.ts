/**
 * The canaries of a market (core/canary.ts). What the operator's own quorums agreed upon is kept, and asked of others by one of the
 * operator's accounts, some time after another task of its class that is drawn by lot has ended.
 */
import { afterwards, type Canary, learn } from '#core/canary.ts'
import { DomainError } from '#core/errors.ts'
import { submit } from '#core/market.ts'
import { classOf } from '#core/matching.ts'
import { purseId } from '#core/purse.ts'
import { decodeRequests, encodeRequests } from '#core/request.ts'
import type { Task } from '#core/task.ts'
import type { CanarySettings } from '../canary-keys.ts'
import { drawLot, newTaskId } from '../random.ts'
import { rowsOf, used } from '../usage.ts'
import type { MarketStore } from './market-store.ts'

/** So long after the task that it follows a canary comes, on average: at once, it would be known by its time. */
const PAUSE_MS = 10_000
/** The oldest are dropped. */
const MOST_KEPT = 500

type Means = {
  /** Has a canary of this class asked for at a time. */
  signal: (name: string, at: number) => void
  /** Fills a purse; rejects when its key may spend no more. */
  draw: (purse: string, short: bigint) => Promise<void>
}

export type Canaries = ReturnType<typeof openCanaries>

export function openCanaries({ book, storage }: MarketStore, { payers, share }: CanarySettings, means: Means) {
  storage.sql.exec(
    'create table if not exists canaries(number integer primary key, id text unique, class text not null, request text not null)',
  )
  const own = new Map(payers.map(({ address, key }) => [purseId(address, key), address]))
  const classes = new Set(
    rowsOf(storage.sql.exec<{ class: string }>('select distinct class from canaries'), used.market).map(
      (row) => row.class,
    ),
  )
  /** How many are to be asked for, by class; what is lost with this object is not missed. */
  const due = new Map<string, number>()

  function write(sql: string, ...values: unknown[]): void {
    used.market.rowsWritten += storage.sql.exec(sql, ...values).rowsWritten
  }

  function keep(canary: Canary): void {
    const name = classOf(canary)
    const request = encodeRequests([canary])
    write(
      'insert into canaries(id, class, request) values(?1, ?2, ?3) on conflict(id) do update set request = ?3',
      canary.canary.id,
      name,
      request,
    )
    write('delete from canaries where number <= (select max(number) from canaries) - ?', MOST_KEPT)
    classes.add(name)
  }

  function find(where: string, value: string): Canary | undefined {
    const [row] = rowsOf(
      storage.sql.exec<{ request: string }>(
        `select request from canaries where ${where} = ? order by random() limit 1`,
        value,
      ),
      used.market,
    )
    return row && (decodeRequests(row.request)[0] as Canary)
  }

  function signalNext(name: string, now: number): void {
    means.signal(name, now - (Math.log(1 - drawLot()) * PAUSE_MS) / due.get(name)!)
  }

  return {
    /** A task has ended: it was a canary, an answer to be known, or one that a canary is to follow. */
    ended(task: Task, now: number): void {
      const { spec } = task
      if (spec.canary) {
        const known = find('id', spec.canary.id)
        const left = known && afterwards(known, task)
        if (left) keep(left)
        else write('delete from canaries where id = ?', spec.canary.id)
      } else if (own.has(spec.purse)) {
        const canary = learn(task)
        if (canary) keep(canary)
      } else {
        const name = classOf(spec)
        if (!classes.has(name) || drawLot() >= share) return
        due.set(name, (due.get(name) ?? 0) + 1)
        signalNext(name, now)
      }
    },

    /** Asks for a canary of this class, as far as there is one, and the money for it. */
    async ask(name: string): Promise<void> {
      const left = (due.get(name) ?? 1) - 1
      due.set(name, left)
      if (left > 0) signalNext(name, Date.now())
      const canary = find('class', name)
      if (!canary) return
      const [purse, requester] = [...own][Math.floor(drawLot() * own.size)]!
      const requests = [{ ...canary, lot: drawLot() }]
      const newId = (at: number) => newTaskId(book.cell, at, book.occupancy.tasks)
      const tryOnce = () => submit(book, { requester, purse, requests, newId }, Date.now())
      try {
        const result = tryOnce()
        if (!('short' in result)) return
        await means.draw(purse, result.short)
        tryOnce()
      } catch (error) {
        // The allowance is used up, or there is nobody left to ask: that is what bounds them.
        if (!(error instanceof DomainError)) throw error
      }
    },
  }
}
