/** Lanes that you sign for yourself, as the edge has them; see client/wallet.ts. */

import type * as z from 'zod'
import { laneStatementTypedData } from '#core/lane-statement.ts'
import type { CloseLane, OwnLane } from '#core/protocol/lane-closing.ts'
import { health } from './account.ts'
import { type Connection, insist, pause } from './edge.ts'
import { missing } from './error.ts'
import type { Signal } from './task.ts'

/** How often it is asked whether the provider has signed, milliseconds. */
const LOOK_MS = 2_000

export async function lanes(connection: Connection, { signal }: Signal = {}): Promise<OwnLane[]> {
  return (await insist<{ lanes: OwnLane[] }>(connection, 'GET', '/v1/account/lanes', { signal })).lanes
}

/**
 * Has a lane closed, and waits until its provider has signed that it charges no more: aborting leaves it closing. Keep what it signed.
 * @throws DaicnError lane_in_use while its tasks are under way; not_signed for a statement that is not the provider's
 */
export async function closeLane(
  connection: Connection,
  which: z.input<typeof CloseLane>,
  { signal }: Signal = {},
): Promise<OwnLane & { closing: NonNullable<OwnLane['closing']> }> {
  for (;;) {
    const lane = await insist<OwnLane>(connection, 'POST', '/v1/account/lanes/close', { body: which, signal })
    const { closing, provider } = lane
    if (closing) {
      const { statement } = closing
      const { recoverSigner } = await import('./verify.ts')
      const domain = await health(connection, { signal })
      const by = await recoverSigner(laneStatementTypedData(domain, statement), statement.signature)
      if (by !== provider || !statement.closed) throw missing('not_signed', `it is signed by ${by ?? 'nobody'}`)
      return { ...lane, closing }
    }
    await pause(LOOK_MS, signal)
  }
}
