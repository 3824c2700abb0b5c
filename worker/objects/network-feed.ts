import { DurableObject } from 'cloudflare:workers'
import type { NetworkFrame, NetworkSnapshot } from '#core/protocol/network.ts'
import { type Env, networkOf } from '../env.ts'

/** The dashboard's feed: tells whoever comes how the network stands, then everybody what changes. Keeps nothing: the market knows. */
export class NetworkFeed extends DurableObject<Env> {
  /** Begins above any count of an earlier life, so that who watched that one sees the gap. */
  private seq = Date.now()

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
  }

  override async fetch(): Promise<Response> {
    const market = networkOf(this.env).market()
    let { seq } = this
    let snapshot = await market.watchNetwork()
    // What was told to the others meanwhile may not be in it.
    for (; seq !== this.seq; { seq } = this) snapshot = await market.watchNetwork()
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server)
    server.send(JSON.stringify({ seq, type: 'snapshot', snapshot } satisfies NetworkFrame))
    return new Response(null, { status: 101, webSocket: client })
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close()
  }

  /** @returns how many are watching */
  publish(changes: Partial<NetworkSnapshot>): number {
    this.seq++
    const text = JSON.stringify({ seq: this.seq, type: 'delta', changes } satisfies NetworkFrame)
    const watchers = this.ctx.getWebSockets()
    for (const socket of watchers) if (socket.readyState === WebSocket.OPEN) socket.send(text)
    return watchers.length
  }
}
