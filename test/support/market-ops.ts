/** Random steps of a market world. */
import fc from 'fast-check'
import type { Checked } from '#core/assurance.ts'
import { PREFERENCES } from '#core/matching.ts'
import { ONE_TOKEN } from '#core/money.ts'
import type { Register } from '#core/protocol/provider.ts'
import type { Region } from '#core/protocol/values.ts'
import type { TaskRequest } from '#core/request.ts'
import { providerOf, registration, request } from './book.ts'
import { DEVICES, type Op, PROVIDERS, REQUESTERS, type ResultOp } from './market-world.ts'

const requester = fc.nat(REQUESTERS - 1)
const provider = fc.nat(PROVIDERS - 1)
const region = fc.constantFrom<Region | null>(null, null, 'weur', 'apac')
const ms = fc.constantFrom(0, 1, 500, 1000, 2000, 4000, 7000, 10_000, 30_000, 61_000)
const either = <T>(...values: T[]) => fc.constantFrom(...values)

const assurance = either<Checked | undefined>(
  undefined,
  { level: 'spot' },
  { level: 'quorum', n: 2, k: 2 },
  { level: 'quorum', n: 3, k: 2 },
)

const requests: fc.Arbitrary<TaskRequest> = fc
  .record({
    model: either('m', 'm', 'n', null),
    bid: fc.integer({ min: 1, max: 6 }).map((n) => (BigInt(n) * ONE_TOKEN) / 4n + 7n),
    maxUnits: fc.integer({ min: 1, max: 8 }),
    preference: either(...PREFERENCES),
    minReputation: either(0, 0, 0.05, 0.2),
    minContext: either(0, 0, 10),
    region,
    exclude: either([], [], [providerOf(0)]),
    deadlineMs: either(3000, 8000, 40_000, 600_000),
    maxAttempts: fc.integer({ min: 1, max: 4 }),
    bytes: fc.nat(100),
    stream: either(false, false, true),
    assurance,
    lot: either(0, 0.3, 0.9),
  })
  .map(({ assurance, lot, stream, ...parts }) =>
    stream || !assurance ? { ...parts, stream } : { ...parts, stream, assurance, lot },
  )
  .map((parts) => request({ kind: 'llm.chat', input: { messages: [{ role: 'user', content: 'hi' }] }, ...parts }))

const registrations: fc.Arbitrary<Register> = fc
  .record({
    slots: fc.integer({ min: 1, max: 4 }),
    region,
    offers: fc.array(
      fc.record({
        model: either('m', 'n'),
        ask: either('0', '0.25', '0.5', '1'),
        speed: either(1, 10),
        context: either(0, 10, 20),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ slots, region, offers }) =>
    registration({
      slots,
      ...(region && { region }),
      devices: DEVICES.slice(0, slots).map((id) => ({ id, kind: 'nvidia', name: '', memoryBytes: 0 })),
      offers: offers.map((offer) => ({ kind: 'llm.chat', ...offer })),
    }),
  )

const results: fc.Arbitrary<ResultOp> = fc.record({
  lease: fc.nat(),
  is: either('good', 'good', 'good', 'good', 'other', 'bad output', 'failed', 'returned'),
  twice: either(false, false, true),
})

const ops: fc.Arbitrary<Op> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: either('submit'),
      requester,
      requests: fc.array(requests, { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: either('register'), provider, registration: registrations }) },
  {
    weight: 14,
    arbitrary: fc.record({
      do: either('poll'),
      provider,
      free: fc.nat(4),
      seen: either('all', 'all', 'all', 'none', 'old'),
      renew: either(255, 255, 254, 85, 0),
      results: fc.array(results, { maxLength: 3 }),
      deaf: either(false, false, true),
      stays: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: either('seal'),
      task: fc.nat(),
      attempt: either('last', 'last', 'last', 'first'),
      tokens: either(0, 1, 2, 20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: either('cancel'), task: fc.nat() }) },
  { weight: 5, arbitrary: fc.record({ do: either('wait'), ms }) },
  { weight: 1, arbitrary: fc.record({ do: either('outage'), ms }) },
  { weight: 2, arbitrary: fc.record({ do: either('vanish'), provider }) },
  { weight: 2, arbitrary: fc.record({ do: either('settle'), requester, old: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: either('restore'), requester }) },
  { weight: 1, arbitrary: fc.record({ do: either('archive') }) },
) as fc.Arbitrary<Op>

const comes = (provider: number): Op[] => [
  {
    do: 'register',
    provider,
    registration: registration({ offers: [{ kind: 'llm.chat', model: 'm', ask: '0', speed: 1 }] }),
  },
  { do: 'poll', provider, free: 1, seen: 'all', renew: 255, results: [], deaf: false, stays: true },
]
/** A task is late, and two providers are at it. */
const LATE: Op[] = [
  ...comes(2),
  {
    do: 'submit',
    requester: 0,
    requests: [
      request({
        kind: 'llm.chat',
        input: { messages: [{ role: 'user', content: 'hi' }] },
        bid: 7n,
        deadlineMs: 40_000,
      }),
    ],
  },
  ...comes(3),
  { do: 'wait', ms: 7000 },
]

/** A run of steps that begins with everybody there, or with a task that is late; a provider may be a requester's own. */
export const runs = (maxLength: number): fc.Arbitrary<Op[]> =>
  fc
    .tuple(
      fc.tuple(...Array.from({ length: PROVIDERS }, () => registrations)),
      either([], LATE),
      fc.array(ops, { maxLength, size: 'max' }),
    )
    .map(([first, late, rest]) => [
      ...first.map((registration, provider): Op => ({ do: 'register', provider, registration })),
      ...late,
      ...rest,
    ])
