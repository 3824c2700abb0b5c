/**
 * The socket by which an agent's owner speaks to it: a word in, a line of JSON out. It is also the claim on the state folder,
 * for two agents with one key would take each other's leases for dropped. Only its owner may open it.
 */
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

export type Answer = (word: string) => Promise<unknown>

const WORD_CHARS = 100

/** False when another agent lives on this folder. The claim is a listening socket, so it ends with its process. */
export async function openControl(state: string, answer: Answer): Promise<boolean> {
  const path = pathOf(state)
  if (await listen(path, answer)) return true
  if (await isThere(path)) return false
  // Left behind by an agent that was killed.
  await rm(path, { force: true })
  return listen(path, answer)
}

/** What the agent on this folder answers to a word, or undefined when none runs. Rejects with what it refused. */
export async function tellAgent(state: string, word: string): Promise<unknown> {
  const socket = connect(pathOf(state))
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  let text = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.once('connect', () => socket.write(`${word}\n`))
  socket.once('end', () => resolve(text))
  socket.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? resolve(undefined) : reject(error),
  )
  const line = await promise.finally(() => socket.destroy())
  if (line === undefined) return undefined
  const told = JSON.parse(line) as { answer?: unknown; refused?: string }
  if (told.refused !== undefined) throw new Error(told.refused)
  return told.answer
}

/** In the folder of temporary files, for a socket's path may have no more than some hundred characters. */
function pathOf(state: string): string {
  const name = `daicn-agent-${createHash('sha256').update(resolve(state)).digest('hex').slice(0, 24)}`
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`)
}

function listen(path: string, answer: Answer): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer((socket) => serve(socket, answer))
  server.once('error', () => resolve(false))
  const mask = process.umask(0o177)
  server.listen(path, () => {
    process.once('exit', () => rmSync(path, { force: true }))
    resolve(true)
  })
  process.umask(mask)
  server.unref()
  return promise
}

function serve(socket: Socket, answer: Answer): void {
  let text = ''
  socket.unref()
  socket.setEncoding('utf8')
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    text += chunk
    if (text.length > WORD_CHARS) socket.destroy()
    else if (text.endsWith('\n'))
      answer(text.trim()).then(
        (value) => socket.end(`${JSON.stringify({ answer: value })}\n`),
        (error: Error) => socket.end(`${JSON.stringify({ refused: error.message })}\n`),
      )
  })
}

function isThere(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => resolve(true))
  socket.once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
