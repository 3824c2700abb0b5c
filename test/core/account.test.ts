import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Account,
  type ApiKey,
  applyToAccount,
  checkSignIn,
  createAccount,
  drawable,
  drawOf,
  earnedOf,
  freeOf,
  grantDraw,
  SESSION_KEY,
} from '#core/account.ts'
import { signInTypedData } from '#core/sign-in.ts'
import { requesterOf, T0 } from '../support/book.ts'
import { holds } from '../support/property.ts'

const key = (id: string, over: Partial<ApiKey> = {}): ApiKey => ({
  id,
  name: id,
  hash: '',
  scopes: ['tasks:write'],
  budget: null,
  expiresAt: null,
  createdAt: T0,
  ...over,
})

function accountWith(deposit: bigint, keys: ApiKey[] = []): Account {
  const account = createAccount()
  applyToAccount(account, { type: 'deposited', at: T0, amount: deposit, source: 'faucet' })
  for (const made of keys) applyToAccount(account, { type: 'key_made', at: T0, key: made })
  return account
}

/** What a market asks and the account answers. */
function draw(account: Account, cell: string, keyId: string, least: bigint, most: bigint): bigint {
  const total = grantDraw(account, { cell, key: keyId, least, most }, T0)
  if (total > drawOf(account, cell, keyId).drawn) {
    applyToAccount(account, { type: 'drew', at: T0, cell, key: keyId, total })
  }
  return total
}

const cells = ['c1', 'c2']
const keys = [SESSION_KEY, 'bounded', 'free', 'expired', 'unknown']
const units = fc.bigInt(0n, 500n)
const call = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('draw' as const),
      cell: fc.constantFrom(...cells),
      key: fc.constantFrom(...keys),
      more: units,
      reach: units,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat(),
      part: fc.nat(100),
      captured: fc.nat(100),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('earn' as const), cell: fc.constantFrom(...cells), total: units }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deposit' as const), amount: units }) },
)

test('draws never exceed what is free or what a key may spend, and the account always adds up', () => {
  holds(
    fc.property(fc.array(call, { maxLength: 60 }), fc.bigInt(0n, 2000n), (calls, budget) => {
      const account = accountWith(1000n, [key('bounded', { budget }), key('free'), key('expired', { expiresAt: T0 })])
      let deposited = 1000n
      for (const op of calls) {
        if (op.do === 'deposit') {
          applyToAccount(account, { type: 'deposited', at: T0, amount: op.amount, source: 'faucet' })
          deposited += op.amount
        } else if (op.do === 'earn') {
          const before = earnedOf(account)
          applyToAccount(account, { type: 'earned', at: T0, cell: op.cell, total: op.total })
          expect(earnedOf(account) >= before).toBe(true)
        } else if (op.do === 'settle') {
          const open = [...account.draws]
          if (open.length === 0) continue
          const [id, { drawn }] = open[op.which % open.length]!
          const [cell, keyId] = id.split('/') as [string, string]
          const restored = (drawn * BigInt(op.part)) / 100n
          const captured = ((drawn - restored) * BigInt(op.captured)) / 100n
          applyToAccount(account, { type: 'settled', at: T0, cell, key: keyId, captured, restored })
        } else {
          const free = freeOf(account)
          const { drawn } = drawOf(account, op.cell, op.key)
          const least = drawn + op.more
          const total = draw(account, op.cell, op.key, least, least + op.reach)
          expect(total >= drawn).toBe(true)
          expect(total - drawn <= free).toBe(true)
          expect(total <= least + op.reach || total === drawn).toBe(true)
          if (op.key === 'expired' || op.key === 'unknown') expect(total).toBe(0n)
        }
        let out = 0n
        let bounded = 0n
        for (const [id, { drawn, restored }] of account.draws) {
          out += drawn - restored
          if (id.endsWith('/bounded')) bounded += drawn - restored
        }
        expect(freeOf(account)).toBe(deposited - out)
        expect(freeOf(account) >= 0n).toBe(true)
        expect(bounded <= budget).toBe(true)
      }
    }),
  )
})

test('a draw is granted what it needs when that can be had, and a reserve of at most a quarter of what is free', () => {
  expect(draw(accountWith(1000n), 'c1', SESSION_KEY, 10n, 2560n)).toBe(250n)
  expect(draw(accountWith(1000n), 'c1', SESSION_KEY, 10n, 20n)).toBe(20n)
  expect(draw(accountWith(1000n), 'c1', SESSION_KEY, 900n, 5000n)).toBe(900n)
})

