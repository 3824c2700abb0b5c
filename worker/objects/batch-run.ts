/**
 * How a batch is worked off: its file is read slice by slice, every slice is submitted to the market under an idempotency key of
 * its own, and its answers are written as pages of the output and error files. The state is saved before a slice is submitted and
 * after its pages are written; whatever happens in between, doing the step again submits the same tasks and writes the same pages.
 */
import {
  answerLine,
  type BatchView,
  type Endpoint,
  FILE_LIMITS,
  faultOf,
  givenUpLine,
  type Line,
  type LineError,
  lineError,
  lineRequest,
  outputEstimate,
  pageName,
  parseLine,
  refusalLine,
} from '#core/batch.ts'
import { DomainError, type ErrorCode, type ErrorDetails } from '#core/errors.ts'
import { isEnded, type TaskView } from '#core/protocol/task.ts'
import { LIMITS } from '#core/protocol/values.ts'
import type { TaskRequest } from '#core/request.ts'
import { base64Floats } from '../base64.ts'
import { joined } from '../multipart.ts'

/** Bounds of a slice: what it reads and, about, what it writes must fit memory. */
const SLICE_BYTES = 4 * 1024 * 1024
const SLICE_OUTPUT = 16 * 1024 * 1024
const SLICES_OPEN = 2
const READS_AT_ONCE = 50
const READ_MS = 5_000
const ERRORS_SHOWN = 100

type GivenUp = 'batch_cancelled' | 'batch_expired'
type Refusal = { code: ErrorCode; details: ErrorDetails }

/** Lines `from` to `to` (bytes of the input). `refused` by their number within the slice. */
type Slice = {
  number: number
  line: number
  from: number
  to: number
  lines: number
  deadlineSeconds: number
  refused: { index: number; why: Refusal }[]
  givenUp: GivenUp | null
}

export type BatchState = {
  id: string
  /** Of the API key that pays. */
  key: string
  input: string
  endpoint: Endpoint
  metadata: Record<string, string> | null
  status: BatchView['status']
  createdAt: number
  inProgressAt: number | null
  cancellingAt: number | null
  endedAt: number | null
  errors: LineError[]
  total: number
  completed: number
  failed: number
  /** Where the next slice begins, in bytes and in lines. */
  offset: number
  line: number
  nextSlice: number
  /** Lines of the next slice: fewer while the account cannot hold the price of more. */
  sliceLines: number
  slices: Slice[]
  bytes: { output: number; errors: number }
  /** Why nothing more can be submitted: the account cannot pay for a single line. */
  exhausted: Refusal | null
}

export type BatchIo = {
  now: () => number
  /** A page of the input. */
  page: (number: number) => Promise<Uint8Array | null>
  write: (file: 'output' | 'errors', page: string, text: string) => Promise<void>
  /** The same key and requests give the same tasks. @throws DomainError */
  submit: (requests: TaskRequest[], key: string) => Promise<TaskView[]>
  read: (task: string, waitMs: number) => Promise<TaskView>
  cancel: (task: string) => Promise<unknown>
  save: (batch: BatchState) => void
}

/** A line of a slice that runs: refused, or a task. */
type Item = { line: Line; request: TaskRequest | null; refusal: DomainError | null; task: string | null }
/** A slice under way. In memory only: built again from the file and the market after a restart. */
type Run = {
  items: Item[]
  at: number
  output: string
  errors: string
  pages: number
  written: { output: number; errors: number }
  completed: number
  cancelled: boolean
}
export type Runs = Map<string, Run>

export const isOver = ({ status }: BatchState): boolean =>
  status === 'failed' || status === 'completed' || status === 'cancelled' || status === 'expired'

