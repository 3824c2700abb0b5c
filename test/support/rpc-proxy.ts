/** An RPC that can go away and come back, in front of one that stays. */
import { createServer } from 'node:http'

export type RpcProxy = { url: string; setDown(down: boolean): void; stop(): Promise<void> }

export async function startRpcProxy(rpc: string): Promise<RpcProxy> {
  let isDown = false
  const server = createServer(async (request, response) => {
    if (isDown) return void request.socket.destroy()
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const answer = await fetch(rpc, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.concat(chunks),
    })
    response.writeHead(answer.status, { 'content-type': 'application/json' })
    response.end(Buffer.from(await answer.arrayBuffer()))
  })
  const port = await new Promise<number>((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0 }, () => resolve((server.address() as { port: number }).port))
  })
  return {
    url: `http://127.0.0.1:${port}`,
    setDown: (down) => {
      isDown = down
    },
    stop: () => new Promise((resolve) => void server.close(() => resolve())),
  }
}
