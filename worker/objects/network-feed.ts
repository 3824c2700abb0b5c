import { DurableObject } from 'cloudflare:workers'
import type { NetworkFrame, NetworkSnapshot } from '#core/protocol.ts'
import { type Env, networkOf } from '../env.ts'

/** The dashboard's feed: tells every watcher how the network stands, then what changes. Keeps nothing: the market knows. */
export class NetworkFeed extends DurableObject<Env> {
  private seq = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
  }

  override async fetch(): Promise<Response> {
    const snapshot = await networkOf(this.env).market().watchNetwork()
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server)
    // Every watcher starts from this snapshot: the market's next changes are counted from it.
    this.seq++
    this.broadcast({ seq: this.seq, type: 'snapshot', snapshot })
    return new Response(null, { status: 101, webSocket: client })
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close()
  }

  /** @returns how many are watching */
  publish(changes: Partial<NetworkSnapshot>): number {
    this.seq++
    this.broadcast({ seq: this.seq, type: 'delta', changes })
    return this.ctx.getWebSockets().length
  }

  private broadcast(frame: NetworkFrame): void {
    const text = JSON.stringify(frame)
    for (const socket of this.ctx.getWebSockets()) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text)
    }
  }
}
