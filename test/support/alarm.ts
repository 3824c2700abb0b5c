/** The market's alarm, rung as the platform rings it. */
import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import type { Market } from '#worker/objects/market.ts'
import { market } from './network.ts'

/** While an alarm is answered the next is not set; that is over in a second or so. */
const LOOKS = 40
const LOOK_MS = 50

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** When the next is due, Unix milliseconds. Throws when none is set. */
export async function nextAlarm(): Promise<number> {
  for (let look = 0; look < LOOKS; look++) {
    const at = await runInDurableObject(market(), (_: Market, { storage }) => storage.getAlarm())
    if (at !== null) return at
    await wait(LOOK_MS)
  }
  throw new Error('no alarm is set')
}

/** Rings it when it is due. */
export async function ring(at: number): Promise<void> {
  if (at > Date.now()) await wait(at - Date.now())
  await runDurableObjectAlarm(market())
}
