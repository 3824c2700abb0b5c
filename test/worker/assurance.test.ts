/** Assurance by the real Worker: two or three providers, of which one may lie. */
import { createScheduledController, runDurableObjectAlarm } from 'cloudflare:test'
import { expect, onTestFinished, test, vi } from 'vitest'
import { connect } from '#client/daicn.ts'
import type { Quote } from '#core/protocol/quote.ts'
import type { TaskView } from '#core/protocol/task.ts'
import type { Evidence } from '#core/receipt.ts'
import { sha256 } from '#worker/auth.ts'
import worker from '#worker/index.ts'
import {
  accountOf,
  bindings,
  books,
  CHAT,
  denied,
  ledger,
  market,
  OFFER,
  ORIGIN,
  type Person,
  poll,
  provider,
  read,
  request,
  requester,
  send,
  submit,
  succeeded,
} from '../support/network.ts'

const chat = (model: string, over: object = {}) => ({
  ...CHAT,
  model,
  input: { ...CHAT.input, temperature: 0 },
  assurance: { level: 'quorum', n: 3, k: 2 },
  ...over,
})
const crew = (model: string, size: number) =>
  Promise.all(Array.from({ length: size }, () => provider([{ ...OFFER, model, digest: 'sha256:1' }])))

/** Each does what it is given, with its own words, until nobody is given anything. */
async function work(words: Map<Person, string>): Promise<void> {
  const seen = new Map<Person, number>()
  for (let busy = true; busy; ) {
    busy = false
    for (const [who, word] of words) {
      const { leases } = await poll(who, { free: 1, seen: seen.get(who) ?? 0 })
      const [lease] = leases
      if (!lease) continue
      busy = true
      seen.set(who, lease.seq)
      const { results } = await poll(who, { seen: lease.seq, results: [succeeded(lease.id, word)] })
      expect(results).toEqual([{ lease: lease.id, accepted: true }])
    }
  }
}

test('a liar among three is refuted and not paid; who asked pays two results and sees what each said', async () => {
  const [alice, [liar, bob, carol]] = [await requester(), await crew('three', 3)]
  const before = await accountOf(alice)
  const task = await submit(alice, chat('three') as never)
  await work(new Map([[liar!, 'no']]))
  expect(await read(alice, task.id)).toMatchObject({ status: 'verifying', attempts: [{ state: 'delivered' }] })
  await work(
    new Map([
      [bob!, 'yes'],
      [carol!, 'yes'],
    ]),
  )
  const done = await read(alice, task.id)
  expect(done).toMatchObject({
    status: 'succeeded',
    output: { content: 'yes' },
    price: '0.000012',
    assurance: { level: 'quorum', results: 3, agreed: 2 },
  })
  expect(done.attempts.map(({ provider, state, price }) => [provider, state, price])).toEqual([
    [liar!.address, 'refuted', undefined],
    [bob!.address, 'succeeded', '0.000006'],
    [carol!.address, 'succeeded', '0.000006'],
  ])
  const { captured, earned, fees } = await books()
  expect(Number(captured)).toBeCloseTo(Number(earned) + Number(fees), 18)
  expect((await accountOf(alice)).deposited).toBe(before.deposited)

  const { body } = await send<Evidence>('GET', `/v1/tasks/${task.id}/evidence`, alice)
  expect(body.results.map(({ state, output }) => [state, (output as { content: string }).content])).toEqual([
    ['refuted', 'no'],
    ['succeeded', 'yes'],
    ['succeeded', 'yes'],
  ])
  denied(await send('GET', `/v1/tasks/${task.id}/evidence`, await requester()), 404, 'task_not_found')

  // What it did to them is in the public log, and counts the same for everybody.
  await worker.scheduled(createScheduledController({ cron: '* * * * *' }), bindings)
  const fetch = ((url: URL, init?: RequestInit) => request(url.pathname + url.search, init)) as typeof globalThis.fetch
  const all = await connect({ edge: ORIGIN, fetch }).checkReputations({ provider: liar!.address })
  expect(all).toMatchObject([{ ok: true, told: { failures: 10, outcomes: 1, streak: 0 } }])
})

