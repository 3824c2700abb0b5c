/** Two agents with one key would take each other's leases for dropped, so a state folder serves one at a time. */
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** False when another agent lives on this folder. The claim is a listening socket, so it ends with its process. */
export async function claimState(state: string): Promise<boolean> {
  const path = claimPath(state)
  if (await listen(path)) return true
  if (await answers(path)) return false
  // Left behind by an agent that was killed.
  await rm(path, { force: true })
  return listen(path)
}

function claimPath(state: string): string {
  const name = `daicn-agent-${createHash('sha256').update(resolve(state)).digest('hex').slice(0, 24)}`
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`)
}

function listen(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer((socket) => socket.destroy())
  server.once('error', () => resolve(false))
  server.listen(path, () => {
    process.once('exit', () => rmSync(path, { force: true }))
    resolve(true)
  })
  server.unref()
  return promise
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => resolve(true))
  socket.once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
