/** A call without credentials that is paid by the payment that comes with it: x402, see core/x402.ts. */
import type { Context } from 'hono'
import { SESSION_KEY } from '#core/account.ts'
import { DomainError } from '#core/errors.ts'
import { formatAmount } from '#core/money.ts'
import type { Address } from '#core/protocol/values.ts'
import type { TaskRequest } from '#core/request.ts'
import { held } from '#core/task.ts'
import { checkPayment, paymentRequired, paymentResponse, requirementsOf } from '#core/x402.ts'
import type { Principal } from './auth.ts'
import { fromBase64, toBase64 } from './base64.ts'
import { type Network, networkOf } from './env.ts'
import { followChain } from './jobs/follow-chain.ts'
import type { AuthEnv } from './middleware/auth.ts'
import { unwrap } from './outcome.ts'

/** How such a call can be refused. */
export const PAYMENT_ERRORS = [
  'payment_required',
  'payment_refused',
  'payment_unsettled',
  'payment_unconfirmed',
  'chain_unreachable',
] as const

/** Longer is no payment. */
const MOST_CHARACTERS = 16_384
/** How long a payment may take until it counts, and between two looks. */
const PATIENCE_MS = 60_000
const LOOK_MS = 500

/** True for a call that names nobody, on a network where it can be paid for. */
export const isPayable = (c: Context<AuthEnv>): boolean =>
  c.req.header('authorization') === undefined && networkOf(c.env).chain !== null

/**
 * Takes the payment of a call, for the most that its tasks can cost. It goes into the account of whoever paid, and the tasks
 * are that account's: what they do not cost stays there.
 * @throws DomainError payment_required with the PAYMENT-REQUIRED header, and the others of `PAYMENT_ERRORS`
 */
export async function takePayment(c: Context<AuthEnv>, requests: TaskRequest[]): Promise<Principal> {
  const network = networkOf(c.env)
  const { chainId, token } = network.chain!.deployment
  const price = requests.reduce((sum, request) => sum + held(request), 0n)
  const requirements = requirementsOf({ chainId, address: token }, network.edgeKey().address, price)
  const demand = (error: DomainError): DomainError => {
    const required = paymentRequired(c.req.url, requirements, error.details.detail ?? error.message)
    c.header('payment-required', encoded(required))
    return error
  }
  const header = c.req.header('payment-signature')
  if (header === undefined) {
    const detail = `${formatAmount(BigInt(requirements.amount))} tokens`
    throw demand(new DomainError('payment_required', { detail }))
  }
  try {
    const payment = checkPayment(decoded(header), requirements, Date.now())
    const { from } = payment.authorization
    const transaction = unwrap(await network.payments().pay(payment, network.signerOf(from).signer))
    c.header('payment-response', encoded(paymentResponse(requirements, payment.authorization, transaction)))
    await counted(network, from, price)
    return { address: from, key: SESSION_KEY, scopes: ['tasks:write', 'tasks:read'] }
  } catch (error) {
    throw error instanceof DomainError && error.code === 'payment_refused' ? demand(error) : error
  }
}

/** Waits until the chain has confirmed so much for the account. */
async function counted(network: Network, payer: Address, price: bigint): Promise<void> {
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; ) {
    await followChain(network)
    if ((await network.account(payer).balances()).free >= price) return
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
  throw new DomainError('payment_unconfirmed')
}

const encoded = (value: unknown): string => toBase64(new TextEncoder().encode(JSON.stringify(value)))

function decoded(header: string): unknown {
  try {
    if (header.length <= MOST_CHARACTERS) return JSON.parse(new TextDecoder().decode(fromBase64(header)))
  } catch {}
  throw new DomainError('payment_refused', { detail: 'the header is not JSON in base64' })
}