test('a spot check is drawn for a newcomer; two that differ without a third cost nothing', async () => {
  const [alice, [bob, carol]] = [await requester(), await crew('two', 2)]
  const task = await submit(alice, chat('two', { assurance: { level: 'spot' }, deadlineSeconds: 1 }) as never)
  await work(
    new Map([
      [bob!, 'one'],
      [carol!, 'other'],
    ]),
  )
  const { body } = await send<TaskView>('GET', `/v1/tasks/${task.id}?waitSeconds=10`, alice)
  expect(body).toMatchObject({ status: 'expired', price: '0', assurance: { level: 'spot', results: 2, agreed: 0 } })
})

test('a quote tells what an assurance takes, and how likely it catches a wrong result', async () => {
  const [alice] = [await requester(), await crew('quoted', 2)]
  const quote = async (assurance?: object) =>
    (await send<Quote>('POST', '/v1/quote', { token: alice.token, body: chat('quoted', { assurance }) })).body
  const none = await quote()
  expect(none.assurance).toBeNull()
  const spot = await quote({ level: 'spot' })
  expect(spot.assurance).toEqual({
    level: 'spot',
    enough: true,
    results: { least: 1, expected: 2, most: 3 },
    detection: 1,
    collusion: [0.1, 0.3].map((share) => ({ share, detection: expect.closeTo((1 - share) ** 2) })),
  })
  const quorum = await quote({ level: 'quorum', n: 5, k: 3 })
  expect(quorum.assurance).toEqual({
    level: 'quorum',
    enough: false,
    results: { least: 3, expected: 3, most: 5 },
    detection: 1,
    collusion: [
      { share: 0.1, detection: expect.closeTo(0.9477) },
      { share: 0.3, detection: expect.closeTo(0.6517) },
    ],
  })
  const ceiling = ({ price }: Quote) => Math.round(Number(price.ceiling) / Number(none.price.ceiling))
  expect([ceiling(spot), ceiling(quorum)]).toEqual([3, 5])
})

test.each<[string, object, number, string, string]>([
  [
    'more that agree than there are',
    { assurance: { level: 'quorum', n: 2, k: 3 } },
    422,
    'invalid_request',
    '/assurance/k',
  ],
  ['a stream', { stream: true }, 422, 'not_comparable', '/assurance'],
  ['a chat that is warm', { input: { ...CHAT.input, temperature: 1 } }, 422, 'not_comparable', '/assurance'],
  ['more providers than there are', { assurance: { level: 'quorum', n: 9, k: 9 } }, 503, 'no_provider', '/assurance'],
])('an assurance for %s is refused, and nothing is held', async (_, over, status, code, pointer) => {
  const [alice] = [await requester(), await crew('refused', 1)]
  const before = await ledger(alice)
  denied(
    await send('POST', '/v1/tasks', { token: alice.token, body: chat('refused', over) }),
    status,
    code as never,
    pointer,
  )
  expect(await ledger(alice)).toEqual(before)
})

test('a chat of an OpenAI client is assured by one field', async () => {
  const [alice, [bob, carol]] = [await requester(), await crew('openai', 2)]
  const body = {
    model: 'openai',
    messages: [{ role: 'user', content: 'hello' }],
    temperature: 0,
    daicn: { assurance: { level: 'quorum', n: 2, k: 2 } },
  }
  const answer = send<{ choices: { message: { content: string } }[] }>('POST', '/v1/chat/completions', {
    token: alice.token,
    body,
  })
  for (const who of [bob!, carol!]) {
    const [lease] = (await poll(who, { free: 1, waitSeconds: 20 })).leases
    await poll(who, { seen: lease!.seq, results: [succeeded(lease!.id, 'both say so')] })
  }
  expect((await answer).body.choices[0]!.message.content).toBe('both say so')
})

/** An account of the operator's; its key is the one that may pay for canaries, up to its budget. */
async function operator(budget: bigint): Promise<{ token: string }> {
  const token = bindings.CANARY_KEYS!
  const [, account, id, secret] = token.split('_') as [string, string, string, string]
  const own = bindings.ACCOUNT.getByName(`0x${account}`)
  await own.faucet()
  await own.makeKey(id, await sha256(secret), { name: 'canaries', scopes: ['tasks:write', 'tasks:read'], budget })
  return { token }
}

