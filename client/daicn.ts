/** The requester's SDK: `connect` gives all that can be done with one edge. */
import type * as z from 'zod'
import type { CreateKey } from '#core/protocol/account.ts'
import type { CloseLane } from '#core/protocol/lane-closing.ts'
import type { Kind } from '#core/protocol/work.ts'
import * as accounts from './account.ts'
import { type BatchOptions, batch } from './batch.ts'
import type { Connection } from './edge.ts'
import { DaicnError } from './error.ts'
import { watch } from './events.ts'
import * as lanes from './lane.ts'
import * as networks from './network.ts'
import * as receipts from './receipt.ts'
import * as reputation from './reputation.ts'
import type { NewTask, Signal } from './task.ts'

import * as tasks from './task.ts'
import * as wallets from './wallet.ts'

/** Checks a receipt offline; see client/receipt.ts. */
export const verifyReceipt = (receipt: unknown, held?: { output?: unknown }) => receipts.verifyReceipt(receipt, held)

/** A key of your own that pays for tasks from your account on the chain; see client/wallet.ts. */
export const openWallet = (signer: wallets.LaneSigner, options: wallets.WalletOptions) =>
  wallets.openWallet(signer, options)

export type Daicn = ReturnType<typeof connect>

/** Signs in with an Ethereum key: for what only the owner of an account may do, such as making API keys. */
export async function signIn(connection: Connection, signer: accounts.Signer, options?: Signal): Promise<Daicn> {
  const { token } = await accounts.signIn(connection, signer, options)
  return connect({ ...connection, key: token })
}

/** All that an edge refuses and all that fails on the way to it is one of these. */
export const isDaicnError = (error: unknown): error is DaicnError => error instanceof DaicnError

export function connect(connection: Connection) {
  const to = connection
  return {
    /** Submits a task and waits for its success. @throws DaicnError when it ends otherwise; aborting cancels it */
    run: <K extends Kind>(task: NewTask<K>, options?: Signal) => tasks.run(to, task, options),
    /** Submits a task and tells what happens to it, text as it is written. Aborting, or leaving the loop, cancels it. */
    stream: <K extends Kind>(task: NewTask<K>, options?: Signal) => tasks.stream(to, task, options),
    /** The same of a chat that the provider you name can read and the edge cannot; see docs/security.md. */
    runSealed: async (provider: string, task: NewTask<'llm.chat'>, options?: Signal) =>
      (await import('./sealed.ts')).runSealed(to, provider, task, options),
    /** Submits thousands of tasks and yields each as it ends. Aborting, or leaving the loop, cancels what is open. */
    batch: (all: Iterable<NewTask> | AsyncIterable<NewTask>, options?: BatchOptions) => batch(to, all, options),

    /** What a task would cost and wait, and who could run it or why nobody can. */
    quote: <K extends Kind>(task: NewTask<K>, options?: Signal) => tasks.quote(to, task, options),
    /** Submits a task and returns at once; it goes on whatever becomes of this program. */
    submit: <K extends Kind>(task: NewTask<K>, options?: Signal) => tasks.submit(to, task, options),
    /** A task as it is now. */
    task: (id: string, options?: Signal) => tasks.read(to, id, options),
    /** When a task will start and finish, as quantiles from now on; null is not known, or has been. */
    forecast: (id: string, options?: Signal) => tasks.forecast(to, id, options),
    /** Why each attempt at a task went to whom it went: who was considered, and why not. */
    decisions: (id: string, options?: Signal) => tasks.decisions(to, id, options),
    /** A task once it has ended, in whatever way. */
    wait: (id: string, options?: Signal) => tasks.wait(to, id, options),
    /** What happens to a task, from its beginning to its end. Leaving the loop leaves the task as it is. */
    watch: (id: string, { signal }: Signal = {}) => watch(to, id, signal),
    /** Uploads up to 100 MiB; `{ sha256 }` of the answer stands for it in an input. */
    upload: (content: Uint8Array, options?: Signal) => tasks.upload(to, content, options),
    cancel: (id: string, options?: Signal) => tasks.cancel(to, id, options),
    /** What ran, who ran it and for how much, signed; `verifyReceipt` checks it. */
    receipt: (id: string, options?: Signal) => receipts.receipt(to, id, options),

    models: (options?: Signal) => networks.models(to, options),
    network: (options?: Signal) => networks.network(to, options),
    /** What every provider, or one, is known for in each class. */
    reputations: (options?: Signal & { provider?: string }) => reputation.reputations(to, options),
    /** The same, each counted again from the public log; `ok` when both are equal to the bit. */
    checkReputations: (options?: Signal & { provider?: string }) => reputation.checkReputations(to, options),
    /** Counts the reputation of every requester again from the public log, under the names it has there. */
    checkRequesters: (options?: Signal) => reputation.checkRequesters(to, options),
    /** The network as it changes, until you leave the loop. Needs a global WebSocket. */
    watchNetwork: (options?: Signal) => networks.watchNetwork(to, options),

    /** What you sign for yourself, by provider; closing one, which frees what is locked in it at once, needs a sign-in. */
    lanes: {
      list: (options?: Signal) => lanes.lanes(to, options),
      close: (lane: z.input<typeof CloseLane>, options?: Signal) => lanes.closeLane(to, lane, options),
    },

    account: (options?: Signal) => accounts.account(to, options),
    /** Tokens to try with, where the network gives them; needs a sign-in. */
    faucet: (options?: Signal) => accounts.faucet(to, options),
    /** API keys; these need a sign-in. */
    keys: {
      list: (options?: Signal) => accounts.listKeys(to, options),
      create: (key: z.input<typeof CreateKey>, options?: Signal) => accounts.createKey(to, key, options),
      revoke: (id: string, options?: Signal) => accounts.revokeKey(to, id, options),
    },
  }
}
