/** Agents on sockets, as the real one prefers: each a signed-in provider that answers every lease at once, or only waits. */
import type { EdgeFrame } from '../../core/protocol/lease.ts'
import { OUTCOME } from './agents.ts'

/** Node's WebSocket takes headers; the type that browsers share with it does not say so. */
const HeadedWebSocket = WebSocket as unknown as new (
  url: string,
  options: { headers: Record<string, string> },
) => WebSocket

/** Sockets that are opened at a time. */
const AT_ONCE = 50

export type SocketAgents = {
  /** Rejects as soon as one of them meets an error. */
  failed: Promise<never>
  /** Sends what idle agents send to see whether the edge is there, and waits for every answer. */
  ping(): Promise<void>
  close(): void
}

/** Resolves when all of them have told the market that they are free. */
export async function openSocketAgents(edge: string, tokens: string[], free: number): Promise<SocketAgents> {
  const agents: Agent[] = []
  for (let i = 0; i < tokens.length; i += AT_ONCE) {
    agents.push(...(await Promise.all(tokens.slice(i, i + AT_ONCE).map((token) => openAgent(edge, token, free)))))
  }
  const failed = Promise.race(agents.map((agent) => agent.failed))
  failed.catch(() => {})
  return {
    failed,
    async ping() {
      await Promise.all(agents.map((agent) => agent.ping()))
    },
    close() {
      for (const agent of agents) agent.close()
    },
  }
}

type Agent = Awaited<ReturnType<typeof openAgent>>

async function openAgent(edge: string, token: string, free: number) {
  const socket = new HeadedWebSocket(`${edge.replace(/^http/, 'ws')}/v1/provider/socket`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const opened = Promise.withResolvers<void>()
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  let pong = Promise.withResolvers<void>()
  let seen = 0
  let closing = false
  const say = (results: string) =>
    socket.send(`{"type":"poll","free":${free},"seen":${seen},"results":[${results}],"renew":[]}`)
  socket.addEventListener('open', () => say(''))
  socket.addEventListener('close', ({ code }) => {
    if (!closing) failed.reject(new Error(`the edge closed a socket (${code})`))
  })
  socket.addEventListener('message', ({ data }) => {
    if (data === 'pong') return pong.resolve()
    const frame = JSON.parse(data as string) as EdgeFrame
    if (frame.type === 'error') return failed.reject(new Error(frame.problem.code))
    opened.resolve()
    const refused = frame.results.find((receipt) => !receipt.accepted)
    if (refused) failed.reject(new Error(`result of ${refused.lease} refused: ${refused.code}`))
    // A frame that crosses ours tells some of them again.
    const leases = frame.leases.filter(({ seq }) => seq > seen)
    if (leases.length === 0) return
    seen = Math.max(...leases.map(({ seq }) => seq))
    say(leases.map((lease) => `{"lease":"${lease.id}","outcome":${OUTCOME}}`).join())
  })
  await Promise.race([opened.promise, failed.promise])
  return {
    failed: failed.promise,
    ping() {
      pong = Promise.withResolvers<void>()
      socket.send('ping')
      return pong.promise
    },
    close() {
      closing = true
      socket.close()
    },
  }
}
