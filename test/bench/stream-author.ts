/** A stream that goes on for as long as is wanted: its task, and the provider that writes it and sends again what its room asks for. */
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { signIn } from '../../client/account.ts'
import { call } from '../../client/edge.ts'
import type { OutputFrame, PollAnswer } from '../../core/protocol/lease.ts'
import type { TaskView } from '../../core/protocol/task.ts'

const MODEL = 'bench/fanout'
const RENEW_MS = 10_000
const AGAIN_MS = 100

/** Node's WebSocket takes headers; the type that browsers share with it does not say so. */
const HeadedWebSocket = WebSocket as unknown as new (
  url: string,
  options: { headers: Record<string, string> },
) => WebSocket

export type Author = {
  task: string
  write(delta: string): void
  stop(): void
}

/** @param key an API key of whoever pays */
export async function openAuthor(edge: string, key: string): Promise<Author> {
  const { token } = await signIn({ edge }, privateKeyToAccount(generatePrivateKey()))
  const offers = [{ kind: 'llm.chat', model: MODEL, ask: '0.000000001', speed: 1000 }]
  await call({ edge, key: token }, 'POST', '/v1/provider/register', { body: { name: 'bench', slots: 1, offers } })
  const input = { messages: [{ role: 'user', content: 'Go on.' }], max_tokens: 4096 }
  const body = { kind: 'llm.chat', model: MODEL, input, stream: true, deadlineSeconds: 3600 }
  const { id } = await call<TaskView>({ edge, key }, 'POST', '/v1/tasks', { body })
  const poll = (renew: string[], free: number) =>
    call<PollAnswer>({ edge, key: token }, 'POST', '/v1/provider/poll', {
      body: { free, seen: 0, results: [], renew, waitSeconds: 0 },
    })
  const lease = (await poll([], 1)).leases[0]!.id
  await poll([lease], 0)
  const renewing = setInterval(() => void poll([lease], 0).catch(() => {}), RENEW_MS)

  const deltas: string[] = []
  let sent = 0
  let stopped = false
  let socket: WebSocket | undefined
  const say = () => {
    if (socket?.readyState !== WebSocket.OPEN || sent === deltas.length) return
    socket.send(JSON.stringify({ from: sent, deltas: deltas.slice(sent) } satisfies OutputFrame))
    sent = deltas.length
  }
  const connect = () => {
    const url = `${edge.replace(/^http/, 'ws')}/v1/leases/${lease}/output`
    socket = new HeadedWebSocket(url, { headers: { authorization: `Bearer ${token}` } })
    socket.addEventListener('message', ({ data }) => {
      sent = (JSON.parse(data as string) as { next: number }).next
      say()
    })
    socket.addEventListener('close', () => {
      if (!stopped) setTimeout(connect, AGAIN_MS)
    })
    socket.addEventListener('error', () => {})
  }
  connect()
  return {
    task: id,
    write(delta) {
      deltas.push(delta)
      say()
    },
    stop() {
      stopped = true
      clearInterval(renewing)
      socket?.close()
    },
  }
}
