import { Hono } from 'hono'
import * as z from 'zod'
import type { ApiKey } from '#core/account.ts'
import { mergedOwn, OwnProviders, ProviderPath } from '#core/directory.ts'
import { DomainError } from '#core/errors.ts'
import { formatAmount, max, parseAmount } from '#core/money.ts'
import { AccountView, CreateKey, KeyView, Session, SignIn } from '#core/protocol/account.ts'
import { CloseLane, OwnLane } from '#core/protocol/lane-closing.ts'
import { Why } from '#core/protocol/provider.ts'
import type { Address } from '#core/protocol/values.ts'
import { RequesterReputation } from '#core/requester-reputation.ts'
import { SIGN_IN_WINDOW_MS } from '#core/sign-in.ts'
import { issueSession, newKey } from '../auth.ts'
import { homeOf } from '../cells.ts'
import { type Env, type Network, networkOf } from '../env.ts'
import { takeFromFaucet } from '../faucet.ts'
import { operation } from '../middleware/operation.ts'
import { unwrap } from '../outcome.ts'
import { ownReputation } from '../requester-reputation.ts'

export const signIn = new Hono<{ Bindings: Env }>().post(
  '/',
  operation({
    summary: 'Sign in',
    details: 'By an EIP-712 message over the chain id, the address, the origin of this edge and the time.',
    access: 'anyone',
    // A signature to check, and perhaps an account to make.
    weight: 50,
    body: SignIn,
    answers: { 200: Session },
    errors: ['invalid_signature', 'stale_sign_in'],
  }),
  async (c) => {
    const network = networkOf(c.env)
    const { signature, ...message } = c.req.valid('json')
    const now = Date.now()
    const origin = new URL(c.req.url).origin
    if (message.audience !== origin) {
      throw new DomainError('invalid_signature', { detail: `the audience must be ${origin}`, pointer: '/audience' })
    }
    if (Math.abs(now - message.issuedAt) > SIGN_IN_WINDOW_MS) {
      throw new DomainError('stale_sign_in', {
        detail: `issuedAt is ${message.issuedAt - now} ms from the edge's clock`,
        pointer: '/issuedAt',
      })
    }
    if (!(await network.isSignedIn(message, signature))) throw new DomainError('invalid_signature')
    unwrap(await network.account(message.address).signIn(message.issuedAt))
    return c.json(await issueSession(network, message.address, origin, now))
  },
)

