/**
 * The public log by the real Worker: hours are closed, each goes on from the one before, nothing in them can be changed, and
 * neither there nor anywhere else that others see is what is not theirs to know.
 */
import { createScheduledController, runInDurableObject } from 'cloudflare:test'
import { keccak256 } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { expect, test, vi } from 'vitest'
import { proofOf, verifyLog } from '#client/log.ts'
import type { ProviderView } from '#core/directory.ts'
import type { HourHead, LogConsistency } from '#core/hour-log.ts'
import { parseAmount, splitFee } from '#core/money.ts'
import type { ProviderHistory } from '#core/provider-history.ts'
import { hourName, hourOf } from '#core/public-log.ts'
import type { Receipt } from '#core/receipt.ts'
import worker from '#worker/index.ts'
import {
  bindings,
  failed,
  OFFER,
  poll,
  provider,
  read,
  request,
  requester,
  send,
  signIn,
  submit,
  succeeded,
  work,
} from '../support/network.ts'
import { leased, signedResult, signer } from '../support/signer.ts'

const HOUR = 3_600_000
const start = Date.now()
const rollUp = (at: number) =>
  worker.scheduled(createScheduledController({ cron: '* * * * *', scheduledTime: new Date(at) }), bindings)
const exported = async (at: number) => (await request(`/v1/exports/${hourName(hourOf(at))}`)).text()
const isTrue = async (...texts: string[]) => (await verifyLog(texts)).ok

