/** What is used of `ws`; the package comes without types. */
declare module 'ws' {
  import type { IncomingMessage } from 'node:http'
  import type { Duplex } from 'node:stream'

  export type WebSocket = InstanceType<typeof globalThis.WebSocket> & {
    terminate(): void
    on(event: 'message', listener: (data: Buffer) => void): void
    on(event: 'close', listener: () => void): void
  }
  export const WebSocket: new (
    url: string,
    options: { headers: Record<string, string>; perMessageDeflate: boolean },
  ) => WebSocket

  export class WebSocketServer {
    constructor(options: { noServer: true })
    handleUpgrade(request: IncomingMessage, raw: Duplex, head: Buffer, done: (socket: WebSocket) => void): void
  }
}
