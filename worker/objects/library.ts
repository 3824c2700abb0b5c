import { DurableObject } from 'cloudflare:workers'
import { type BatchView, type CreateBatch, FILE_LIMITS, type FileView, pageName } from '#core/batch.ts'
import { DomainError } from '#core/errors.ts'
import { type Address, LIMITS } from '#core/protocol/values.ts'
import { parseTaskId } from '#core/task-id.ts'
import { randomHex } from '../auth.ts'
import { cellFor, inCell } from '../cells.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import { idempotencyOf } from '../idempotency.ts'
import { logError } from '../log.ts'
import { fromJson, outcomeOf } from '../outcome.ts'
import { encodeSubmission } from '../submission.ts'
import { rowsOf, used } from '../usage.ts'
import { type BatchIo, type BatchState, isOver, type Runs, stepBatch } from './batch-run.ts'

const UPLOAD_MS = 3_600_000
const IDLE_MS = 500
const RESUME_MS = 10_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 60_000

type FileRow = { id: string; created: number; filename: string; purpose: string; bytes: number; open: number }

/** An account's files, and the batches that read and write them. The content is in R2; how a batch goes is in batch-run.ts. */
export class Library extends DurableObject<Env> {
  private readonly network: Network
  private readonly owner: Address
  /** By cell. */
  private readonly lines = new Map<string, ReturnType<Network['ownLine']>>()
  /** Batches that are not over. */
  private readonly active = new Map<string, BatchState>()
  private readonly runs: Runs = new Map()
  private failures = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.network = networkOf(env)
    this.owner = ctx.id.name as Address
    ctx.storage.sql.exec(`create table if not exists files(
      id text primary key, created integer not null, filename text not null, purpose text not null,
      bytes integer not null, open integer not null) without rowid`)
    ctx.storage.sql.exec(`create table if not exists batches(
      id text primary key, created integer not null, over integer not null, state text not null) without rowid`)
    for (const { state } of this.rows<{ state: string }>('select state from batches where over = 0')) {
      const batch = JSON.parse(state) as BatchState
      this.active.set(batch.id, batch)
    }
    // Whatever ended its last life, its alarm may be far or lost.
    if (this.active.size > 0) void ctx.blockConcurrencyWhile(() => this.arm(0))
  }

  /* Files */

  /** Begins an upload: listed first, so that what is interrupted is swept. @returns its id */
  openFile() {
    return outcomeOf(async () => {
      const { used } = this.rows<{ used: number }>('select coalesce(sum(bytes), 0) as used from files')[0]!
      if (used >= FILE_LIMITS.accountBytes) throw new DomainError('file_quota_exceeded')
      const id = `file-${randomHex(12)}`
      this.write('insert into files values(?, ?, ?, ?, 0, 1)', id, Date.now(), '', 'batch')
      await this.arm(UPLOAD_MS)
      return id
    })
  }

  closeFile(id: string, filename: string, bytes: number) {
    return outcomeOf(() => {
      this.write('update files set filename = ?, bytes = ?, open = 0 where id = ?', filename, bytes, id)
      const file = this.file(id)
      if (!file) throw new DomainError('file_not_found', { detail: 'the upload took too long' })
      return file
    })
  }

  file(id: string): FileView | null {
    const [row] = this.rows<FileRow>('select * from files where id = ? and open = 0', id)
    return row ? fileView(row) : null
  }

  /** Latest first. */
  files(): FileView[] {
    return this.rows<FileRow>('select * from files where open = 0 order by created desc, id').map(fileView)
  }

  /** Drops a file; one that is not there is no fault. */
  removeFile(id: string) {
    return outcomeOf(async () => {
      for (const { input } of this.active.values()) if (input === id) throw new DomainError('file_in_use')
      await this.network.files.remove(this.owner, id)
      this.write('delete from files where id = ?', id)
    })
  }

  /* Batches */

  createBatch(key: string, { input_file_id, endpoint, metadata }: CreateBatch) {
    return outcomeOf(async () => {
      if (!this.file(input_file_id)) throw new DomainError('file_not_found', { pointer: '/input_file_id' })
      const batch: BatchState = {
        id: `batch_${randomHex(12)}`,
        key,
        input: input_file_id,
        endpoint,
        metadata: metadata ?? null,
        status: 'validating',
        createdAt: Date.now(),
        inProgressAt: null,
        cancellingAt: null,
        endedAt: null,
        errors: [],
        total: 0,
        completed: 0,
        failed: 0,
        offset: 0,
        line: 0,
        nextSlice: 0,
        sliceLines: LIMITS.batchTasks,
        slices: [],
        bytes: { output: 0, errors: 0 },
        exhausted: null,
      }
      this.active.set(batch.id, batch)
      this.save(batch)
      await this.arm(0)
      return batchView(batch)
    })
  }

  batch(id: string): BatchView | null {
    const batch = this.stateOf(id)
    return batch && batchView(batch)
  }

  /** Latest first. */
  batches(): BatchView[] {
    const rows = this.rows<{ state: string }>('select state from batches order by created desc, id')
    return rows.map(({ state }) => batchView(JSON.parse(state) as BatchState))
  }

  cancelBatch(id: string) {
    return outcomeOf(async () => {
      const batch = this.active.get(id)
      if (!batch) throw new DomainError(this.stateOf(id) ? 'batch_over' : 'batch_not_found')
      if (batch.status !== 'cancelling') {
        Object.assign(batch, { status: 'cancelling', cancellingAt: Date.now() })
        this.save(batch)
      }
      await this.arm(0)
      return batchView(batch)
    })
  }

  /** A step of every batch, then the next alarm. */
  override async alarm(): Promise<void> {
    // Should this life of the object end in the middle, the next one goes on.
    if (this.active.size > 0) await this.arm(RESUME_MS)
    const steps = await Promise.all([...this.active.values()].map((batch) => this.step(batch)))
    await this.sweep()
    const failed = steps.includes('failed')
    this.failures = failed ? this.failures + 1 : 0
    if (this.active.size === 0) return
    const retry = Math.min(FIRST_RETRY_MS * 2 ** this.failures, LAST_RETRY_MS)
    await this.arm(steps.includes('on') ? 0 : failed ? retry : IDLE_MS)
  }

  private async step(batch: BatchState): Promise<'on' | 'waits' | 'failed'> {
    try {
      return (await stepBatch(batch, this.runs, this.io(batch))) ? 'on' : 'waits'
    } catch (error) {
      logError('batch_step_failed', error, { batch: batch.id })
      return 'failed'
    }
  }

  private io(batch: BatchState): BatchIo {
    const { files } = this.network
    const { output, errors } = outputIds(batch)
    return {
      now: Date.now,
      page: (number) => files.page(this.owner, batch.input, pageName(number)),
      write: (file, page, text) => files.put(this.owner, file === 'output' ? output : errors, page, text),
      submit: async (requests, name) => {
        const encoded = await encodeSubmission(requests)
        const idempotency = await idempotencyOf(name, this.owner, encoded)
        const cell = await cellFor(this.network, this.owner, requests)
        return fromJson(
          await inCell(this.network, this.owner, cell, idempotency, (place) =>
            this.lineTo(place).submit(this.owner, batch.key, encoded, 0, idempotency),
          ),
        )
      },
      read: async (task, waitMs) => fromJson(await this.lineTo(parseTaskId(task)!.cell).read(this.owner, task, waitMs)),
      cancel: (task) => this.lineTo(parseTaskId(task)!.cell).cancel(this.owner, task),
      save: (changed) => this.save(changed),
    }
  }

  private lineTo(cell: string): ReturnType<Network['ownLine']> {
    const line = this.lines.get(cell) ?? this.network.ownLine(cell)
    this.lines.set(cell, line)
    return line
  }

  private save(batch: BatchState): void {
    const over = isOver(batch)
    this.ctx.storage.transactionSync(() => {
      this.write(
        'insert into batches values(?, ?, ?, ?) on conflict do update set over = excluded.over, state = excluded.state',
        batch.id,
        batch.createdAt,
        Number(over),
        JSON.stringify(batch),
      )
      if (!over) return
      const ids = outputIds(batch)
      for (const file of ['output', 'errors'] as const) {
        if (batch.bytes[file] === 0) continue
        const name = `${batch.id}_${file}.jsonl`
        const row = [ids[file], batch.endedAt!, name, 'batch_output', batch.bytes[file]]
        this.write('insert or ignore into files values(?, ?, ?, ?, ?, 0)', ...row)
      }
    })
    if (over) this.active.delete(batch.id)
  }

  private stateOf(id: string): BatchState | null {
    const [row] = this.rows<{ state: string }>('select state from batches where id = ?', id)
    return this.active.get(id) ?? (row ? (JSON.parse(row.state) as BatchState) : null)
  }

  /** Uploads that were left in the middle. */
  private async sweep(): Promise<void> {
    const left = this.rows<{ id: string }>(
      'select id from files where open = 1 and created <= ?',
      Date.now() - UPLOAD_MS,
    )
    for (const { id } of left) await this.removeFile(id)
    if (this.rows('select id from files where open = 1 limit 1').length > 0) await this.arm(UPLOAD_MS)
  }

  private async arm(ms: number): Promise<void> {
    const at = Date.now() + ms
    const armed = await this.ctx.storage.getAlarm()
    if (armed !== null && armed <= at) return
    await this.ctx.storage.setAlarm(at)
    used.library.rowsWritten++
  }

  private rows<T extends Record<string, SqlStorageValue>>(query: string, ...values: (string | number)[]): T[] {
    return rowsOf(this.ctx.storage.sql.exec<T>(query, ...values), used.library)
  }

  private write(statement: string, ...values: (string | number)[]): void {
    used.library.rowsWritten += this.ctx.storage.sql.exec(statement, ...values).rowsWritten
  }
}

