/// <reference path="./ws.d.ts" />
/** Calls to one edge, as one provider: signs in when it must and names each failure by the edge's stable code. */
import type { PrivateKeyAccount } from 'viem/accounts'
import { WebSocket } from 'ws'
import { ChainView } from '#core/deployment.ts'
import type { Problem } from '#core/errors.ts'
import { LaneView } from '#core/lane.ts'
import type { AccountView } from '#core/protocol/account.ts'
import type { ForecastView } from '#core/protocol/forecast.ts'
import type { SignedClosing } from '#core/protocol/lane-closing.ts'
import type { OutputFrame, Poll, PollAnswer, Signed } from '#core/protocol/lease.ts'
import type { Earnings, Register, Why } from '#core/protocol/provider.ts'
import { type Address, LIMITS } from '#core/protocol/values.ts'
import { type Hash, ReceiptDomain, receiptTypedData, type Statement } from '#core/receipt.ts'
import { signInTypedData } from '#core/sign-in.ts'
import { VoucherPage } from '#core/voucher-page.ts'
import { parseAnswer } from './answer.ts'
import { type Answer, call as callHttp } from './http.ts'
import { hashFlat } from './typed-data.ts'

/** The edge answered with a problem, or (`unreachable`) not at all. */
export class EdgeError extends Error {
  readonly code: Problem['code'] | 'unreachable'
  readonly retryAfterMs: number | undefined

