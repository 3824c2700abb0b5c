/**
 * Where a market writes down its book: a journal of events, many to a row; now and then a snapshot, after which the journal's
 * rows are used again, with pages of tasks that wait, each written once; and an archive of ended tasks, packed many to a row.
 * Recovery is snapshot, then journal; a page is read when one of its tasks is asked for.
 */
import { apply, type Book, type BookEvent, createBook } from '#core/book.ts'
import { decisionsOf } from '#core/decision.ts'
import type { Accepted } from '#core/idempotency.ts'
import { type PageTask, turnPages } from '#core/pages.ts'
import type { DecisionView } from '#core/protocol/decision.ts'
import type { TaskView } from '#core/protocol/task.ts'
import type { Address } from '#core/protocol/values.ts'
import { basisOf, type Exhibit, exhibitsOf, type ReceiptBasis } from '#core/receipt.ts'
import { headOf, partsOf, restore, type SnapshotHead, type SnapshotPart, sizeOf } from '#core/snapshot.ts'
import type { Task } from '#core/task.ts'
import { makeTaskId, parseTaskId } from '#core/task-id.ts'
import { taskView } from '#core/views.ts'
import { rowsOf, used } from '../usage.ts'

/** Of a row's 2 MB: estimates are generous, but one event may itself be large. */
const ROW_BYTES = 1_000_000
const PACK_TASKS = 250
const PACK_KEYS = 250
/** So many stay in memory until they are exported; more are read again. */
const PACKS_KEPT = 8
/** A snapshot is written when the journal after the last has so many rows, or is as large as what a snapshot has beside pages. */
const SNAPSHOT_ROWS = 4_000
const LEAST_JOURNAL_BYTES = 4_000_000
const RETENTION_MS = 24 * 3_600_000
const DAY_MS = 24 * 3_600_000

/** `bytes` of its events; none in rows of before they were counted. */
type JournalRow = { number: number; events: BookEvent[]; bytes?: number }
type SnapshotMeta = { head: SnapshotHead; chunks: number; journal: number }
export type ArchivedTask = {
  requester: Address
  view: TaskView
  webhook?: string
  /** Asked for after the name of its model. */
  digest?: string
  receipt?: ReceiptBasis
  exhibits?: Exhibit[]
  /** Those of its attempts that were noted, as they were given out. */
  decisions?: DecisionView[]
}

export type MarketStore = {
  storage: DurableObjectStorage
  book: Book
  /** Number of the last journal row written, and of the last one that the snapshot holds. */
  row: number
  base: number
  /** Of the journal after the snapshot, and of the snapshot without its pages. */
  journalBytes: number
  snapshotBytes: number
  /** Ids of the last pack, and of the last one that the history has; the first that it does not have. */
  lastPack: number
  exported: number
  packed: Map<number, ArchivedTask[]>
}

/** Reads the market back, or begins a new one. */
export function loadMarket(storage: DurableObjectStorage, cell: string, now: number): MarketStore {
  storage.sql.exec(`create table if not exists archive(
    id integer primary key, first integer not null, last integer not null, journal integer not null,
    exported integer not null default 0, tasks text not null)`)
  // By day first, so that a day's keys are dropped without reading the others.
  storage.sql.exec(`create table if not exists keys(
    day integer not null, key text not null, at integer not null, body text not null, tasks text not null,
    primary key(day, key)) without rowid`)
  const meta = storage.kv.get<SnapshotMeta>('snapshot')
  const chunks = Array.from({ length: meta?.chunks ?? 0 }, (_, i) => storage.kv.get<SnapshotPart[]>(`part:${i}`)!)
  const pageOf = (number: number) => storage.kv.get<PageTask[]>(`page:${number}`)!
  const book = meta ? restore(meta.head, chunks.flat(), now, pageOf) : createBook(cell)
  const dropped = storage.kv.get<number>('dropped') ?? 0
  const [last] = storage.sql.exec<{ id: number }>('select id from archive order by id desc limit 1')
  const [exported] = storage.sql.exec<{ id: number }>(
    'select id from archive where exported = 1 order by id desc limit 1',
  )
  const store: MarketStore = {
    storage,
    book,
    row: meta?.journal ?? 0,
    base: meta?.journal ?? 0,
    journalBytes: 0,
    snapshotBytes: 0,
    lastPack: Math.max(last?.id ?? 0, dropped),
    exported: Math.max(exported?.id ?? 0, dropped),
    packed: new Map(),
  }
  const packed = storage.sql.exec<{ row: number | null }>('select max(journal) as row from archive').one().row ?? 0
  for (const { number, events, bytes = 0 } of journalAfter(storage, store.base)) {
    for (const event of events) apply(book, event)
    store.row = number
    store.journalBytes += bytes
    // Everything that had ended by then is in the archive.
    if (number <= packed) book.ended.clear()
  }
  book.news = { ended: [], changed: [], providers: new Set() }
  return store
}

