/**
 * Peers that run beside us: a folder with a script and its packages for each, which is not part of the repository; `--peers DIR` names it.
 * What is expected there: fanout/party.ts and party.capnp, and fanout/socketio.mjs, which listen on a port of their own, take
 * sockets, and send what is posted to /publish to all of them.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { build } from 'esbuild'
import { Fault } from '../../scripts/checks.ts'
import type { Target } from './watchers.ts'

const FANOUT = '127.0.0.1:4200'
const READY_MS = 20_000

export type Peer<T> = { target: T; stop(): Promise<void> }

export async function startFanoutPeer(folder: string, name: 'partyserver' | 'socketio'): Promise<Peer<Target>> {
  const state = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'daicn-peer-'))
  const program = name === 'socketio' ? startSocketIo(folder) : await startPartyServer(folder, state)
  const stop = async () => {
    await ended(program)
    await rm(state, { recursive: true, force: true })
  }
  try {
    await untilReady(`http://${FANOUT}/health`, name)
    return { target: name === 'socketio' ? SOCKET_IO : PARTY_SERVER, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

const startSocketIo = (folder: string): ChildProcess =>
  spawn(process.execPath, ['fanout/socketio.mjs'], { cwd: folder, stdio: 'ignore' })

async function startPartyServer(folder: string, state: string): Promise<ChildProcess> {
  const outfile = join(folder, 'fanout/party.bundle.js')
  await build({
    entryPoints: [join(folder, 'fanout/party.ts')],
    bundle: true,
    format: 'esm',
    external: ['cloudflare:*', 'node:*'],
    outfile,
  })
  await mkdir(join(state, 'do'))
  const args = ['serve', 'fanout/party.capnp', `-ddisk=${join(state, 'do')}`, '--experimental']
  return spawn(join(folder, 'node_modules/.bin/workerd'), args, { cwd: folder, stdio: 'ignore' })
}

async function ended(program: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => program.once('exit', resolve))
  if (program.exitCode !== null || !program.kill('SIGKILL')) return
  await gone
}

async function untilReady(url: string, name: string): Promise<void> {
  for (const until = Date.now() + READY_MS; Date.now() < until; ) {
    const { ok } = await fetch(url).catch(() => ({ ok: false }))
    if (ok) return
    await wait(100)
  }
  throw new Fault(`The peer ${name} did not start.`, 'Are its packages installed in the folder that --peers names?')
}

async function publish(text: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const sent = request(`http://${FANOUT}/publish`, { method: 'POST' }, (answer) => answer.resume().on('end', resolve))
  sent.on('error', reject).end(text)
  return promise
}

const PARTY_SERVER: Target = { url: () => `ws://${FANOUT}/r`, publish }

/** Engine.IO's own frames: 0 opens, 40 joins. */
const SOCKET_IO: Target = {
  url: () => `ws://${FANOUT}/socket.io/?EIO=4&transport=websocket`,
  greeting: { say: '40', until: (frame) => frame.startsWith('40') },
  publish,
}
