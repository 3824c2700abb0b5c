import type { WatchEvent } from '#core/protocol/task.ts'
import type { Network } from './env.ts'
import { logError } from './log.ts'

/** Outputs that may wait here for whoever reads them. The room keeps the others until it is asked for more. */
const WINDOW = 256
const FIRST_RETRY_MS = 20
/** After so long in silence the room is asked whether the task is over: the word of its end is sent once. */
const CHECK_MS = 15_000
/** A room that cannot be reached is tried again for about this many doublings: some ten seconds. */
const RETRIES = 9

export type Watch = { events: AsyncIterable<WatchEvent>; close: () => void }

/**
 * Watches a task through a socket to its room, so that an answer held open here keeps no object awake. A room that is lost is
 * connected to again, from the last output that came.
 * @param after cursor to resume from, '' for the beginning
 * @param fresh the task was submitted just now, so that all there is to tell of it is still to come
 * @returns the events until the task is done, `close` is called or the room stays out of reach
 */
export function watchTask(network: Network, id: string, after: string, fresh = false): Watch {
  const queue: WatchEvent[] = []
  let cursor = after
  let taken = 0
  let over = false
  let quiet = true
  let isFresh = fresh
  let socket: WebSocket | null = null
  let wake = () => {}

  function receive(event: WatchEvent): void {
    if (event.type === 'output') cursor = `${event.attempt}.${event.index + 1}`
    if (event.type === 'done') over = true
    queue.push(event)
    quiet = false
    wake()
  }

  const clock = setInterval(() => {
    if (quiet) socket?.send('check')
    quiet = true
  }, CHECK_MS)

  async function open(): Promise<void> {
    const query = `checks&window=${WINDOW}&after=${encodeURIComponent(cursor)}${isFresh ? '&fresh' : ''}`
    isFresh = false
    const response = await network.room(id).open(query)
    const opened = response.webSocket!
    const lost = () => {
      if (socket === opened) socket = null
      wake()
    }
    socket = opened
    opened.addEventListener('message', ({ data }) => receive(JSON.parse(data as string)))
    opened.addEventListener('close', lost)
    opened.addEventListener('error', lost)
    opened.accept()
    taken = 0
    if (over) opened.close(1000, 'watcher left')
  }

  /** The first socket is on its way before anybody reads. */
  let opening: Promise<boolean> | null = tryOpen(0)

  async function tryOpen(failures: number): Promise<boolean> {
    try {
      if (failures > 0) await scheduler.wait(FIRST_RETRY_MS * 2 ** failures)
      await open()
      return true
    } catch (error) {
      logError('room_unreachable', error, { task: id })
      return false
    }
  }

  async function* read(): AsyncGenerator<WatchEvent> {
    try {
      for (let failures = 0; failures <= RETRIES; ) {
        const event = queue.shift()
        if (event) {
          failures = 0
          yield event
          if (event.type === 'output' && ++taken === WINDOW / 2) {
            taken = 0
            socket?.send('more')
          }
        } else if (over) return
        else if (socket) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        } else {
          const opened = await (opening ?? tryOpen(failures))
          opening = null
          if (!opened) failures++
        }
      }
    } finally {
      clearInterval(clock)
    }
  }

  return {
    events: read(),
    close() {
      over = true
      clearInterval(clock)
      queue.length = 0
      socket?.close(1000, 'watcher left')
      wake()
    },
  }
}
