/**
 * x402: how a call is paid for by whoever has tokens and no account here (https://github.com/x402-foundation/x402, version 2,
 * scheme `exact` by ERC-3009). These are its bodies, as far as this network takes them, and what a payment must be.
 */
import * as z from 'zod'
import { DomainError } from './errors.ts'
import { formatAmount, max, ONE_TOKEN } from './money.ts'
import { Address } from './protocol/values.ts'
import { TOKEN_DOMAIN, type Token } from './token.ts'

/** What one payment must come to at least: it costs the edge two transactions. What a call does not use stays the payer's. */
export const LEAST_PAYMENT = ONE_TOKEN / 100n
/** How long a payment may take from its signature to its block, seconds. */
const TIMEOUT_SECONDS = 120
/** A payment that ends sooner than this may not get into a block in time, seconds. */
const MARGIN_SECONDS = 6n
/** Payments are remembered until they have expired, so none may count for longer, seconds. */
const LONGEST_SECONDS = 3600n

/** What a call costs, in x402's words; amounts are base units. */
export type Requirements = {
  scheme: 'exact'
  /** CAIP-2. */
  network: `eip155:${number}`
  amount: string
  asset: Address
  payTo: Address
  maxTimeoutSeconds: number
  /** The token's EIP-712 domain, and how it is paid. */
  extra: { name: string; version: string; assetTransferMethod: 'eip3009' }
}

export const requirementsOf = ({ chainId, address: asset }: Token, payTo: Address, price: bigint): Requirements => ({
  scheme: 'exact',
  network: `eip155:${chainId}`,
  amount: max(price, LEAST_PAYMENT).toString(),
  asset,
  payTo,
  maxTimeoutSeconds: TIMEOUT_SECONDS,
  extra: { ...TOKEN_DOMAIN, assetTransferMethod: 'eip3009' },
})

/** What the PAYMENT-REQUIRED header holds. */
export const paymentRequired = (url: string, requirements: Requirements, error: string) => ({
  x402Version: 2,
  error,
  resource: { url, mimeType: 'application/json' },
  accepts: [requirements],
})

/** What the PAYMENT-RESPONSE header holds. */
export const paymentResponse = ({ network }: Requirements, { from, value }: Authorization, transaction: string) => ({
  success: true,
  payer: from,
  transaction,
  network,
  amount: value.toString(),
})

const Units = z
  .string()
  .regex(/^\d{1,78}$/, 'must be a whole number')
  .transform(BigInt)
const Word = z.string().regex(/^0x[0-9a-fA-F]{64}$/, 'must be 32 bytes in hex') as unknown as z.ZodType<`0x${string}`>

/** What DaicnToken's `transferWithAuthorization` takes; times in Unix seconds. */
const Authorization = z.object({
  from: Address,
  to: Address,
  value: Units,
  validAfter: Units,
  validBefore: Units,
  nonce: Word,
})
export type Authorization = z.output<typeof Authorization>

/** What the PAYMENT-SIGNATURE header holds; a contract's signature may be long. */
const PaymentPayload = z.object({
  x402Version: z.literal(2),
  accepted: z.object({ scheme: z.string(), network: z.string(), asset: Address, payTo: Address }),
  payload: z.object({
    authorization: Authorization,
    signature: z.string().regex(/^0x(?:[0-9a-fA-F]{2}){1,2048}$/, 'must be hex') as unknown as z.ZodType<`0x${string}`>,
  }),
})

export type Payment = { authorization: Authorization; signature: `0x${string}` }

/**
 * Checks what can be known of a payment without the chain. @param now Unix milliseconds
 * @throws DomainError payment_refused, which says what is wrong with it
 */
export function checkPayment(value: unknown, wanted: Requirements, now: number): Payment {
  const parsed = PaymentPayload.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw refused(`${issue!.path.join('.') || 'the payment'}: ${issue!.message}`)
  }
  const { accepted, payload } = parsed.data
  const { to, value: amount, validAfter, validBefore } = payload.authorization
  const seconds = BigInt(Math.floor(now / 1000))
  if (accepted.scheme !== wanted.scheme) throw refused(`the scheme is ${accepted.scheme}, not ${wanted.scheme}`)
  if (accepted.network !== wanted.network) throw refused(`it is on ${accepted.network}, not ${wanted.network}`)
  if (accepted.asset !== wanted.asset) throw refused(`it is of the token ${accepted.asset}, not ${wanted.asset}`)
  if (to !== wanted.payTo) throw refused(`it is to ${to}, not ${wanted.payTo}`)
  if (amount < BigInt(wanted.amount)) {
    throw refused(`it is of ${formatAmount(amount)} tokens, and ${formatAmount(BigInt(wanted.amount))} are needed`)
  }
  if (validAfter > seconds) throw refused('its time has not come')
  if (validBefore < seconds + MARGIN_SECONDS) throw refused('it has expired, or is about to')
  if (validBefore > seconds + LONGEST_SECONDS) throw refused('it counts for longer than an hour')
  return payload
}

const refused = (detail: string) => new DomainError('payment_refused', { detail })
