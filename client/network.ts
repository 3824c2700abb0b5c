import { retryDelay } from '#core/backoff.ts'
import { applyFrame, type FeedState, parseFrame } from '#core/network-frame.ts'
import type { ModelView } from '#core/protocol/model.ts'
import type { NetworkSnapshot } from '#core/protocol/network.ts'
import { type Connection, insist, pause } from './edge.ts'
import { missing } from './error.ts'
import type { Signal } from './task.ts'

/** Connections in a row without a word, after which it is given up. */
const LOSSES = 8
/** The feed speaks at least once a minute. */
const SILENCE_MS = 150_000

export const network = (connection: Connection, { signal }: Signal = {}) =>
  insist<NetworkSnapshot>(connection, 'GET', '/v1/network', { signal })

export async function models(connection: Connection, { signal }: Signal = {}): Promise<ModelView[]> {
  return (await insist<{ data: ModelView[] }>(connection, 'GET', '/v1/models', { signal })).data
}

/**
 * The network as it changes, until you leave the loop. Whoever is slow misses what was overtaken, never the latest.
 * Needs a global WebSocket: Node 22 and later, browsers, Workers.
 */
export async function* watchNetwork(connection: Connection, { signal }: Signal = {}): AsyncGenerator<NetworkSnapshot> {
  for (let losses = 0; ; losses++) {
    for await (const snapshot of listen(connection, signal)) {
      losses = 0
      yield snapshot
    }
    if (losses === LOSSES) throw missing('unreachable', connection.edge)
    await pause(retryDelay(losses, Math.random()), signal)
  }
}

/** One connection, until it is lost or a frame was. */
async function* listen({ edge }: Connection, signal: AbortSignal | undefined): AsyncGenerator<NetworkSnapshot> {
  const socket = new WebSocket(String(new URL('/v1/network/socket', edge.replace(/^http/, 'ws'))))
  let state: FeedState | null = null
  let isOpen = true
  let isNew = false
  let wake = () => {}
  const close = () => {
    isOpen = false
    wake()
  }
  let silence = setTimeout(close, SILENCE_MS)
  socket.addEventListener('message', ({ data }) => {
    clearTimeout(silence)
    silence = setTimeout(close, SILENCE_MS)
    const frame = parseFrame(String(data))
    state = frame && applyFrame(state, frame)
    isNew = true
    if (state) wake()
    else close()
  })
  socket.addEventListener('close', close)
  socket.addEventListener('error', close)
  signal?.addEventListener('abort', close)
  try {
    while (isOpen) {
      if (isNew && state) {
        isNew = false
        yield (state as FeedState).snapshot
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
    signal?.throwIfAborted()
  } finally {
    clearTimeout(silence)
    signal?.removeEventListener('abort', close)
    socket.close()
  }
}