/** Does the next bit of a batch. @returns whether it got anywhere */
export async function stepBatch(batch: BatchState, runs: Runs, io: BatchIo): Promise<boolean> {
  if (batch.status === 'validating') return validate(batch, io)
  const givenUp = givenUpBy(batch, io.now())
  const next = batch.slices.length < SLICES_OPEN ? await openSlice(batch, givenUp, runs, io) : 'waits'
  if (next === 'opened') return true
  const [slice] = batch.slices
  // Without any, what waits is read again at once, in fewer lines.
  if (!slice) return next === 'waits' || finish(batch, givenUp, io)
  const run = runs.get(nameOf(batch, slice)) ?? (await begin(batch, slice, runs, io))
  return run !== null && collect(batch, slice, run, givenUp, runs, io)
}

/** Names a slice among all; also the idempotency key of its submission. */
const nameOf = (batch: BatchState, slice: Slice): string => `${batch.id}:${slice.number}`

function givenUpBy(batch: BatchState, now: number): GivenUp | null {
  if (batch.status === 'cancelling') return 'batch_cancelled'
  return now >= batch.createdAt + FILE_LIMITS.batchMs ? 'batch_expired' : null
}

/** Reads the whole file once: a file that is no batch costs nothing. */
async function validate(batch: BatchState, io: BatchIo): Promise<boolean> {
  const ids = new Set<string>()
  let number = 0
  const fault = (error: DomainError) => {
    if (batch.errors.length < ERRORS_SHOWN) batch.errors.push(lineError(error, number))
  }
  try {
    for await (const { text } of linesFrom(io.page, 0)) {
      number++
      if (text.trim() === '') continue
      batch.total++
      try {
        const { custom_id } = parseLine(text, batch.endpoint)
        if (ids.has(custom_id))
          throw new DomainError('invalid_request', { detail: 'custom_id is used twice', pointer: '/custom_id' })
        ids.add(custom_id)
      } catch (error) {
        if (!(error instanceof DomainError)) throw error
        fault(error)
      }
    }
  } catch (error) {
    if (!(error instanceof DomainError)) throw error
    number++
    fault(error)
  }
  if (batch.total === 0) fault(new DomainError('invalid_request', { detail: 'the file has no lines' }))
  if (batch.total > FILE_LIMITS.batchLines)
    fault(new DomainError('invalid_request', { detail: `at most ${FILE_LIMITS.batchLines} lines` }))
  if (batch.status !== 'validating') return true
  if (batch.errors.length > 0) Object.assign(batch, { status: 'failed', endedAt: io.now(), total: 0 })
  else Object.assign(batch, { status: 'in_progress', inProgressAt: io.now() })
  io.save(batch)
  return true
}

/** Takes the next lines of the file for a slice, writes it down and submits it; it waits when there is no money for it yet. */
async function openSlice(
  batch: BatchState,
  givenUp: GivenUp | null,
  runs: Runs,
  io: BatchIo,
): Promise<'opened' | 'waits' | 'end'> {
  const left = Math.floor((batch.createdAt + FILE_LIMITS.batchMs - io.now()) / 1000)
  const slice: Slice = {
    number: batch.nextSlice,
    line: batch.line,
    from: batch.offset,
    to: batch.offset,
    lines: 0,
    deadlineSeconds: Math.max(1, left),
    refused: [],
    givenUp,
  }
  let output = 0
  for await (const { text, end } of linesFrom(io.page, batch.offset)) {
    if (text.trim() !== '') {
      const more = estimate(text, batch, slice)
      const full = end - slice.from > SLICE_BYTES || output + more > SLICE_OUTPUT
      if (slice.lines >= batch.sliceLines || (slice.lines > 0 && full)) break
      output += more
      slice.lines++
    }
    slice.to = end
  }
  if (slice.lines === 0) return 'end'
  batch.slices.push(slice)
  batch.nextSlice++
  batch.offset = slice.to
  batch.line += slice.lines
  io.save(batch)
  return (await begin(batch, slice, runs, io)) ? 'opened' : 'waits'
}

function estimate(text: string, batch: BatchState, slice: Slice): number {
  try {
    return outputEstimate(lineRequest(parseLine(text, batch.endpoint), slice.deadlineSeconds))
  } catch {
    return 1024
  }
}

