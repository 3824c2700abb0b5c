import { DurableObject } from 'cloudflare:workers'
import { mergedSnapshot } from '#core/merged.ts'
import type { NetworkFrame, NetworkSnapshot } from '#core/protocol/network.ts'
import { type Env, networkOf } from '../env.ts'

/** The dashboard's feed: tells whoever comes how the network stands, then everybody what changes. Writes nothing down: the markets know. */
export class NetworkFeed extends DurableObject<Env> {
  /** Begins above any count of an earlier life, so that who watched that one sees the gap. */
  private seq = Date.now()
  /** How each cell stands, by what it told last. */
  private readonly known = new Map<string, NetworkSnapshot>()

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
  }

  override async fetch(): Promise<Response> {
    await this.learn(networkOf(this.env).cells)
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server)
    const snapshot = mergedSnapshot([...this.known.values()])
    server.send(JSON.stringify({ seq: this.seq, type: 'snapshot', snapshot } satisfies NetworkFrame))
    return new Response(null, { status: 101, webSocket: client })
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close()
  }

  /** From a cell: what has changed there. @returns how many are watching */
  async tell(cell: string, changes: Partial<NetworkSnapshot>): Promise<number> {
    const watchers = this.ctx.getWebSockets()
    if (watchers.length === 0) return 0
    const before = this.known.get(cell)
    if (before) this.known.set(cell, { ...before, ...changes })
    // After a restart of this object nobody is known, and those who watch still do.
    await this.learn(networkOf(this.env).cells.filter((name) => !this.known.has(name)))
    const merged = mergedSnapshot([...this.known.values()])
    const names = new Set(Object.keys(changes) as (keyof NetworkSnapshot)[])
    // What the network comes to in all follows from these.
    if (names.has('health')) names.add('metrics').add('reputation')
    const told = Object.fromEntries([...names].map((name) => [name, merged[name]]))
    this.seq++
    const text = JSON.stringify({ seq: this.seq, type: 'delta', changes: told } satisfies NetworkFrame)
    for (const socket of watchers) if (socket.readyState === WebSocket.OPEN) socket.send(text)
    return watchers.length
  }

  /** Asks cells how they stand; what one has told meanwhile is later, and stays. */
  private async learn(cells: readonly string[]): Promise<void> {
    const { market } = networkOf(this.env)
    const asked = cells.map(async (cell) => {
      const snapshot = await market(cell).watchNetwork()
      if (snapshot.at >= (this.known.get(cell)?.at ?? 0)) this.known.set(cell, snapshot)
    })
    await Promise.all(asked)
  }
}