  constructor(code: EdgeError['code'], message: string, retryAfterMs?: number) {
    super(message)
    this.name = 'EdgeError'
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}

/** The part of a viem account that is needed here. */
export type Signer = Pick<PrivateKeyAccount, 'address' | 'sign' | 'signTypedData'>

export type Edge = {
  origin: string
  /** What units of each class sell for; anybody may ask. */
  forecast: (signal: AbortSignal) => Promise<Pick<ForecastView, 'classes'>>
  account: (signal: AbortSignal) => Promise<AccountView>
  earnings: (signal: AbortSignal) => Promise<Earnings>
  why: (signal: AbortSignal) => Promise<Why>
  register: (body: Register, signal: AbortSignal) => Promise<{ cell: string; leaseSeconds: number }>
  poll: (body: Partial<Poll> & { free: number }, signal: AbortSignal) => Promise<PollAnswer>
  putOutput: (lease: string, frame: OutputFrame, signal: AbortSignal) => Promise<{ next: number }>
  /** The content of a blob that the lease's input refers to. */
  getBlob: (lease: string, sha256: string, signal: AbortSignal) => Promise<Uint8Array>
  /** Signs what was done, as of now by the edge's clock. Undefined if the edge makes no receipts. */
  signReceipt: (
    statement: Omit<Statement, 'domain' | 'provider' | 'finishedAt'>,
    hash: Hash,
  ) => Promise<Signed | undefined>
  /** The chain on which the edge's network pays. */
  getChain: () => Promise<ChainView>
  /** Vouchers whose accounts were charged more since `after`. */
  getVouchers: (after: string, signal: AbortSignal) => Promise<VoucherPage>
  /** Has the lane of a requester locked as far as our leases may come to. */
  lockLane: (requester: Address, signal: AbortSignal) => Promise<LaneView>
  /** Hands in what closes a lane. */
  closeLane: (signed: SignedClosing, signal: AbortSignal) => Promise<void>
  /** Starts to open /v1/provider/socket or a lease's output socket. */
  openSocket: (path: string) => Promise<WebSocket>
}

const REQUEST_MS = 15_000
/** The largest blob takes this long at 350 kB a second. */
const BLOB_MS = 300_000
const SIGN_IN_TRIES = 4
/** A token is renewed this long before its end, so that a socket is never opened with one that dies on the way. */
const TOKEN_MARGIN_MS = 60_000
const BAD_TOKEN = new Set(['expired_token', 'invalid_credentials', 'missing_credentials'])

export function createEdge(url: string, signer: Signer, now: () => number): Edge {
  const origin = new URL(url).origin
  let session: { token: string; expiresAt: number } | undefined
  let signingIn: Promise<string> | undefined
  /** What to add to this machine's clock to have the edge's, from its Date header. */
  let skew = 0
  /** As the edge told it at the last sign-in, if it makes receipts. */
  let domain: ReceiptDomain | undefined

  async function call(
    method: string,
    path: string,
    options: { body?: unknown; token?: string; signal?: AbortSignal; read?: (answer: Answer) => Promise<unknown> },
  ) {
    const signals = [
      AbortSignal.timeout(options.read ? BLOB_MS : REQUEST_MS + waitOf(options.body)),
      ...(options.signal ? [options.signal] : []),
    ]
    let response: Answer
    let answer: unknown
    try {
      response = await callHttp(origin + path, {
        method,
        headers: {
          ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
        },
        body: options.body === undefined ? undefined : JSON.stringify(options.body),
        signal: AbortSignal.any(signals),
      })
      if (response.status === 204) answer = undefined
      else answer = response.ok && options.read ? await options.read(response) : await response.json()
    } catch (error) {
      throw new EdgeError('unreachable', `${origin} does not answer (${reasonOf(error)})`)
    }
    const date = Date.parse(response.header('date') ?? '')
    if (Number.isFinite(date)) skew = date - now()
    if (response.ok) return answer
    const problem = (answer ?? {}) as Partial<Problem>
    const retryAfter = Number(response.header('retry-after') ?? problem.retryAfterSeconds)
    throw new EdgeError(
      problem.code ?? 'internal',
      problem.detail ?? problem.title ?? `HTTP ${response.status}`,
      retryAfter > 0 ? retryAfter * 1000 : undefined,
    )
  }

  async function signIn(): Promise<string> {
    const { chainId, court } = (await call('GET', '/v1/health', {})) as { chainId: number; court?: string }
    domain = ReceiptDomain.safeParse({ chainId, court }).data
    for (let attempt = 0; ; attempt++) {
      // The Date header counts whole seconds and an earlier run may have signed in ahead of it: each try goes further.
      const issuedAt = Math.round(now() + skew) + attempt * 2000
      const message = { address: signer.address, audience: origin, issuedAt }
      const signature = await signer.signTypedData(signInTypedData(chainId, message))
      try {
        session = (await call('POST', '/v1/sign-in', { body: { ...message, signature } })) as typeof session
        return session!.token
      } catch (error) {
        const stale = error instanceof EdgeError && error.code === 'stale_sign_in'
        if (!stale || attempt + 1 === SIGN_IN_TRIES) throw error
      }
    }
  }

  async function token(): Promise<string> {
    if (session && session.expiresAt - TOKEN_MARGIN_MS > now() + skew) return session.token
    signingIn ??= signIn().finally(() => {
      signingIn = undefined
    })
    return signingIn
  }

  async function authorized(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
    read?: (answer: Answer) => Promise<unknown>,
  ): Promise<unknown> {
    const used = await token()
    const options = { body, signal, ...(read && { read }) }
    try {
      return await call(method, path, { ...options, token: used })
    } catch (error) {
      if (!(error instanceof EdgeError) || !BAD_TOKEN.has(error.code)) throw error
      if (session?.token === used) session = undefined
      return call(method, path, { ...options, token: await token() })
    }
  }

  return {
    origin,
    forecast: async (signal) => (await call('GET', '/v1/forecast', { signal })) as ForecastView,
    account: async (signal) => (await authorized('GET', '/v1/account', undefined, signal)) as AccountView,
    earnings: async (signal) => (await authorized('GET', '/v1/provider/earnings', undefined, signal)) as Earnings,
    why: async (signal) => (await authorized('GET', '/v1/provider/why', undefined, signal)) as Why,
    register: async (body, signal) =>
      (await authorized('POST', '/v1/provider/register', body, signal)) as { cell: string; leaseSeconds: number },
    poll: async (body, signal) => parseAnswer(await authorized('POST', '/v1/provider/poll', body, signal)),
    putOutput: async (lease, frame, signal) =>
      (await authorized('PUT', outputPath(lease), frame, signal)) as { next: number },
    getBlob: async (lease, sha256, signal) =>
      (await authorized('GET', blobPath(lease, sha256), undefined, signal, readBlob)) as Uint8Array,
    async signReceipt(statement, hash) {
      if (!domain) return undefined
      const provider = signer.address.toLowerCase() as Address
      const finishedAt = Math.floor((now() + skew) / 1000) * 1000
      const signed = { ...statement, domain, provider, finishedAt }
      return {
        units: statement.units,
        finishedAt,
        signature: await signer.sign({ hash: hashFlat(await receiptTypedData(signed, hash)) }),
      }
    },
    getChain: async () => ChainView.parse(await call('GET', '/v1/chain', {})),
    getVouchers: async (after, signal) =>
      VoucherPage.parse(await authorized('GET', `/v1/provider/vouchers?after=${after}`, undefined, signal)),
    lockLane: async (requester, signal) =>
      LaneView.parse(await authorized('POST', '/v1/provider/lanes', { requester }, signal)),
    async closeLane(signed, signal) {
      await authorized('POST', '/v1/provider/lanes/close', signed, signal)
    },
    openSocket: async (path) =>
      new WebSocket(origin.replace(/^http/, 'ws') + path, {
        headers: { authorization: `Bearer ${await token()}` },
        perMessageDeflate: false,
      }),
  }
}

export const outputPath = (lease: string) => `/v1/leases/${encodeURIComponent(lease)}/output`

const blobPath = (lease: string, sha256: string) => `/v1/leases/${encodeURIComponent(lease)}/blobs/${sha256}`

async function readBlob({ body }: Answer): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > LIMITS.blobBytes) throw new Error('more than a blob may have')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const waitOf = (body: unknown) => ((body as { waitSeconds?: number } | undefined)?.waitSeconds ?? 0) * 1000

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).name
}
