/** The public log by the real Worker: hours are closed, each goes on from the one before, and nothing in them can be changed. */
import { createScheduledController } from 'cloudflare:test'
import { keccak256 } from 'viem'
import { expect, test } from 'vitest'
import { proofOf, verifyLog } from '#client/log.ts'
import { hourName, hourOf } from '#core/public-log.ts'
import type { Receipt } from '#core/receipt.ts'
import worker from '#worker/index.ts'
import { bindings, poll, provider, request, requester, send, work } from '../support/network.ts'
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
  expect(await verifyLog([first])).toMatchObject({ ok: true, checks: { length: 4 } })
  expect(first.trim().split('\n')).toHaveLength(5)

  // What ends now is of a later hour, for this one is closed.
  await work(alice, bob)
  await rollUp(start + 2 * HOUR)
  const second = await exported(start + HOUR)
  expect(await isTrue(first, second)).toBe(true)
  expect(await isTrue(second, first)).toBe(false)

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

  const [head, ...lines] = first.trim().split('\n') as [string, ...string[]]
  const changed: [string, string[]][] = [
    ['a line is missing', [head, ...lines.slice(1)]],
    ['a line is there twice', [head, lines[0]!, ...lines]],
    ['lines changed places', [head, lines[1]!, lines[0]!, lines[2]!, lines[3]!]],
    ['a provider is another', [head, ...lines.map((line) => line.replaceAll(bob.address, alice.address))]],
    ['a receipt is gone', [head, ...lines.map((line) => line.replace(/,"receipt":"\w+"/, ''))]],
    ['a line says more', [head, ...lines.slice(0, 3), lines[3]!.replace('{', '{"more":1,')]],
    ['the head is another', [head.replace(/"root":"../, '"root":"00'), ...lines]],
    ['there is no head', lines],
    ['it is empty', []],
    ['it is no JSON', [head, 'x']],
  ]
  for (const [what, text] of changed) expect([what, await isTrue(text.join('\n'))]).toEqual([what, false])
})