test('a draw that cannot be had takes nothing, so that what is free stays free for others', () => {
  const account = accountWith(1000n, [key('k', { budget: 100n })])
  expect(draw(account, 'c1', SESSION_KEY, 1001n, 100_000n)).toBe(0n)
  expect(draw(account, 'c1', 'k', 101n, 100_000n)).toBe(0n)
  expect(freeOf(account)).toBe(1000n)
  expect(draw(account, 'c2', 'k', 100n, 100n)).toBe(100n)
})

test('a draw asked for again is answered with the same total', () => {
  const account = accountWith(1000n)
  const total = draw(account, 'c1', SESSION_KEY, 100n, 300n)
  expect(draw(account, 'c1', SESSION_KEY, 100n, 300n)).toBe(total)
  expect(freeOf(account)).toBe(1000n - total)
})

test('what a market reports may come twice, late or out of order: only the highest totals count', () => {
  type Report = { captured: bigint; restored: bigint; earned: bigint }
  const growing = fc
    .array(fc.record({ captured: units, restored: units, earned: units }), { minLength: 1, maxLength: 8 })
    .map((steps) => {
      const sum: Report = { captured: 0n, restored: 0n, earned: 0n }
      return steps.map((step) => {
        for (const name of ['captured', 'restored', 'earned'] as const) sum[name] += step[name]
        return { ...sum }
      })
    })
  const withNoise = growing.chain((reports) =>
    fc.tuple(fc.constant(reports), fc.shuffledSubarray([...reports, ...reports], { minLength: 0 })),
  )
  holds(
    fc.property(withNoise, ([reports, noise]) => {
      const last = reports.at(-1)!
      const account = accountWith(100_000n)
      draw(account, 'c1', SESSION_KEY, 20_000n, 20_000n)
      for (const { captured, restored, earned } of [...noise, last, ...noise]) {
        applyToAccount(account, { type: 'settled', at: T0, cell: 'c1', key: SESSION_KEY, captured, restored })
        applyToAccount(account, { type: 'earned', at: T0, cell: 'c1', total: earned })
      }
      expect(freeOf(account)).toBe(80_000n + last.restored)
      expect(drawOf(account, 'c1', SESSION_KEY).captured).toBe(last.captured)
      expect(earnedOf(account)).toBe(last.earned)
    }),
  )
})

test('a key draws nothing once it is revoked or expired, and what it gave back counts for its budget again', () => {
  const account = accountWith(1000n, [key('k', { budget: 200n, expiresAt: T0 + 1000 })])
  draw(account, 'c1', 'k', 200n, 200n)
  expect(drawable(account, 'k', T0)).toBe(0n)
  applyToAccount(account, { type: 'settled', at: T0, cell: 'c1', key: 'k', captured: 50n, restored: 150n })
  expect(drawable(account, 'k', T0)).toBe(150n)
  expect(drawable(account, 'k', T0 + 999)).toBe(150n)
  expect(drawable(account, 'k', T0 + 1000)).toBe(0n)
  applyToAccount(account, { type: 'key_revoked', at: T0, id: 'k' })
  expect(drawable(account, 'k', T0)).toBe(0n)
})

test('a sign-in is taken once, and only later ones after it', () => {
  const account = createAccount()
  checkSignIn(account, T0)
  applyToAccount(account, { type: 'signed_in', at: T0, issuedAt: T0 })
  const stale = expect.objectContaining({ code: 'stale_sign_in' })
  expect(() => checkSignIn(account, T0)).toThrow(stale)
  expect(() => checkSignIn(account, T0 - 1)).toThrow(stale)
  expect(() => checkSignIn(account, T0 + 1)).not.toThrow()
})

test('what is signed names the address, the edge, the chain and the time', () => {
  const message = { address: requesterOf(1), audience: 'https://edge.example', issuedAt: T0 }
  const typed = signInTypedData(8453, message)
  expect(typed.domain.chainId).toBe(8453)
  expect(typed.message).toEqual({ ...message, issuedAt: BigInt(T0) })
  expect(typed.types.SignIn.map(({ name }) => name)).toEqual(Object.keys(message))
})
