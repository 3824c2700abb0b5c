/** A receiver of webhooks over real HTTP, which answers as its test says and checks as its users would. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import type { TaskView } from '../../core/protocol/task.ts'
import type { WebhookEvent } from '../../core/protocol/webhook.ts'

export type Received = {
  path: string
  id: string
  headers: Record<string, string>
  text: string
}
export type Message = { type: WebhookEvent; timestamp: string; data: TaskView }

/** Status to answer a message with, or how to answer it. */
export type Behaviour = (received: Received, response: ServerResponse) => number | undefined

export async function startWebhookReceiver(behaviour: Behaviour = () => 204) {
  const received: Received[] = []
  let stir = Promise.withResolvers<void>()
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const headers = request.headers as Record<string, string>
    const one = { path: request.url!, id: headers['webhook-id']!, headers, text }
    received.push(one)
    const status = behaviour(one, response)
    if (status !== undefined) response.writeHead(status).end()
    stir.resolve()
    stir = Promise.withResolvers()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    /** Resolves with what came when there is so much of it; rejects if that takes too long. */
    async until(holds: (received: Received[]) => boolean, ms = 30_000): Promise<Received[]> {
      const late = AbortSignal.timeout(ms)
      const over = once(late, 'abort').then(() => {
        throw new Error(`not within ${ms} ms; came: ${JSON.stringify(received.map(({ path, id }) => [path, id]))}`)
      })
      over.catch(() => {})
      while (!holds(received)) await Promise.race([stir.promise, over])
      return received
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** The message, if its signature is right; throws if it is not. */
export const verified = (secret: string, { text, headers }: Received): Message =>
  new Webhook(secret).verify(text, headers) as Message