test('what a quorum of the operator agreed upon is asked of another by surprise: a lie is refuted, and the allowance bounds it', async () => {
  // A canary holds what nine results could come to, 0.00297; two right results of the quorum and two of the canary are 0.000024.
  const owner = await operator(299n * 10n ** 13n)
  const [alice, [bob, carol, liar, dave, erin]] = [await requester(), await crew('canary', 5)]
  const every = (words: [Person, string][]) => work(new Map(words))
  const yes: [Person, string][] = [bob!, carol!].map((who) => [who, 'yes'])
  const ask = () => submit(owner, chat('canary', { assurance: { level: 'quorum', n: 2, k: 2 } }) as never)
  await ask()
  await every(yes)

  // Some time after any task of the class there comes another, that nobody asked for.
  const plain = await submit(alice, chat('canary', { assurance: undefined }) as never)
  const { leases } = await poll(liar!, { free: 1 })
  const [first] = leases
  expect(first!.id).toContain(plain.id)
  await poll(liar!, { seen: first!.seq, results: [succeeded(first!.id, 'yes')] })
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 300_000 })
  onTestFinished(() => void vi.useRealTimers())
  await runDurableObjectAlarm(market())
  const { leases: more } = await poll(liar!, { free: 1, seen: first!.seq })
  const [surprise] = more
  expect(surprise).toMatchObject({ kind: first!.kind, model: first!.model, input: first!.input })
  expect(Object.keys(surprise!).sort()).toEqual(Object.keys(first!).sort())
  expect(Object.keys(surprise!.terms!)).toEqual(Object.keys(first!.terms!))
  await poll(liar!, { seen: surprise!.seq, results: [succeeded(surprise!.id, 'no')] })
  await every([...yes, [dave!, 'yes'], [erin!, 'yes']])

  const id = surprise!.id.split('.')[0]!
  const done = await read(owner, id)
  expect(done.attempts.map(({ provider, state }) => [provider, state])).toEqual([
    [liar!.address, 'refuted'],
    [expect.anything(), 'succeeded'],
    [expect.anything(), 'succeeded'],
  ])
  // The way to a dispute is that of any assured task.
  const { body } = await send<Evidence>('GET', `/v1/tasks/${id}/evidence`, owner)
  expect(body.results[0]).toMatchObject({ state: 'refuted', output: { content: 'no' } })
  await worker.scheduled(createScheduledController({ cron: '* * * * *' }), bindings)
  const fetch = ((url: URL, init?: RequestInit) => request(url.pathname + url.search, init)) as typeof globalThis.fetch
  const all = await connect({ edge: ORIGIN, fetch }).checkReputations({ provider: liar!.address })
  expect(all).toMatchObject([{ ok: true, told: { failures: 10, outcomes: 2, streak: 0 } }])

  // There is another that is known, and nothing left to hold for it.
  await ask()
  await every(yes)
  await submit(alice, chat('canary', { assurance: undefined }) as never)
  await every([[dave!, 'yes']])
  vi.setSystemTime(Date.now() + 300_000)
  await runDurableObjectAlarm(market())
  for (const who of [liar!, dave!, erin!]) expect((await poll(who, { free: 1, seen: 99 })).leases).toEqual([])
  expect((await books()).held).toBe('0')
})

test('results that are held side by side may be the smaller, the more of them there are', async () => {
  const [alice, [small, large]] = [await requester(), await crew('side-by-side', 9)]
  const task = await submit(alice, chat('side-by-side', { assurance: { level: 'quorum', n: 9, k: 5 } }) as never)
  // A ninth of what all may have together, and two bytes for a character.
  await work(new Map([[small!, 'x'.repeat(85_000)]]))
  await work(new Map([[large!, 'x'.repeat(90_000)]]))
  const { attempts } = await read(alice, task.id)
  expect(attempts.find(({ provider }) => provider === small!.address)!.state).toBe('delivered')
  expect(attempts.find(({ provider }) => provider === large!.address)!.error).toMatchObject({
    code: 'invalid_output',
    message: 'output: larger than 177777 bytes',
  })
})