/** Where a batch writes, known from its own id. */
function outputIds({ id }: BatchState) {
  const tail = id.slice('batch_'.length)
  return { output: `file-${tail}-output`, errors: `file-${tail}-errors` }
}

const seconds = (ms: number): number => Math.floor(ms / 1000)
const secondsOrNull = (ms: number | null): number | null => (ms === null ? null : seconds(ms))

function fileView({ id, created, filename, purpose, bytes }: FileRow): FileView {
  return {
    id,
    object: 'file',
    bytes,
    created_at: seconds(created),
    filename,
    purpose: purpose as FileView['purpose'],
    status: 'processed',
  }
}

function batchView(batch: BatchState): BatchView {
  const { status, errors, total, completed, failed, bytes } = batch
  const ids = outputIds(batch)
  const endedAs = (as: BatchView['status']) => (status === as ? secondsOrNull(batch.endedAt) : null)
  return {
    id: batch.id,
    object: 'batch',
    endpoint: batch.endpoint,
    errors: errors.length > 0 ? { object: 'list', data: errors } : null,
    input_file_id: batch.input,
    completion_window: '24h',
    status,
    output_file_id: isOver(batch) && bytes.output > 0 ? ids.output : null,
    error_file_id: isOver(batch) && bytes.errors > 0 ? ids.errors : null,
    created_at: seconds(batch.createdAt),
    in_progress_at: secondsOrNull(batch.inProgressAt),
    expires_at: seconds(batch.createdAt + FILE_LIMITS.batchMs),
    completed_at: endedAs('completed'),
    failed_at: endedAs('failed'),
    expired_at: endedAs('expired'),
    cancelling_at: secondsOrNull(batch.cancellingAt),
    cancelled_at: endedAs('cancelled'),
    request_counts: { total, completed, failed },
    metadata: batch.metadata,
  }
}
