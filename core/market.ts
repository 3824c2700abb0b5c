/** What requesters and providers do in a market, as steps over its book: each is synchronous, takes the time, and leaves events. */
import { leastResults, mostResults, spotRate } from './assurance.ts'
import { checkBacklog } from './backlog.ts'
import { apply, type Book, fill, openOf, type Provider, place, purseOf, record, tick } from './book.ts'
import { fieldOf, splitDigest } from './capability.ts'
import { joinOutput, joinUsage } from './continuation.ts'
import { devicesNamed } from './device-earnings.ts'
import { DomainError, type ErrorCode, type ErrorDetails } from './errors.ts'
import type { Idempotency } from './idempotency.ts'
import { LEASE_MS, parseLeaseId } from './lease.ts'
import { type Ask, classOf, EXCLUSIONS, type Exclusion, setRoom, variantExclusion } from './matching.ts'
import { checkRoom } from './occupancy.ts'
import { meter } from './pricing.ts'
import type { Poll, Result, ResultReceipt } from './protocol/lease.ts'
import type { Register } from './protocol/provider.ts'
import { type Address, LIMITS } from './protocol/values.ts'
import { OUTPUTS, type Prefix } from './protocol/work.ts'
import { available, laneOf } from './purse.ts'
import { NEWCOMER } from './reputation.ts'
import type { TaskRequest } from './request.ts'
import { sizeOf } from './snapshot.ts'
import { held, type Task, type TaskEvent, type TaskSpec } from './task.ts'

type Submission = {
  requester: Address
  purse: string
  requests: TaskRequest[]
  newId: (createdAt: number) => string
  idempotency?: Idempotency | undefined
}

/**
 * Accepts all of the tasks or none.
 * @returns the tasks, in order; or how much more the purse needs, in which case nothing has changed
 * @throws DomainError voucher_required where only its requester can add to the purse, overloaded when the tasks would wait too long
 */
export function submit(book: Book, submission: Submission, now: number): { tasks: Task[] } | { short: bigint } {
  tick(book, now)
  const { requester, purse, requests, newId, idempotency } = submission
  const bytes = requests.reduce((sum, request) => sum + request.bytes, 0)
  checkRoom(book.occupancy, requester, requests.length, bytes)
  const models = requests.map((request) => modelOf(book, request))
  checkVariants(book, requests, models)
  for (const [i, request] of requests.entries()) {
    if (request.assurance) checkEnough(book, requester, request, models[i]!.model)
    if (request.only !== undefined) checkNamed(book, request, models[i]!.model)
  }
  checkBacklog(book, requester, requests, models, now)
  // Asked for more, its requester is led to another lane.
  if (purseOf(book, purse).closing) throw new DomainError('voucher_required')
  const need = requests.reduce((sum, request) => sum + held(request), 0n)
  const short = need - available(purseOf(book, purse))
  if (short > 0n && laneOf(purse)) throw new DomainError('voucher_required')
  if (short > 0n) return { short }
  const ids = requests.map((request, i) => {
    const { deadlineMs, pointer: _, ...rest } = request
    const spec: TaskSpec = {
      ...rest,
      id: newId(now),
      seq: book.lastTask + 1,
      requester,
      purse,
      ...models[i]!,
      createdAt: now,
      deadline: now + deadlineMs,
    }
    record(book, { type: 'submitted', at: now, spec })
    return spec.id
  })
  if (idempotency) record(book, { type: 'keyed', at: now, ...idempotency, tasks: ids })
  // Placed only when all are in the book, so that a batch is ordered against everybody else's tasks and not against itself.
  return { tasks: ids.map((id) => placeNew(book, id, now)) }
}

function placeNew(book: Book, id: string, now: number): Task {
  const open = book.tasks.get(id)!
  place(book, open, now)
  return open.task
}

type Model = Pick<TaskSpec, 'model' | 'variant'>

/** The model a task names, perhaps with its digest, or the one of its kind that most connected providers offer. */
export function modelOf(book: Book, { kind, model, variant, pointer = '' }: TaskRequest): Model {
  if (model !== null) {
    if (book.classes.has(`${kind} ${model}`)) return { model, variant }
    const exact = splitDigest(model)
    if (exact && book.classes.has(`${kind} ${exact.model}`)) {
      const any = variant ?? { minBits: 0, capabilities: [] }
      return { model: exact.model, variant: { ...any, digest: exact.digest } }
    }
    throw new DomainError('unknown_model', {
      detail: `no provider has offered ${kind} with "${model}"`,
      pointer: `${pointer}/model`,
    })
  }
  const counts = new Map<string, number>()
  for (const { reachable, supply } of book.providers.values()) {
    for (const offer of supply.offers) {
      if (offer.kind === kind) counts.set(offer.model, (counts.get(offer.model) ?? 0) + (reachable ? 1000 : 1))
    }
  }
  const [most] = [...counts].sort((x, y) => y[1] - x[1] || (x[0] < y[0] ? -1 : 1))
  if (!most)
    throw new DomainError('no_provider', {
      detail: `nobody offers ${kind}`,
      pointer: `${pointer}/kind`,
      retryAfterSeconds: 10,
    })
  return { model: most[0], variant }
}

