import type { LaneDemand } from './lane.ts'

/** Every error a user can meet: a stable code, its HTTP status, what it means and what to do about it. */
export const ERRORS = {
  malformed_json: [400, 'The body is not valid JSON', 'Send a JSON document encoded as UTF-8.'],
  invalid_request: [422, 'A field is missing or wrong', 'Correct the field that `pointer` names and send it again.'],
  unsupported_media_type: [415, 'The body has the wrong content type', 'Send `content-type: application/json`.'],
  body_too_large: [
    413,
    'The body is too large',
    'Keep a task input under 256 KiB and a request under 8 MiB; PUT /v1/blobs takes content up to 100 MiB.',
  ],
  length_required: [411, 'The length of the body must be told before it', 'Send a Content-Length header.'],
  blob_mismatch: [
    422,
    'The content is not what its address says',
    'PUT it to /v1/blobs/<the lower-case hex SHA-256 of its bytes>.',
  ],
  blob_not_found: [404, 'No such blob of yours', 'PUT it to /v1/blobs first; blobs are dropped after their retention.'],
  blob_quota_exceeded: [
    403,
    'The account keeps as much as it may',
    'DELETE blobs that are not needed any more, or wait until their time is over.',
  ],
  unknown_kind: [422, 'No such kind of task', 'GET /v1/models lists the kinds and models on offer.'],
  unknown_model: [404, 'No provider has ever offered this model', 'GET /v1/models lists the models on offer.'],
  unsupported_parameter: [
    422,
    'No provider of this model honours a field of the request',
    'Leave out the field that `pointer` names, or choose a model whose `capabilities` list it.',
  ],
  no_provider: [
    503,
    'No provider offers this kind of work right now',
    'Try again later, or name a model to wait for it.',
  ],
  insufficient_funds: [
    402,
    'The account cannot cover the most this could cost',
    'Deposit, or lower maxPrice or the limits of the task.',
  ],
  voucher_required: [
    402,
    'A voucher must be signed for this call',
    'Sign for what `lane` says, and send the call again with it in the Voucher header.',
  ],
  voucher_refused: [
    402,
    'The voucher does not cover this',
    'Sign one whose ceiling is what the lane was charged so far and the price of what comes next.',
  ],
  no_chain: [404, 'This network has no chain', 'Its tokens are those of its faucet; there is nothing to claim.'],
  lane_not_found: [
    404,
    'There is no such lane',
    'See `GET /v1/account/lanes`, or what the page of vouchers wants closed.',
  ],
  lane_in_use: [409, 'Tasks of this lane are under way', 'Wait until they have ended, or cancel them.'],
  closing_refused: [422, 'This does not close the lane', 'Sign what the lane was charged, closed, by your own key.'],
  not_owed: [404, 'This requester owes you nothing', 'Ask for lanes of those whose leases you hold or have finished.'],
  not_comparable: [
    422,
    'Results of this task could not be compared',
    'Ask for a chat with temperature 0 and without stream, or for no assurance.',
  ],
  payment_required: [
    402,
    'This call must be paid for',
    'Send credentials, or a payment as the PAYMENT-REQUIRED header asks for (x402, version 2).',
  ],
  payment_refused: [
    402,
    'The payment is not taken',
    '`detail` says why, and nothing was charged; sign another as the PAYMENT-REQUIRED header asks for.',
  ],
  payment_unsettled: [
    503,
    'The payment could not be brought to its end',
    'If its tokens leave your address, they are credited to it here: sign in with its key to use or withdraw them.',
  ],
  payment_unconfirmed: [
    504,
    'The payment is made, and the chain has not confirmed it in time',
    'It is credited to your address here: sign in with its key to use or withdraw it.',
  ],
  chain_unreachable: [503, 'The chain cannot be reached', 'Nothing was charged; try again later.'],
  price_below_unit: [
    422,
    'maxPrice is less than the smallest possible price',
    'Raise maxPrice, or leave it out to use the default.',
  ],
  missing_credentials: [401, 'This call needs credentials', 'Send `authorization: Bearer <API key or session token>`.'],
  invalid_credentials: [401, 'The API key or token is not valid', 'Check it for typing errors, or make a new key.'],
  expired_token: [401, 'The token has expired', 'Sign in again.'],
  invalid_signature: [
    401,
    'The signature does not fit the message and address',
    'Sign the sign-in message of this edge with the key of the address.',
  ],
  stale_sign_in: [
    401,
    'The sign-in message is too old, from the future, or was used before',
    'Sign a fresh message; compare your clock with the Date header.',
  ],
  forbidden: [403, 'These credentials may not do this', 'Use credentials with the scope that `detail` names.'],
  faucet_closed: [403, 'This network has no faucet', 'Deposit tokens on chain.'],
  faucet_limit: [429, 'The faucet has given this account its limit', 'Spend what the account holds.'],
  not_found: [404, 'There is nothing at this address', 'See the API reference for the routes.'],
  method_not_allowed: [405, 'This address does not take that method', 'See the Allow header.'],
  file_not_found: [404, 'No such file of yours', 'GET /v1/files lists them.'],
  file_in_use: [409, 'A batch is still reading this file', 'Cancel the batch, or wait until it is over.'],
  file_quota_exceeded: [403, 'The account keeps as many bytes of files as it may', 'DELETE files that are not needed.'],
  batch_not_found: [404, 'No such batch of yours', 'GET /v1/batches lists them.'],
  batch_over: [409, 'The batch is over', 'There is nothing left to cancel.'],
  webhook_not_found: [404, 'No such webhook of yours that is in use', 'GET /v1/webhooks lists those there are.'],
  webhook_limit: [403, 'The account has as many webhooks as it may', 'DELETE one that is not needed any more.'],
  webhook_url_refused: [422, 'Webhooks are not sent there', 'Give an https URL of a host on the public internet.'],
  task_not_found: [404, 'No such task of yours', 'Check the id; outputs are dropped after their retention.'],
  lease_not_found: [404, 'No such lease of yours', 'Drop it: the task has ended or belongs to another provider.'],
  provider_not_found: [404, 'No such provider', 'GET /v1/providers lists those that ever registered here.'],
  not_registered: [409, 'The provider is not registered here', 'POST /v1/provider/register first.'],
  upgrade_required: [426, 'This address speaks WebSocket', 'Connect with a WebSocket client.'],
  overloaded: [
    429,
    'There is more to do than there is room for',
    'Wait as long as Retry-After says, then send it again.',
  ],
  open_tasks_limit: [
    429,
    'You have as many tasks open as there is room for',
    'Wait for some of them to end, or cancel some; others need what room is left.',
  ],
  rate_limited: [
    429,
    'You call too often',
    'Wait as long as Retry-After says; RateLimit-Policy tells how often you may call.',
  ],
  task_failed: [502, 'Every attempt at the task failed', '`attempts` of the task names each error.'],
  upstream_refused: [
    422,
    'The model refused the request',
    '`detail` has its own words; correct the request, or try another model.',
  ],
  task_expired: [
    504,
    'The task was not finished before its deadline',
    'Raise deadlineSeconds, maxPrice, or ask for another model.',
  ],
  receipt_not_ready: [
    409,
    'There are receipts only of tasks that have succeeded',
    'GET the task, or wait with ?waitSeconds=25.',
  ],
  receipt_unsigned: [
    404,
    'The provider did not sign a receipt',
    'Its agent is older than receipts, or not ours: name it in requirements.exclude to avoid it.',
  ],
  receipt_invalid: [
    502,
    'What the provider signed is not what it did',
    'The task itself is accepted and paid; name the provider in requirements.exclude to avoid it.',
  ],
  evidence_not_found: [
    404,
    'The results of this task were held against no others',
    'Ask for an assurance when you submit; a spot check is drawn by lot.',
  ],
  task_cancelled: [409, 'The task was cancelled', 'Submit it again.'],
  idempotency_conflict: [
    409,
    'This Idempotency-Key was used for another request',
    'Send the very same body to get its answer again, or choose a new key for a new request.',
  ],
  market_restarted: [
    503,
    'The market was restarted while it held this call',
    'Send it again; a task that was accepted is kept.',
  ],
  internal: [500, 'Something broke on our side', 'Try again; if it persists, report it with the requestId.'],
} as const satisfies Record<string, readonly [status: number, title: string, hint: string]>

export type ErrorCode = keyof typeof ERRORS

/** What a market may say to a new task whose body is right. */
export const SUBMIT_ERRORS = [
  'unknown_model',
  'unsupported_parameter',
  'no_provider',
  'insufficient_funds',
  'overloaded',
  'open_tasks_limit',
  'idempotency_conflict',
  'market_restarted',
] as const satisfies ErrorCode[]

/** What an error may add to its table row. */
export type ErrorDetails = {
  detail?: string
  /** JSON pointer (RFC 6901) to the offending field of the body. */
  pointer?: string
  retryAfterSeconds?: number
  /** What is to be signed. */
  lane?: LaneDemand
}

export class DomainError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    super(details.detail ?? ERRORS[code][1])
    this.name = 'DomainError'
    this.code = code
    this.details = details
  }
}

/** RFC 9457 problem details. */
export type Problem = {
  type: string
  title: string
  status: number
  code: ErrorCode
  detail?: string
  hint: string
  pointer?: string
  retryAfterSeconds?: number
  lane?: LaneDemand
}

export function toProblem(error: DomainError): Problem {
  const [status, title, hint] = ERRORS[error.code]
  return { type: `urn:daicn:error:${error.code}`, title, status, code: error.code, hint, ...error.details }
}