test('an hour that is over is closed, proves its receipts to a contract, and goes on from the hour before', async () => {
  const [alice, bob] = [await requester(), await provider()]
  for (let i = 0; i < 3; i++) await work(alice, bob)
  const who = await signer('logged')
  const lease = await leased(who, alice, 'logged')
  await poll(who, { results: [await signedResult(who, lease)] })
  await rollUp(start)
  expect(await isTrue(await exported(start))).toBe(false)

  await rollUp(start + HOUR)
  const first = await exported(start)
  await rollUp(start + HOUR)
  expect(await exported(start)).toBe(first)
  expect(await verifyLog([first])).toMatchObject({ ok: true, checks: { length: 5 } })
  // A head, four tasks, and what came of those of alice.
  expect(first.trim().split('\n')).toHaveLength(6)

  // What ends now is of a later hour, for this one is closed.
  await work(alice, bob)
  await rollUp(start + 2 * HOUR)
  const second = await exported(start + HOUR)
  expect(await isTrue(first, second)).toBe(true)
  expect(await isTrue(second, first)).toBe(false)

  // An hour between two that are at hand is vouched for by its head alone.
  await work(alice, bob)
  await rollUp(start + 3 * HOUR)
  const third = await exported(start + 2 * HOUR)
  const span = `from=${hourName(hourOf(start))}&to=${hourName(hourOf(start + 2 * HOUR))}`
  const { heads } = (await send<LogConsistency>('GET', `/v1/log/consistency?${span}`)).body
  expect(heads.map(({ hour }) => hour)).toEqual([0, 1, 2].map((n) => hourName(hourOf(start + n * HOUR))))
  expect(await isTrue(first, third)).toBe(false)
  expect(await verifyLog([first, third], heads)).toMatchObject({ ok: true })
  for (const [part, other] of [
    [heads[1]!.decisions.root, '1'.repeat(64)],
    [heads[1]!.receipts.root, '1'.repeat(64)],
    [heads[1]!.decisions.first![0]!, '1'.repeat(64)],
  ] as const) {
    const forged = JSON.parse(JSON.stringify(heads).replaceAll(part, other)) as HourHead[]
    expect((await verifyLog([first, third], forged)).ok).toBe(false)
  }
  expect((await send('GET', '/v1/log/consistency?from=yesterday&to=2026-11-22T19')).status).toBe(422)

  const id = lease.id.slice(0, lease.id.lastIndexOf('.'))
  const { body: receipt } = await send<Receipt>('GET', `/v1/tasks/${id}/receipt`, alice)
  const { hash, proof } = (await proofOf(receipt, first))!
  // As ReceiptLog.includes computes it.
  const root = proof.reduce<`0x${string}`>(
    (node, sibling) => {
      const [x, y] = node < `0x${sibling}` ? [node.slice(2), sibling] : [sibling, node.slice(2)]
      return keccak256(`0x${x}${y}`)
    },
    keccak256(`0x${hash}`),
  )
  expect(root).toBe(`0x${JSON.parse(first.split('\n')[0]!).receipts.root}`)
  expect(await proofOf(receipt, second)).toBeNull()
  expect(await proofOf({ ...receipt, attempt: 2 }, first)).toBeNull()

  const { body: history } = await send<ProviderHistory>('GET', `/v1/providers/${bob.address}/history`)
  expect(history.until).toBe(hourName(hourOf(start + 2 * HOUR)))
  expect(history.hours).toMatchObject(
    [3, 1, 1].map((succeeded, n) => ({ hour: hourName(hourOf(start + n * HOUR)), succeeded, failed: 0, checked: 0 })),
  )
  const { body: now } = await send<ProviderView>('GET', `/v1/providers/${bob.address}`)
  const { reputation } = history.hours.at(-1)!
  const dayOf = (time: number) => new Date(time).getUTCDay()
  // The hours that were closed ahead of the clock may reach into tomorrow, when what was done today counts less.
  if (dayOf(start) === dayOf(start + 2 * HOUR)) expect(reputation).toEqual(now.reputation)
  else expect(reputation!.mean).toBeLessThan(now.reputation!.mean)
  const paid = history.hours.reduce((sum, hour) => sum + parseAmount(hour.paid), 0n)
  expect(splitFee(paid).earned).toBe(parseAmount(now.earned))
  expect(history.days.length).toBeGreaterThan(0)
  for (const { looks, active } of history.days) expect([active, looks]).toEqual([looks, expect.any(Number)])
  expect((await send('GET', `/v1/providers/0x${'9'.repeat(40)}/history`)).status).toBe(404)

  const [head, ...lines] = first.trim().split('\n') as [string, ...string[]]
  const changed: [string, string[]][] = [
    ['a line is missing', [head, ...lines.slice(1)]],
    ['a line is there twice', [head, lines[0]!, ...lines]],
    ['lines changed places', [head, lines[1]!, lines[0]!, ...lines.slice(2)]],
    ['a provider is another', [head, ...lines.map((line) => line.replaceAll(bob.address, alice.address))]],
    ['a receipt is gone', [head, ...lines.map((line) => line.replace(/,"receipt":"\w+"/, ''))]],
    ['a line says more', [head, ...lines.slice(0, 4), lines[4]!.replace('{', '{"more":1,')]],
    ['a requester has done more', [head, ...lines.slice(0, 4), lines[4]!.replace(/"succeeded":\d+/, '"succeeded":9')]],
    ['the head is another', [head.replace(/"root":"../, '"root":"00'), ...lines]],
    ['there is no head', lines],
    ['it is empty', []],
    ['it is no JSON', [head, 'x']],
  ]
  for (const [what, text] of changed) expect([what, await isTrue(text.join('\n'))]).toEqual([what, false])
})

test('marked secrets, prompts and outputs are in no log, no error, no export and not in the database', async () => {
  const levels = ['debug', 'info', 'log', 'warn', 'error'] as const
  const spies = levels.map((level) => vi.spyOn(console, level).mockImplementation(() => {}))
  const mark = (what: string) => `canary-${what}-${crypto.randomUUID()}`
  const [prompt, result, excuse, delta, file] = ['prompt', 'result', 'excuse', 'delta', 'file'].map(mark) as string[]
  const agentKey = generatePrivateKey()
  const account = privateKeyToAccount(agentKey)
  const bob = { address: account.address.toLowerCase() as `0x${string}`, token: (await signIn(account)).body.token }
  const offers = [{ ...OFFER, model: 'marked' }]
  await send('POST', '/v1/provider/register', { token: bob.token, body: { slots: 4, offers } })
  const [alice, mallory] = [await requester(), await requester()]
  const hook = await send<{ id: string; secret: string }>('POST', '/v1/webhooks', {
    token: alice.token,
    body: { url: 'http://127.0.0.1:9/closed' },
  })
  const secrets = {
    apiKey: alice.token.split('_')[3]!,
    session: alice.session,
    providerToken: bob.token,
    agentKey: agentKey.slice(2),
    webhookSecret: hook.body.secret,
    edgeSecret: bindings.EDGE_SECRET,
    operatorToken: bindings.OPERATOR_TOKEN!,
    ...{ prompt, result, excuse, delta, file },
  }

  const chat = { messages: [{ role: 'user', content: prompt }], max_tokens: 20 }
  const task = { kind: 'llm.chat', model: 'marked', input: chat, maxAttempts: 1, webhook: hook.body.id } as const
  const done = await submit(alice, task)
  const [lease] = (await poll(bob, { free: 1 })).leases
  await poll(bob, { seen: lease!.seq, results: [succeeded(lease!.id, result)] })
  const lost = await submit(alice, task)
  const [second] = (await poll(bob, { free: 1, seen: lease!.seq })).leases
  const { outcome } = failed(second!.id, 'runner_crashed')
  const told = { lease: second!.id, outcome: { ...outcome, error: { ...outcome.error, message: excuse! } } }
  await poll(bob, { seen: second!.seq, results: [told] })
  await submit(alice, { ...task, stream: true })
  const [stream] = (await poll(bob, { free: 1, seen: second!.seq })).leases
  await send('PUT', `/v1/leases/${stream!.id}/output`, { token: bob.token, body: { from: 0, deltas: [delta] } })
  await poll(bob, { seen: stream!.seq, results: [failed(stream!.id)] })
  await send('PUT', `/v1/blobs/${'0'.repeat(64)}`, {
    token: alice.token,
    raw: file!,
    headers: { 'content-length': '50' },
  })
  // Whom it concerns sees it.
  expect([(await read(alice, done.id)).output, (await read(alice, lost.id)).error]).toMatchObject([
    { content: result },
    { message: excuse },
  ])

  const seen: Record<string, string> = {}
  const look = async (path: string, token?: string, body?: unknown) => {
    const { body: text } = await send(body === undefined ? 'GET' : 'POST', path, { ...(token && { token }), body })
    seen[`${path} ${Object.keys(seen).length}`] = JSON.stringify(text)
  }
  for (const token of [mallory.token, `${alice.token.slice(0, -1)}x`, `${bob.token}x`, undefined]) {
    for (const rest of ['', '/receipt', '/evidence', '/events']) await look(`/v1/tasks/${done.id}${rest}`, token)
  }
  await look('/v1/tasks', alice.token, { ...task, webhook: 'wh_none' })
  await look('/v1/tasks', alice.token, { ...task, maxPrice: '999999' })
  await look('/v1/chat/completions', alice.token, { ...chat, model: 'none' })
  await look('/v1/keys', alice.session)
  await look('/v1/webhooks', alice.token)

  await rollUp(start + 4 * HOUR)
  const pages = ['network', 'network/series', 'providers', `providers/${bob.address}`, `providers/${bob.address}/tasks`]
  for (const page of [...pages, 'reputations', 'forecast', 'models', 'exports', 'openapi.json'])
    await look(`/v1/${page}`)
  await look('/v1/operator/metrics', bindings.OPERATOR_TOKEN)
  const { hours } = JSON.parse(Object.entries(seen).find(([path]) => path.startsWith('/v1/exports'))![1]) as {
    hours: { hour: string }[]
  }
  for (const { hour } of hours) seen[`hour ${hour}`] = await (await request(`/v1/exports/${hour}`)).text()

  const tables = await bindings.DB.prepare(
    "select name from sqlite_master where type = 'table' and name not like '\\_cf%' escape '\\'",
  ).all<{
    name: string
  }>()
  for (const { name } of tables.results) {
    seen[`table ${name}`] = JSON.stringify((await bindings.DB.prepare(`select * from "${name}"`).all()).results)
  }
  seen.account = await runInDurableObject(bindings.ACCOUNT.getByName(alice.address), (_, { storage }) =>
    JSON.stringify([...storage.kv.list()], (_, value) =>
      typeof value === 'bigint' ? String(value) : value instanceof Map ? [...value] : value,
    ),
  )

  // What goes wrong on our side is logged: the database is away while there is something to be written.
  await bindings.DB.exec('alter table task_pages rename to away')
  await work(alice, await provider())
  await rollUp(start + 5 * HOUR).catch(() => {})
  await look('/v1/exports')
  await bindings.DB.exec('alter table away rename to task_pages')
  const logged = spies.flatMap(({ mock }) => mock.calls)
  seen.logs = JSON.stringify(logged)
  for (const spy of spies) spy.mockRestore()

  // It was looked for where there is something to be found.
  expect(seen['table task_pages']).toContain(done.id)
  expect(Object.values(seen).join()).toContain('task_not_found')
  expect(logged.length).toBeGreaterThan(0)
  const found = Object.entries(seen).flatMap(([where, text]) =>
    Object.entries(secrets).flatMap(([what, secret]) => (text.includes(secret!) ? [`${what} in ${where}`] : [])),
  )
  // A webhook's owner and nobody else ever sees its secret, and only when it is made.
  expect(found).toEqual([])
})

test('what ends when all that came before was dropped at the edge is told to the history too', async () => {
  const [alice, bob] = [await requester(), await provider()]
  await work(alice, bob)
  await rollUp(start + 5 * HOUR)
  await rollUp(start + 40 * HOUR)
  const left = await runInDurableObject(bindings.MARKET.getByName('c1'), (_, { storage }) => [
    ...storage.sql.exec('select id from archive'),
  ])
  expect(left).toEqual([])
  const done = await work(alice, bob)
  await rollUp(start + 40 * HOUR)
  const { results } = await bindings.DB.prepare('select 1 from task_pages where instr(tasks, ?) > 0')
    .bind(done.id)
    .all()
  expect(results).toHaveLength(1)
})