/** Refuses what no registered provider could do, however long it waited; every variant is looked for once. */
function checkVariants(book: Book, requests: TaskRequest[], models: Model[]): void {
  const checked = new Set<string>()
  for (const [i, { kind, minContext, pointer = '' }] of requests.entries()) {
    const { model, variant } = models[i]!
    if (variant === null && minContext === 0) continue
    const key = JSON.stringify([kind, model, variant, minContext])
    if (checked.has(key)) continue
    checked.add(key)
    const fault = variantFault(book, { kind, model, variant, minContext })
    if (fault) throw new DomainError(fault.code, { ...fault.details, pointer: pointer + fault.details.pointer })
  }
}

/** Refuses a task for which there never were as many providers as must agree. */
function checkEnough(
  book: Book,
  requester: Address,
  { kind, assurance, exclude, pointer = '' }: TaskRequest,
  model: string,
) {
  const need = leastResults(assurance!)
  let there = 0
  for (const { supply } of book.providers.values()) {
    const may = supply.address !== requester && !exclude.includes(supply.address)
    if (may && supply.offers.some((offer) => offer.kind === kind && offer.model === model)) there++
  }
  if (there >= need) return
  throw new DomainError('no_provider', {
    detail: `${need} providers of "${model}" would have to agree, and there are ${there}`,
    pointer: `${pointer}/assurance`,
    retryAfterSeconds: 10,
  })
}

/** Refuses a task for a provider that does not offer the like. */
function checkNamed(book: Book, { kind, only, pointer = '' }: TaskRequest, model: string): void {
  const offers = book.providers.get(only!)?.supply.offers ?? []
  if (offers.some((offer) => offer.kind === kind && offer.model === model)) return
  throw new DomainError('no_provider', {
    detail: `${only} does not offer ${kind} with "${model}"`,
    pointer: `${pointer}/requirements/provider`,
    retryAfterSeconds: 10,
  })
}

type Demand = Model & Pick<TaskRequest, 'kind' | 'minContext'>

/** Why nobody registered offers this; the reason of the offer that comes closest. */
function variantFault(book: Book, demand: Demand): { code: ErrorCode; details: ErrorDetails } | null {
  const { kind, model, variant, minContext } = demand
  let closest: Exclusion = 'digest'
  const offers: Ask[] = []
  for (const { supply } of book.providers.values()) {
    for (const offer of supply.offers) {
      if (offer.kind !== kind || offer.model !== model) continue
      const reason = (variant && variantExclusion(variant, offer)) ?? (offer.context < minContext ? 'context' : null)
      if (reason === null) return null
      offers.push(offer)
      if (EXCLUSIONS.indexOf(reason) > EXCLUSIONS.indexOf(closest)) closest = reason
    }
  }
  switch (closest) {
    case 'capability': {
      const missing = variant!.capabilities.find((need) => !offers.some((offer) => offer.capabilities.includes(need)))
      const need = missing ?? variant!.capabilities[0]!
      const detail = `no provider of "${model}" honours ${need}${missing ? '' : ' together with the rest of the request'}`
      return { code: 'unsupported_parameter', details: { detail, pointer: `/input/${fieldOf(need)}` } }
    }
    case 'quantization':
    case 'context': {
      const field = closest === 'context' ? 'minContext' : 'minQuantization'
      const detail = `no provider offers "${model}" with the ${closest} asked for`
      return { code: 'no_provider', details: { detail, pointer: `/requirements/${field}`, retryAfterSeconds: 10 } }
    }
    default:
      return {
        code: 'unknown_model',
        details: { detail: `no provider offers "${model}" with the digest ${variant?.digest}`, pointer: '/model' },
      }
  }
}

export function cancel(book: Book, id: string, now: number): void {
  record(book, { type: 'task', at: now, id, event: { type: 'cancelled' } })
}

/** A room has told what the attempt that ended delivered: it is paid, and the task goes on or ends. */
export function sealed(book: Book, id: string, attempt: number, delivered: Prefix, now: number): void {
  end(book, id, { type: 'sealed', attempt, delivered }, now)
}

export function register(book: Book, address: Address, registration: Register, now: number): Provider {
  record(book, { type: 'registered', at: now, address, registration })
  return book.providers.get(address)!
}

/**
 * A provider's call: takes its results, renews what it still runs, notices what it dropped, and gives it work.
 * Its leases are read from the provider afterwards, so that what an earlier answer lost is told again.
 * It keeps the room it has left until the caller says that it cannot be reached (`disconnect`).
 */