/** Behind the rows that were written since the snapshot are those of before it. */
function* journalAfter(storage: DurableObjectStorage, base: number): Generator<JournalRow> {
  for (let place = 1; ; place++) {
    const row = storage.kv.get<JournalRow>(`journal:${place}`)
    if (row?.number !== base + place) return
    yield row
  }
}

/** Writes down all that has happened since the last call. Synchronous: the platform holds every answer until it is durable. */
export function writeMarket(store: MarketStore): void {
  const { book } = store
  const events = book.log
  if (events.length > 0) {
    book.log = []
    for (const { items, bytes } of bySize(events, sizeOf)) {
      store.row++
      put(store, `journal:${store.row - store.base}`, { number: store.row, events: items, bytes } satisfies JournalRow)
      store.journalBytes += bytes
    }
  }
  if (book.ended.size >= PACK_TASKS) pack(store)
  if (book.keys.size >= PACK_KEYS) packKeys(store)
  const isLong = store.journalBytes >= Math.max(LEAST_JOURNAL_BYTES, store.snapshotBytes)
  if (store.row - store.base >= SNAPSHOT_ROWS || isLong) snapshot(store)
}

/** Moves ended tasks from memory to the archive. */
export function pack(store: MarketStore): void {
  const { book, storage, row } = store
  if (book.ended.size === 0) return
  const size = ({ state, deliveries, attempts }: Task) => sizeOf(state) + sizeOf(deliveries) + sizeOf(attempts) + 1000
  const packs = [...bySize([...book.ended.values()], size)]
  storage.transactionSync(() => {
    for (const { items: tasks } of packs) {
      const times = tasks.map(({ spec }) => spec.createdAt)
      const packed = tasks.map(archived)
      store.lastPack++
      storage.sql.exec(
        'insert into archive(id, first, last, journal, tasks) values(?, ?, ?, ?, ?)',
        store.lastPack,
        Math.min(...times),
        Math.max(...times),
        row,
        JSON.stringify(packed),
      )
      if (store.packed.size < PACKS_KEPT) store.packed.set(store.lastPack, packed)
      used.market.rowsWritten++
    }
  })
  book.ended.clear()
}

/** Moves what was accepted under idempotency keys from memory to a table; what recovery brings back once more stays as it is there. */
function packKeys({ book, storage }: MarketStore): void {
  storage.transactionSync(() => {
    for (const [key, { body, tasks, at }] of book.keys) {
      const { rowsWritten } = storage.sql.exec(
        'insert or ignore into keys(day, key, at, body, tasks) values(?, ?, ?, ?, ?)',
        dayOf(at),
        key,
        at,
        body,
        tasks.join(' '),
      )
      used.market.rowsWritten += rowsWritten
    }
  })
  book.keys.clear()
}

/** What was accepted under an idempotency key, today or yesterday. */
export function findKey({ book, storage }: MarketStore, key: string, now: number): Accepted | undefined {
  const recent = book.keys.get(key)
  if (recent) return recent
  const [row] = rowsOf(
    storage.sql.exec<{ at: number; body: string; tasks: string }>(
      'select at, body, tasks from keys where day in (?1, ?1 - 1) and key = ?2 order by day desc limit 1',
      dayOf(now),
      key,
    ),
    used.market,
  )
  return row && { ...row, tasks: row.tasks.split(' ') }
}

const dayOf = (time: number): number => Math.floor(time / DAY_MS)