export const account = new Hono<{ Bindings: Env }>()
  .get(
    '/',
    operation({ summary: 'Read the account', access: 'account:read', answers: { 200: AccountView } }),
    async (c) => c.json(await accountView(networkOf(c.env), c.get('principal').address)),
  )
  .get(
    '/reputation',
    operation({
      summary: "Read the account's reputation as a requester",
      details: 'As of the last closed hour of the public log, with the name under which that tells of it.',
      access: 'account:read',
      answers: { 200: RequesterReputation },
    }),
    async (c) => c.json(await ownReputation(networkOf(c.env), c.get('principal').address)),
  )
  .get(
    '/providers',
    operation({
      summary: "Read the account's providers",
      details:
        'Those whose agents named it as their owner, and itself if it is one, each with what it earned device by device. Nobody else is told.',
      access: 'session',
      answers: { 200: OwnProviders },
    }),
    async (c) => {
      const { address } = c.get('principal')
      return c.json(mergedOwn(await networkOf(c.env).everywhere((market) => market.ownProviders(address))))
    },
  )
  .get(
    '/providers/:address/why',
    operation({
      summary: "Why one of the account's providers gets the work it gets",
      access: 'session',
      params: ProviderPath,
      answers: { 200: Why },
      errors: ['provider_not_found'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.req.valid('param')
      const home = await homeOf(network, address)
      if (!home) throw new DomainError('provider_not_found')
      return c.json(unwrap(await network.market(home).whyOf(c.get('principal').address, address)))
    },
  )
  .get(
    '/lanes',
    operation({
      summary: 'Read the lanes that the account signs for itself',
      access: 'account:read',
      answers: { 200: z.object({ lanes: z.array(OwnLane) }) },
    }),
    async (c) => {
      const { address } = c.get('principal')
      const lanes = await networkOf(c.env).everywhere((market) => market.ownLanes(address))
      return c.json({ lanes: lanes.flat() })
    },
  )
  .post(
    '/lanes/close',
    operation({
      summary: 'Ask a provider to close a lane',
      details:
        'The lane takes no more tasks. Its provider signs that it charges no more and frees what is locked, in a minute or two; ask again until `closing` is there. A closed lane stays closed: another key opens another.',
      access: 'session',
      body: CloseLane,
      answers: { 200: OwnLane },
      errors: ['lane_not_found', 'lane_in_use'],
    }),
    async (c) => {
      const { account, provider } = c.req.valid('json')
      const network = networkOf(c.env)
      const home = await homeOf(network, provider)
      if (!home) throw new DomainError('lane_not_found')
      return c.json(unwrap(await network.market(home).askToClose(c.get('principal').address, account, provider)))
    },
  )
  .post(
    '/faucet',
    operation({
      summary: 'Take tokens from the faucet',
      details: 'Development networks only; where there is a chain, the tokens are deposited on it.',
      access: 'session',
      answers: { 200: AccountView },
      errors: ['faucet_closed', 'faucet_limit', 'chain_unreachable'],
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      await takeFromFaucet(network, address)
      return c.json(await accountView(network, address))
    },
  )

export const keys = new Hono<{ Bindings: Env }>()
  .get(
    '/',
    operation({
      summary: 'List the API keys',
      access: 'session',
      answers: { 200: z.object({ keys: z.array(KeyView) }) },
    }),
    async (c) => {
      const { address } = c.get('principal')
      const all = await networkOf(c.env).account(address).keys()
      return c.json({ keys: all.map(keyView) })
    },
  )
  .post(
    '/',
    operation({
      summary: 'Make an API key',
      details: '`key` is shown this once.',
      access: 'session',
      body: CreateKey,
      examples: { bounded: { name: 'laptop', scopes: ['tasks:write', 'tasks:read'], budget: '5' } },
      answers: { 201: KeyView.extend({ key: z.string() }) },
    }),
    async (c) => {
      const network = networkOf(c.env)
      const { address } = c.get('principal')
      const { budget, ...wanted } = c.req.valid('json')
      const { id, hash, key } = await newKey(network, address)
      const limit = budget === undefined ? null : parseAmount(budget)
      const made = await network.account(address).makeKey(id, hash, { ...wanted, budget: limit })
      return c.json({ ...keyView(made), key }, 201)
    },
  )
  .delete(
    '/:id',
    operation({ summary: 'Revoke an API key', access: 'session', answers: { 204: null }, errors: ['not_found'] }),
    async (c) => {
      const { address } = c.get('principal')
      const revoked = await networkOf(c.env).account(address).revokeKey(c.req.param('id'))
      if (!revoked) throw new DomainError('not_found', { detail: 'no such key of yours' })
      return c.body(null, 204)
    },
  )

/** An account with what the markets hold of it: free is all that can still be spent. */
async function accountView(network: Network, address: Address): Promise<AccountView> {
  const balances = await network.account(address).balances()
  const purses = await network.everywhere((market) => market.purses(address))
  const sum = (name: 'available' | 'held' | 'captured') => purses.reduce((total, purse) => total + purse[name], 0n)
  return {
    address,
    deposited: formatAmount(balances.deposited),
    // Below nothing when what was held or charged has been taken out on the chain.
    free: formatAmount(max(balances.free + sum('available'), 0n)),
    held: formatAmount(sum('held')),
    spent: formatAmount(sum('captured')),
    earned: formatAmount(balances.earned),
    ...(network.chain && { chain: depositTo(network, address) }),
  }
}

function depositTo(network: Network, address: Address) {
  const { account, signer } = network.signerOf(address)
  return { account, signer }
}

function keyView({ id, name, scopes, budget, expiresAt, createdAt }: ApiKey): KeyView {
  const view: KeyView = { id, name, scopes, createdAt }
  if (budget !== null) view.budget = formatAmount(budget)
  if (expiresAt !== null) view.expiresAt = expiresAt
  return view
}
