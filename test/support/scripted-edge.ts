/** A small edge that speaks the provider's protocol over real HTTP and WebSocket, and does what its test says. */
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { verifyTypedData } from 'viem'
import { type WebSocket, WebSocketServer } from 'ws'
import { SignIn } from '#core/protocol/account.ts'
import { type Lease, OutputFrame, Poll, type PollAnswer, ProviderFrame } from '#core/protocol/lease.ts'
import { Register } from '#core/protocol/provider.ts'
import { signInTypedData } from '#core/sign-in.ts'

const CHAIN_ID = 31337

export type Seen = Omit<Poll, 'waitSeconds'> & { transport: 'socket' | 'poll'; waitSeconds?: number; at: number }

export type ScriptedEdge = Awaited<ReturnType<typeof startScriptedEdge>>

export async function startScriptedEdge({
  sockets = true,
  leaseSeconds = 30,
  port = 0,
  skewMs = 0,
  holdPolls = true,
} = {}) {
  const script = {
    sockets,
    leaseSeconds,
    /** Answers 409 until the provider registers (again). */
    registered: false,
    token: 1,
    /** Frames of the provider are neither read nor answered. */
    deaf: false,
    /** Answers are computed and then lost on the way, this many times. */
    loseAnswers: 0,
    /** Leases that are open, by id. */
    open: new Map<string, Lease>(),
    revoked: [] as string[],
    /** Every poll body and frame, in order. */
    polls: [] as Seen[],
    registrations: [] as Register[],
    signIns: [] as SignIn[],
    results: new Map<string, Poll['results'][number]>(),
    outputs: new Map<string, string[]>(),
    outputFrames: [] as { lease: string; socket: 'provider' | 'output'; frame: OutputFrame }[],
    /** Output sockets are cut after this many frames. */
    cutOutputAfter: Number.POSITIVE_INFINITY,
    /** Output sockets open when there is output already. */
    outputOpensLate: false,
    openOutput: () => {},
    outputBy: 'socket' as 'socket' | 'put',
    /** NaN: pings are answered no more. */
    pings: 0,
  }
  const changes = new EventEmitter().setMaxListeners(0)
  const provider = new Set<WebSocket>()
  const connections = new Set<WebSocket>()
  let seq = 0

  const changed = () => changes.emit('change')

  function answerTo(poll: Omit<Poll, 'waitSeconds'>): PollAnswer {
    const results = poll.results.map((result) => {
      const accepted = script.open.delete(result.lease)
      if (accepted) script.results.set(result.lease, result)
      return accepted ? { lease: result.lease, accepted } : { lease: result.lease, accepted, code: 'lease_not_found' }
    })
    const leases = [...script.open.values()].filter((lease) => lease.seq > poll.seen)
    const mark = poll.mark === undefined ? {} : { mark: poll.mark }
    return { leases, results, revoked: script.revoked.splice(0), now: Date.now() + skewMs, ...mark }
  }

  function takeOutput(lease: string, body: unknown, socket: 'provider' | 'output' = 'output'): { next: number } {
    const frame = OutputFrame.parse(body)
    const log = script.outputs.get(lease) ?? []
    script.outputs.set(lease, log)
    script.outputFrames.push({ lease, socket, frame })
    if (frame.from <= log.length) log.push(...frame.deltas.slice(log.length - frame.from))
    script.openOutput()
    script.openOutput = () => {}
    changed()
    return { next: log.length }
  }

  async function route(request: IncomingMessage, body: unknown): Promise<[number, unknown]> {
    const path = request.url!
    if (path === '/v1/health') return [200, { ok: true, chainId: CHAIN_ID }]
    if (path === '/v1/chain') return [200, { chainId: CHAIN_ID, deployment: null, confirmations: 0, rpc: null }]
    if (path === '/v1/sign-in') {
      const message = SignIn.parse(body)
      const valid = await verifyTypedData({
        ...signInTypedData(CHAIN_ID, message),
        address: message.address,
        signature: message.signature,
      })
      if (!valid) return problem(401, 'invalid_signature')
      const last = Math.max(0, ...script.signIns.map(({ issuedAt }) => issuedAt))
      if (Math.abs(message.issuedAt - Date.now() - skewMs) > 300_000 || message.issuedAt <= last)
        return problem(401, 'stale_sign_in')
      script.signIns.push(message)
      return [
        200,
        { token: `token-${script.token}`, expiresAt: Date.now() + skewMs + 3_600_000, address: message.address },
      ]
    }
    if (request.headers.authorization !== `Bearer token-${script.token}`) return problem(401, 'expired_token')
    if (path === '/v1/provider/register') {
      script.registrations.push(Register.parse(body))
      script.registered = true
      return [200, { cell: 'weur-0', leaseSeconds: script.leaseSeconds }]
    }
    const put = /^\/v1\/leases\/([^/]+)\/output$/.exec(path)
    if (put && request.method === 'PUT') {
      script.outputBy = 'put'
      return [200, takeOutput(decodeURIComponent(put[1]!), body)]
    }
    if (path !== '/v1/provider/poll') return problem(404, 'not_found')
    const poll = Poll.parse(body)
    script.polls.push({ ...poll, transport: 'poll', at: Date.now() })
    changed()
    if (!script.registered) return problem(409, 'not_registered')
    const gone = once(request.socket, 'close')
    const until = Date.now() + (holdPolls ? poll.waitSeconds * 1000 : 0)
    let answer = answerTo(poll)
    while (!answer.leases.length && !answer.results.length && !answer.revoked.length && Date.now() < until) {
      const timer = setTimeout(changed, until - Date.now())
      await Promise.race([once(changes, 'change'), gone])
      clearTimeout(timer)
      if (request.socket.destroyed) return [200, answer]
      answer = answerTo({ ...poll, results: [] })
    }
    if (script.loseAnswers > 0) {
      script.loseAnswers--
      request.socket.destroy()
    }
    return [200, answer]
  }

  const server = createServer(async (request, response) => {
    try {
      let text = ''
      for await (const chunk of request) text += chunk
      const [status, answer] = await route(request, text ? JSON.parse(text) : undefined)
      response.setHeader('date', new Date(Date.now() + skewMs).toUTCString())
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
      changed()
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  })

  const upgrades = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, raw, head) => {
    if (!script.sockets || request.headers.authorization !== `Bearer token-${script.token}`) {
      raw.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
      return
    }
    const open = () =>
      upgrades.handleUpgrade(request, raw, head, (socket) => {
        connections.add(socket)
        socket.on('close', () => connections.delete(socket))
        const output = /^\/v1\/leases\/([^/]+)\/output$/.exec(request.url!)
        if (output) serveOutput(socket, decodeURIComponent(output[1]!))
        else serveProvider(socket)
      })
    if (script.outputOpensLate && script.outputFrames.length === 0 && request.url!.startsWith('/v1/leases/')) {
      script.openOutput = open
    } else open()
  })

  function serveOutput(socket: WebSocket, lease: string) {
    const tell = () => socket.send(JSON.stringify({ next: script.outputs.get(lease)?.length ?? 0 }))
    tell()
    let frames = 0
    socket.on('message', (data) => {
      if (String(data) === 'next') return tell()
      if (++frames > script.cutOutputAfter) {
        script.cutOutputAfter = Number.POSITIVE_INFINITY
        socket.terminate()
        return
      }
      const frame = JSON.parse(String(data))
      if (takeOutput(lease, frame).next < frame.from) tell()
    })
  }

  function serveProvider(socket: WebSocket) {
    provider.add(socket)
    socket.on('close', () => provider.delete(socket))
    socket.on('message', (data) => {
      if (script.deaf) return
      if (String(data) === 'ping') {
        script.pings++
        if (script.pings > 0) socket.send('pong')
        changed()
        return
      }
      const parsed = ProviderFrame.parse(JSON.parse(String(data)))
      if (parsed.type === 'output') {
        const { type: _, lease, ...frame } = parsed
        takeOutput(lease, frame, 'provider')
        return
      }
      const { type: _, ...poll } = parsed
      script.polls.push({ ...poll, transport: 'socket', at: Date.now() })
      if (!script.registered) {
        socket.send(
          JSON.stringify({
            type: 'error',
            problem: { code: 'not_registered', title: 'The provider is not registered here' },
          }),
        )
        changed()
        return
      }
      const answer = { type: 'answer', ...answerTo(poll) }
      if (script.loseAnswers > 0) {
        script.loseAnswers--
        socket.terminate()
      } else socket.send(JSON.stringify(answer))
      changed()
    })
  }

  const push = (answer: Partial<PollAnswer>) => {
    for (const socket of provider)
      socket.send(JSON.stringify({ type: 'answer', leases: [], results: [], revoked: [], now: Date.now(), ...answer }))
  }

  server.listen(port, '127.0.0.1')
  await once(server, 'listening')

  return {
    script,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Opens a lease and pushes it to the provider. */
    grant(lease: Partial<Lease> & Pick<Lease, 'id' | 'kind' | 'model' | 'input'>): Lease {
      const granted = {
        seq: ++seq,
        maxUnits: 1000,
        stream: false,
        expiresAt: Date.now() + script.leaseSeconds * 1000,
        ...lease,
      }
      script.open.set(granted.id, granted)
      if (provider.size > 0) push({ leases: [granted] })
      changed()
      return granted
    },
    revoke(id: string) {
      script.open.delete(id)
      if (provider.size > 0) push({ revoked: [id] })
      else script.revoked.push(id)
      changed()
    },
    push,
    /** Cuts every socket, as an outage would. */
    cut() {
      for (const socket of connections) socket.terminate()
    },
    /** Resolves when the condition holds; checked after everything that happens. */
    async until(condition: () => boolean, ms = 10_000): Promise<void> {
      const signal = AbortSignal.timeout(ms)
      while (!condition()) await once(changes, 'change', { signal })
    },
    async close() {
      for (const socket of connections) socket.terminate()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const problem = (status: number, code: string): [number, unknown] => [status, { status, code, title: code }]
