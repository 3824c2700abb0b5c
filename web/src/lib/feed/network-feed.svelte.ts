import { retryDelay } from '#core/backoff.ts'
import { applyFrame, type FeedState, parseFrame } from '#core/network-frame.ts'
import type { NetworkSnapshot } from '#core/protocol/network.ts'

export type Connection = 'connecting' | 'live' | 'reconnecting'

/** A connection that lasted this long was a good one: the next loss is retried quickly again. */
const STABLE_MS = 5_000
/** While somebody looks, it is tried again every few seconds: after so many doublings the delay grows no more. */
const DOUBLINGS = 3
/** The feed speaks at least once a minute; after this long without a word the connection is taken as dead. */
const SILENCE_MS = 150_000

/** A picture stands for this long at least: nobody reads faster, and a page under a flood of frames still scrolls smoothly. */
const SHOWN_MS = 200

/** The live network. Frames are folded as they come, and what they come to is shown with an animation frame. */
export function createNetworkFeed(url: () => string) {
  let shown = $state.raw<NetworkSnapshot | null>(null)
  let connection = $state<Connection>('connecting')
  let failures = $state(0)
  let paused = $state(false)
  /** Edge's clock minus this machine's, in milliseconds: as of what is shown, and as heard last. */
  let skew = $state(0)
  let heardSkew = 0

  let state: FeedState | null = null
  let socket: WebSocket | null = null
  let openedAt = 0
  let heardAt = 0
  let retry: ReturnType<typeof setTimeout> | undefined
  let paint = 0
  let shownAt = Number.NEGATIVE_INFINITY

  function show() {
    if (!paint && !paused) paint = requestAnimationFrame(due)
  }

  function due(at: number) {
    paint = at < shownAt + SHOWN_MS ? requestAnimationFrame(due) : 0
    if (paint || !state || paused) return
    shownAt = at
    shown = state.snapshot
    skew = heardSkew
  }

  function receive(text: string) {
    heardAt = performance.now()
    const frame = parseFrame(text)
    state = frame && applyFrame(state, frame)
    if (!frame || !state) return drop()
    if (frame.type === 'snapshot' || frame.changes.at !== undefined) heardSkew = state.snapshot.at - Date.now()
    connection = 'live'
    show()
  }

  function connect() {
    clearTimeout(retry)
    state = null
    const mine = new WebSocket(url())
    socket = mine
    openedAt = heardAt = performance.now()
    mine.onmessage = (event) => socket === mine && receive(String(event.data))
    mine.onclose = () => socket === mine && drop()
  }

  function drop() {
    const old = socket
    socket = null
    old?.close()
    failures = connection === 'live' && performance.now() - openedAt > STABLE_MS ? 0 : failures + 1
    connection = shown ? 'reconnecting' : 'connecting'
    clearTimeout(retry)
    retry = setTimeout(connect, retryDelay(Math.min(DOUBLINGS, Math.max(0, failures - 1)), Math.random()))
  }

  /** Tries at once, instead of at the next retry. */
  function hurry() {
    if (!socket) connect()
  }

  /** Connects; returns how to stop. */
  function start() {
    const watch = setInterval(() => socket && performance.now() - heardAt > SILENCE_MS && drop(), 10_000)
    const wake = () => document.visibilityState === 'visible' && hurry()
    addEventListener('online', hurry)
    document.addEventListener('visibilitychange', wake)
    connect()
    return () => {
      clearInterval(watch)
      clearTimeout(retry)
      cancelAnimationFrame(paint)
      removeEventListener('online', hurry)
      document.removeEventListener('visibilitychange', wake)
      const old = socket
      socket = null
      old?.close()
    }
  }

  return {
    get snapshot() {
      return shown
    },
    get connection() {
      return connection
    },
    /** Tries in a row that came to nothing. */
    get failures() {
      return failures
    },
    get skew() {
      return skew
    },
    get paused() {
      return paused
    },
    set paused(value: boolean) {
      paused = value
      show()
    },
    start,
  }
}

export type NetworkFeed = ReturnType<typeof createNetworkFeed>
