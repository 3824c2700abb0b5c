import type { WatchEvent } from '#core/protocol.ts'
import type { Network } from './env.ts'

/**
 * Watches a task through a socket to its room, so that an answer held open here keeps no object awake.
 * @param after cursor to resume from, '' for the beginning
 * @returns the events until the task is done or `close` is called
 */
export async function watchTask(network: Network, id: string, after: string) {
  const response = await network.room(id).fetch(`https://room/?after=${encodeURIComponent(after)}`, {
    headers: { upgrade: 'websocket' },
  })
  const socket = response.webSocket!
  const { readable, writable } = new TransformStream<WatchEvent, WatchEvent>()
  const writer = writable.getWriter()
  const end = () => void writer.close().catch(() => {})
  socket.addEventListener('message', ({ data }) => void writer.write(JSON.parse(data as string)).catch(() => {}))
  socket.addEventListener('close', end)
  socket.addEventListener('error', end)
  socket.accept()
  return { events: readable as AsyncIterable<WatchEvent>, close: () => socket.close(1000, 'watcher left') }
}