/** Submits a slice, or learns what became of it when it was submitted before. @returns null when it must wait for money */
async function begin(batch: BatchState, slice: Slice, runs: Runs, io: BatchIo): Promise<Run | null> {
  const items = await itemsOf(batch, slice, io)
  for (;;) {
    const wanted = items.filter(({ request }) => request !== null)
    try {
      const tasks = wanted.length === 0 ? [] : await io.submit(requestsOf(wanted), nameOf(batch, slice))
      for (const [i, { id }] of tasks.entries()) wanted[i]!.task = id
      break
    } catch (error) {
      if (!(error instanceof DomainError)) throw error
      const index = /^\/(\d+)\//.exec(error.details.pointer ?? '')?.[1]
      if (index !== undefined) refuseAlike(slice, items, Number(index), error)
      else if (error.code !== 'insufficient_funds') throw error
      else if (batch.slices[0] !== slice || slice.lines > 1) return giveBack(batch, slice, io)
      else batch.exhausted = { code: error.code, details: error.details }
      if (batch.exhausted) for (const item of wanted) refuse(item, error)
      io.save(batch)
    }
  }
  const written = { output: 0, errors: 0 }
  const run: Run = { items, at: 0, output: '', errors: '', pages: 0, written, completed: 0, cancelled: false }
  runs.set(nameOf(batch, slice), run)
  batch.sliceLines = Math.min(LIMITS.batchTasks, batch.sliceLines * 2)
  return run
}

/** The lines of a slice as they were read before, with all that is known to be wrong with them. */
async function itemsOf(batch: BatchState, slice: Slice, io: BatchIo): Promise<Item[]> {
  const items: Item[] = []
  for await (const { text, end } of linesFrom(io.page, slice.from)) {
    if (end > slice.to) break
    if (text.trim() === '') continue
    const line = parseLine(text, batch.endpoint)
    const item: Item = { line, request: null, refusal: null, task: null }
    try {
      const why = batch.exhausted
      if (why) throw new DomainError(why.code, why.details)
      if (slice.givenUp === null) item.request = lineRequest(line, slice.deadlineSeconds)
    } catch (error) {
      if (!(error instanceof DomainError)) throw error
      item.refusal = error
    }
    items.push(item)
  }
  for (const { index, why } of slice.refused) refuse(items[index]!, new DomainError(why.code, why.details))
  return items.map((item, i) => (item.request ? { ...item, request: { ...item.request, pointer: `/${i}` } } : item))
}

const requestsOf = (items: Item[]): TaskRequest[] => items.map(({ request }) => request!)

/** What the market refuses one request for, it would refuse others for that want the same. */
function refuseAlike(slice: Slice, items: Item[], index: number, error: DomainError): void {
  const demand = ({ kind, model, variant, minContext }: TaskRequest) =>
    JSON.stringify([kind, model, variant, minContext])
  const refused = demand(items[index]!.request!)
  const { pointer, ...rest } = error.details
  const details = { ...rest, ...(pointer && { pointer: pointer.replace(/^\/\d+/, '') }) }
  for (const [i, item] of items.entries()) {
    if (!item.request || demand(item.request) !== refused) continue
    slice.refused.push({ index: i, why: { code: error.code, details } })
    refuse(item, new DomainError(error.code, details))
  }
}

function refuse(item: Item, error: DomainError): void {
  item.request = null
  item.refusal = error
}

/** Its lines are read again later, fewer at a time: tasks that end give back what was held for them. */
function giveBack(batch: BatchState, slice: Slice, io: BatchIo): null {
  batch.slices = batch.slices.filter((other) => other !== slice)
  batch.offset = slice.from
  batch.line = slice.line
  batch.nextSlice = slice.number
  batch.sliceLines = Math.max(1, Math.ceil(slice.lines / 2))
  io.save(batch)
  return null
}