/** Writes the whole book and lets the journal begin again over its old rows. */
export function snapshot(store: MarketStore, pageTasks?: number): void {
  const { book, storage } = store
  pack(store)
  packKeys(store)
  const { written, dropped } = turnPages(book, pageTasks)
  const head = headOf(book)
  const chunks = [...bySize([...partsOf(book)], sizeOf)]
  storage.transactionSync(() => {
    for (const number of dropped) drop(store, `page:${number}`)
    for (const { number, tasks } of written) put(store, `page:${number}`, tasks)
    for (const [i, { items }] of chunks.entries()) put(store, `part:${i}`, items)
    put(store, 'snapshot', { head, chunks: chunks.length, journal: store.row } satisfies SnapshotMeta)
  })
  store.base = store.row
  store.journalBytes = 0
  store.snapshotBytes = sizeOf(head) + chunks.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Ended tasks from the archive, by id. Those asked for were created together, and packs are found by when that was. */
export function findArchived({ storage }: MarketStore, ids: string[]): Map<string, ArchivedTask> {
  const found = new Map<string, ArchivedTask>()
  const parsed = parseTaskId(ids[0] ?? '')
  if (!parsed) return found
  const { cell, createdAt } = parsed
  const wanted = new Set(ids)
  const packs = storage.sql.exec<{ tasks: string }>(
    'select tasks from archive where first <= ?1 and last >= ?1',
    createdAt,
  )
  for (const { tasks } of packs) {
    if (!tasks.includes(makeTaskId(cell, createdAt, ''))) continue
    for (const task of JSON.parse(tasks) as ArchivedTask[]) if (wanted.has(task.view.id)) found.set(task.view.id, task)
    if (found.size === wanted.size) break
  }
  used.market.rowsRead += packs.rowsRead
  return found
}

/** The oldest pack that the history does not have yet. */
export function nextPack({ storage, exported, packed }: MarketStore): { id: number; tasks: ArchivedTask[] } | null {
  const [kept] = packed
  if (kept?.[0] === exported + 1) return { id: kept[0], tasks: kept[1] }
  const [pack] = rowsOf(
    storage.sql.exec<{ id: number; tasks: string }>(
      'select id, tasks from archive where id > ? order by id limit 1',
      exported,
    ),
    used.market,
  )
  return pack ? { id: pack.id, tasks: JSON.parse(pack.tasks) as ArchivedTask[] } : null
}

/** The packs that the history does not have yet. */
export function unexported({ storage, exported }: MarketStore): ArchivedTask[] {
  const packs = rowsOf(
    storage.sql.exec<{ tasks: string }>('select tasks from archive where id > ?', exported),
    used.market,
  )
  return packs.flatMap(({ tasks }) => JSON.parse(tasks) as ArchivedTask[])
}

export function markExported(store: MarketStore, id: number): void {
  store.storage.sql.exec('update archive set exported = 1 where id = ?', id)
  used.market.rowsWritten++
  store.exported = id
  store.packed.delete(id)
}

/** Drops outputs and idempotency keys whose time is over. A pack's id is not given again, for the history knows it by that. */
export function dropOld({ storage }: MarketStore, now: number): void {
  const old = rowsOf(
    storage.sql.exec<{ id: number }>(
      'delete from archive where exported = 1 and last < ? returning id',
      now - RETENTION_MS,
    ),
    used.market,
  )
  if (old.length > 0) storage.kv.put('dropped', Math.max(...old.map(({ id }) => id)))
  const keys = storage.sql.exec('delete from keys where day < ?', dayOf(now) - 1)
  used.market.rowsWritten += old.length + Number(old.length > 0) + keys.rowsWritten
}

export function archived(task: Task): ArchivedTask {
  const { requester, webhook, variant } = task.spec
  const receipt = basisOf(task)
  const exhibits = exhibitsOf(task)
  const decisions = decisionsOf(task)
  return {
    requester,
    view: taskView(task),
    ...(webhook !== undefined && { webhook }),
    ...(variant?.digest && { digest: variant.digest }),
    ...(receipt && { receipt }),
    ...(exhibits && { exhibits }),
    ...(decisions.length > 0 && { decisions }),
  }
}

function put(store: MarketStore, key: string, value: unknown): void {
  store.storage.kv.put(key, value)
  used.market.rowsWritten++
}

function drop(store: MarketStore, key: string): void {
  store.storage.kv.delete(key)
  used.market.rowsWritten++
}

/** Cuts a list into pieces that each fit a row. */
function* bySize<T>(items: T[], size: (item: T) => number): Generator<{ items: T[]; bytes: number }> {
  let piece: T[] = []
  let bytes = 0
  for (const item of items) {
    const more = size(item)
    if (piece.length > 0 && bytes + more > ROW_BYTES) {
      yield { items: piece, bytes }
      piece = []
      bytes = 0
    }
    piece.push(item)
    bytes += more
  }
  if (piece.length > 0) yield { items: piece, bytes }
}
