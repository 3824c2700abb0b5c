/** Requesters' programs: each submits a task, or a batch, and holds on until it has ended. */

import { MODEL } from './agents.ts'
import { type Connection, openConnection, request } from './http.ts'

const taskFor = (model: string) => ({
  kind: 'llm.chat',
  model,
  input: { messages: [{ role: 'user', content: 'Say hello.' }], max_tokens: 40 },
  maxPrice: '0.000001',
})
const SUCCEEDED = Buffer.from('"status":"succeeded"')

export type Clients = { clients: (() => Promise<number>)[]; close(): void }

/** A call that answers when its tasks have ended. @param batch tasks in it; 1 sends a bare task */
export function requestOf(batch: number, model = MODEL): { path: string; body: string } {
  const body = JSON.stringify(batch === 1 ? taskFor(model) : Array.from({ length: batch }, () => taskFor(model)))
  return { path: '/v1/tasks?waitSeconds=25', body }
}

/** @param batch as of `requestOf` */
export async function openSubmitters(
  edge: string,
  apiKey: string,
  count: number,
  batch: number,
  model = MODEL,
): Promise<Clients> {
  const { path, body } = requestOf(batch, model)
  const url = new URL(path, edge)
  const bytes = request('POST', url, { authorization: `Bearer ${apiKey}` }, body)
  return openClients(url, count, async (connection) => {
    const answer = await connection.send(bytes)
    if (answer.status !== 201) {
      throw new Error(`submit answered ${answer.status}: ${answer.body.toString().slice(0, 500)}`)
    }
    const succeeded = occurrences(answer.body, SUCCEEDED)
    if (succeeded !== batch)
      throw new Error(`only ${succeeded} of ${batch} tasks ended: ${answer.body.subarray(0, 500)}`)
    return batch
  })
}

export async function openHellos(url: URL, count: number): Promise<Clients> {
  const bytes = request('GET', url)
  return openClients(url, count, async (connection) => {
    const { status } = await connection.send(bytes)
    if (status !== 200) throw new Error(`hello answered ${status}`)
    return 1
  })
}

async function openClients(url: URL, count: number, once: (over: Connection) => Promise<number>): Promise<Clients> {
  const connections = await Promise.all(Array.from({ length: count }, () => openConnection(url)))
  return {
    clients: connections.map((connection) => () => once(connection)),
    close() {
      for (const connection of connections) connection.close()
    },
  }
}

/** A task view names its status once; its attempts name theirs `state`. */
function occurrences(bytes: Buffer, part: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(part); at >= 0; at = bytes.indexOf(part, at + part.length)) count++
  return count
}