/** Writes the answers of a slice in order, as far as its tasks have ended. @returns whether it got anywhere */
async function collect(
  batch: BatchState,
  slice: Slice,
  run: Run,
  givenUp: GivenUp | null,
  runs: Runs,
  io: BatchIo,
): Promise<boolean> {
  if (givenUp !== null && !run.cancelled) {
    await Promise.all(run.items.map(({ task }) => task && io.cancel(task)))
    run.cancelled = true
  }
  const some = run.items.slice(run.at, run.at + READS_AT_ONCE)
  const views = await Promise.all(some.map(({ task }) => task && io.read(task, READ_MS)))
  if (views.some((view) => view && !isEnded(view.status))) return false
  for (const [i, item] of some.entries()) {
    const view = views[i] || null
    const id = `batch_req_${view?.id ?? `${batch.id}_${slice.line + run.at + i}`}`
    const fault = item.refusal ?? (view && faultOf(view))
    const gone = view?.status === 'cancelled' ? (givenUp ?? slice.givenUp) : slice.givenUp
    if (gone) run.errors += givenUpLine(id, item.line, gone)
    else if (fault) run.errors += refusalLine(id, item.line, fault)
    else {
      run.output += answerLine(id, item.line, view!, base64Floats)
      run.completed++
    }
  }
  run.at += some.length
  const over = run.at >= run.items.length
  if (over || run.output.length + run.errors.length > FILE_LIMITS.pageBytes) await writePages(slice, run, io)
  if (!over) return true
  runs.delete(nameOf(batch, slice))
  batch.slices = batch.slices.filter((other) => other !== slice)
  batch.completed += run.completed
  batch.failed += run.items.length - run.completed
  batch.bytes.output += run.written.output
  batch.bytes.errors += run.written.errors
  io.save(batch)
  return true
}

async function writePages(slice: Slice, run: Run, io: BatchIo): Promise<void> {
  const page = pageName(slice.number, run.pages++)
  for (const file of ['output', 'errors'] as const) {
    if (run[file] === '') continue
    await io.write(file, page, run[file])
    run.written[file] += new TextEncoder().encode(run[file]).length
    run[file] = ''
  }
}

function finish(batch: BatchState, givenUp: GivenUp | null, io: BatchIo): boolean {
  const status = givenUp === null ? 'completed' : givenUp === 'batch_cancelled' ? 'cancelled' : 'expired'
  Object.assign(batch, { status, endedAt: io.now() })
  io.save(batch)
  return true
}

/** The lines of a file from a byte on, each with where it ends. @throws DomainError body_too_large, malformed_json */
async function* linesFrom(page: BatchIo['page'], offset: number): AsyncGenerator<{ text: string; end: number }> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })
  const decode = (bytes: Uint8Array): string => {
    try {
      return decoder.decode(bytes)
    } catch {
      throw new DomainError('malformed_json', { detail: 'the line is not UTF-8' })
    }
  }
  const { pageBytes, lineBytes } = FILE_LIMITS
  let end = offset
  let rest: Uint8Array = new Uint8Array()
  let number = Math.floor(offset / pageBytes)
  for (let skip = offset % pageBytes; ; skip = 0) {
    const bytes = await page(number++)
    if (!bytes) break
    rest = joined(rest, bytes.subarray(skip))
    let start = 0
    for (let at = rest.indexOf(0x0a); at >= 0; at = rest.indexOf(0x0a, at + 1)) {
      const line = rest.subarray(start, at)
      end += line.length + 1
      start = at + 1
      if (line.length > lineBytes) throw new DomainError('body_too_large', { detail: 'a line is over 1 MiB' })
      yield { text: decode(line), end }
    }
    rest = rest.subarray(start)
    if (rest.length > lineBytes) throw new DomainError('body_too_large', { detail: 'a line is over 1 MiB' })
  }
  if (rest.length > 0) yield { text: decode(rest), end: end + rest.length }
}
