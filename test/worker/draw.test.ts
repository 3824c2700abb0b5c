import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import { SESSION_KEY } from '#core/account.ts'
import { type Book, record } from '#core/book.ts'
import { parseAmount } from '#core/money.ts'
import { purseId } from '#core/purse.ts'
import type { Market } from '#worker/objects/market.ts'
import { type MarketStore, writeMarket } from '#worker/objects/market-store.ts'
import { accountOf, bindings, books, market, requester } from '../support/network.ts'

test('what an account granted is not lost when its market ends before it has the answer', async () => {
  const alice = await requester()
  const drawn = (await books()).drawn
  await runInDurableObject(market(), (object: Market) => {
    const { book, store } = object as unknown as { book: Book; store: MarketStore }
    record(book, { type: 'drawing', at: Date.now(), purse: purseId(alice.address, SESSION_KEY) })
    writeMarket(store)
  })
  const amount = parseAmount('3')
  await bindings.ACCOUNT.getByName(alice.address).draw({ cell: 'c1', key: SESSION_KEY, least: amount, most: amount })
  expect(await accountOf(alice)).toMatchObject({ deposited: '100', free: '97' })

  await evictDurableObject(market())
  await runDurableObjectAlarm(market())
  expect(await accountOf(alice)).toMatchObject({ deposited: '100', free: '100', held: '0', spent: '0' })
  expect(parseAmount((await books()).drawn) - parseAmount(drawn)).toBe(amount)
})