export function poll(book: Book, provider: Provider, call: Omit<Poll, 'waitSeconds'>, now: number): ResultReceipt[] {
  provider.heardAt = now
  // What it could take before says nothing of now: until its room is known, what comes free goes to others or waits.
  setRoom(book.matching, provider.supply, 0)
  // Before the clock is looked at: what the provider brings or renews now is not late because the market was.
  const receipts = call.results.map((result) => takeResult(book, provider, result, now))
  const kept = new Set(call.renew)
  for (const id of call.renew) renew(book, provider, id, now)
  for (const [id, lease] of [...provider.leases]) {
    if (lease.seq <= call.seen && !kept.has(id)) end(book, lease.task, { type: 'lost', attempt: lease.attempt }, now)
  }
  tick(book, now)
  let undelivered = 0
  for (const lease of provider.leases.values()) {
    if (lease.seq <= call.seen) continue
    undelivered++
    // It is told with this call's answer, perhaps again: its time runs from now.
    lease.expiresAt = now + LEASE_MS
  }
  setRoom(book.matching, provider.supply, Math.max(0, call.free - undelivered))
  fill(book, provider, now)
  return receipts
}

function renew(book: Book, provider: Provider, id: string, now: number): void {
  const lease = provider.leases.get(id)
  if (!lease) {
    provider.revoked.push(id)
    return
  }
  lease.expiresAt = now + LEASE_MS
  lease.brokeOff = false
  start(book, lease.task, lease.attempt, now)
}

/** `started` is soft: told to watchers, but not worth writing down. */
function start(book: Book, task: string, attempt: number, now: number): void {
  if (book.tasks.get(task)?.task.attempts[attempt - 1]?.state.is === 'granted')
    apply(book, { type: 'task', at: now, id: task, event: { type: 'started', attempt } })
}

function takeResult(book: Book, provider: Provider, { lease, outcome }: Result, now: number): ResultReceipt {
  const parsed = parseLeaseId(lease)
  const task = parsed && (openOf(book, parsed.task)?.task ?? book.ended.get(parsed.task))
  if (!parsed || (task && task.attempts[parsed.attempt - 1]?.provider !== provider.supply.address)) {
    return { lease, accepted: false, code: 'lease_not_found' }
  }
  if (!task) return { lease, accepted: false, code: 'task_finished' }
  const refused = end(book, parsed.task, toEvent(provider, task, parsed.attempt, outcome), now)
  if (refused === null || refused === 'already_accepted') return { lease, accepted: true }
  return { lease, accepted: false, code: refused }
}

/** A result as an event of its task; an output that does not fit the task's kind is a failure of the attempt. */
function toEvent(provider: Provider, task: Task, attempt: number, outcome: Result['outcome']): TaskEvent {
  const { spec, prefix } = task
  switch (outcome.status) {
    case 'failed':
      return { type: 'failed', attempt, error: outcome.error }
    case 'returned':
      return { type: 'returned', attempt }
    case 'succeeded': {
      const fault = outputFault(spec, outcome.output, prefix)
      if (fault) return { type: 'failed', attempt, error: { code: 'invalid_output', message: fault } }
      const units = meter(spec.kind, outcome.usage, spec.maxUnits - (prefix?.tokens ?? 0))
      const { signed } = outcome
      if (signed && signed.units !== units) {
        const message = `the receipt is signed for ${signed.units} units, and the result comes to ${units}`
        return { type: 'failed', attempt, error: { code: 'receipt_mismatch', message } }
      }
      const output = joinOutput(prefix, outcome.output)
      const usage = joinUsage(prefix, outcome.usage)
      const devices = devicesNamed(provider.registration, outcome.devices)
      const drawn = spec.assurance && { drawn: isDrawn(provider, spec) }
      const made = { output, usage, units, ...(devices && { devices }), ...(signed && { signed }) }
      return { type: 'succeeded', attempt, ...made, ...drawn }
    }
  }
}

/** Whether a result of this provider is to be checked by another, by the lot of the task and what is known of the provider. */
function isDrawn({ reputations }: Provider, spec: TaskSpec): boolean {
  const { streak } = reputations.get(classOf(spec)) ?? NEWCOMER
  return (spec.lot ?? 0) < spotRate(spec.kind, streak)
}

function outputFault({ kind, assurance }: TaskSpec, output: unknown, prefix: Prefix | undefined): string | null {
  const most = Math.min(LIMITS.outputBytes, Math.floor(LIMITS.heldBytes / mostResults(assurance)))
  if (sizeOf(output) + sizeOf(prefix?.text ?? '') > most) return `output: larger than ${most} bytes`
  const parsed = OUTPUTS[kind].safeParse(output)
  if (parsed.success) return null
  const [issue] = parsed.error.issues
  return `output${issue!.path.map((part) => `/${String(part)}`).join('')}: ${issue!.message}`.slice(0, 500)
}

function end(book: Book, id: string, event: TaskEvent, now: number) {
  const refused = record(book, { type: 'task', at: now, id, event })
  const open = book.tasks.get(id)
  if (open?.task.state.is === 'queued') place(book, open, now)
  return refused
}
