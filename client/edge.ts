/** Calls to one edge. Runs wherever there is a `fetch`: Node 20 and later, browsers, Workers. */
import { retryDelay } from '#core/backoff.ts'
import { DaicnError, missing, refusal } from './error.ts'
import type { Wallet } from './wallet.ts'

export type Connection = {
  /** Address of the edge, for example https://edge.example. */
  edge: string
  /** An API key (`dk_...`), or the token of a sign-in. */
  key?: string
  /** Milliseconds an answer may take, over and above the time that the edge is asked to hold it; 30,000 unless told. */
  timeoutMs?: number
  fetch?: typeof fetch
  /** Pays for tasks from an account that it signs for; without it, the edge signs for yours. */
  wallet?: Wallet
}

export type CallOptions = {
  /** Sent as JSON, or as it is when it is bytes. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
  /** Milliseconds for which the edge is asked to hold the answer. */
  holdMs?: number
}

const TIMEOUT_MS = 30_000
const TRIES = 5
/** What stands in the way now and may be gone at the next try. */
const PASSING: ReadonlySet<string> = new Set([
  'unreachable',
  'timed_out',
  'overloaded',
  'open_tasks_limit',
  'rate_limited',
  'market_restarted',
  'internal',
])

export const isPassing = (error: unknown): error is DaicnError => error instanceof DaicnError && PASSING.has(error.code)

/** One request, until the head of its answer. @throws DaicnError, or the signal's own reason */
export async function send(connection: Connection, method: string, path: string, options: CallOptions = {}) {
  const { edge, key, fetch = globalThis.fetch } = connection
  const { body, signal } = options
  const headers: Record<string, string> = { ...options.headers }
  const init: RequestInit = { method, headers, signal: signal ?? null }
  if (key !== undefined) headers.authorization = `Bearer ${key}`
  if (body instanceof Uint8Array) init.body = body as Uint8Array<ArrayBuffer>
  else if (body !== undefined) {
    headers['content-type'] = 'application/json'
    init.body = JSON.stringify(body)
  }
  let response: Response
  try {
    response = await fetch(new URL(path, edge), init)
  } catch (error) {
    throw lost(connection, error, signal)
  }
  if (response.ok) return response
  throw await refusal(response)
}

/** One call, tried once. @throws DaicnError, or the signal's own reason */
export async function call<T>(
  connection: Connection,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<T> {
  const { signal, holdMs = 0 } = options
  const limit = AbortSignal.timeout((connection.timeoutMs ?? TIMEOUT_MS) + holdMs)
  const both = signal ? AbortSignal.any([signal, limit]) : limit
  try {
    const response = await send(connection, method, path, { ...options, signal: both })
    return (response.status === 204 ? undefined : await response.json()) as T
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    if (limit.aborted) throw missing('timed_out', connection.edge)
    if (error instanceof SyntaxError) throw missing('not_understood', connection.edge, error)
    throw error instanceof DaicnError ? error : lost(connection, error)
  }
}

/** A call that may be repeated without harm: tries again while what stands in the way may pass. */
export async function insist<T>(
  connection: Connection,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call<T>(connection, method, path, options)
    } catch (error) {
      if (tries === TRIES || !isPassing(error)) throw error
      await pause(Math.max(retryDelay(tries - 1, Math.random()), error.retryAfterMs ?? 0), options.signal)
    }
  }
}

/** Rejects with the signal's reason as soon as it aborts. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const leave = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', leave)
      resolve()
    }, ms)
    signal?.addEventListener('abort', leave, { once: true })
  })
}

/** The connection broke, unless it was the caller who broke it off. */
export function lost({ edge }: Connection, error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason
  const { cause, message } = error as { cause?: { code?: string }; message?: string }
  return missing('unreachable', `${edge} (${cause?.code ?? message ?? 'no reason given'})`, error)
}
