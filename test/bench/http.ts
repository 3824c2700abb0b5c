/**
 * The lightest HTTP/1.1 client that will do: one connection, one request at a time, requests as ready-made bytes.
 * It has to be light, for it shares the machine with what it measures.
 */
import { connect, type Socket } from 'node:net'

export type Answer = { status: number; body: Buffer }

export type Connection = {
  /** One request at a time. Rejects when the connection breaks. */
  send(request: Buffer): Promise<Answer>
  close(): void
}

export function request(method: string, url: URL, headers: Record<string, string> = {}, body = ''): Buffer {
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`)
  if (body !== '') lines.push('content-type: application/json', `content-length: ${Buffer.byteLength(body)}`)
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

export async function openConnection(url: URL): Promise<Connection> {
  const socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return overSocket(socket)
}

type Waiting = { resolve(answer: Answer): void; reject(error: Error): void }

function overSocket(socket: Socket): Connection {
  let waiting: Waiting | undefined
  let received: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const parsed = parse(received)
    if (!parsed) return
    received = received.subarray(parsed.end)
    const { resolve } = waiting!
    waiting = undefined
    resolve(parsed)
  })
  const broken = (error?: Error) => {
    waiting?.reject(error ?? new Error('the connection was closed'))
    waiting = undefined
  }
  socket.on('error', broken)
  socket.on('close', () => broken())
  return {
    send: (bytes) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        socket.write(bytes)
      }),
    close: () => void socket.destroy(),
  }
}

const HEAD_END = Buffer.from('\r\n\r\n')

/** A whole answer at the start of `bytes`, or undefined while some of it is missing. */
function parse(bytes: Buffer): (Answer & { end: number }) | undefined {
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd < 0) return undefined
  const head = bytes.toString('latin1', 0, headEnd).toLowerCase()
  const status = Number(head.slice(9, 12))
  const start = headEnd + 4
  const lengthAt = head.indexOf('\r\ncontent-length:')
  if (lengthAt >= 0) {
    const end = start + Number.parseInt(head.slice(lengthAt + 17), 10)
    return bytes.length < end ? undefined : { status, body: bytes.subarray(start, end), end }
  }
  if (!head.includes('\r\ntransfer-encoding: chunked'))
    return { status, body: bytes.subarray(start, start), end: start }
  return parseChunks(bytes, start, status)
}

function parseChunks(bytes: Buffer, start: number, status: number): (Answer & { end: number }) | undefined {
  const parts: Buffer[] = []
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const end = lineEnd + 2 + size
    if (bytes.length < end + 2) return undefined
    if (size === 0) return { status, body: Buffer.concat(parts), end: end + 2 }
    parts.push(bytes.subarray(lineEnd + 2, end))
    at = end + 2
  }
}
