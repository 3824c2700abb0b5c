import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, expect, test } from 'vitest'
import type { Ask, FoundDevice } from '#agent/devices/device.ts'
import { parseApps } from '#agent/devices/nvidia.ts'
import { listenersIn, parentIn, processesOn } from '#agent/devices/processes.ts'
import { devicesOf, type Server } from '#agent/devices/server.ts'
import { placed } from '#agent/placed.ts'
import { createHeldRunner } from '../support/in-process-runner.ts'

const WHOLE = 'GPU-3f2b8a10-6a1c-4c55-9d1e-0c2d7f1a9b01'
const OTHER = 'GPU-9c0d1e2f-1111-2222-3333-444455556666'
const PART = 'MIG-0a1b2c3d-aaaa-bbbb-cccc-ddddeeeeffff'

test("nvidia-smi's rows of processes are cards, and parts of cards, by process", () => {
  const csv = `1234, ${WHOLE}\n1234, ${PART}\n 5678, ${WHOLE}\n[N/A], ${WHOLE}\n`
  expect(parseApps(csv)).toEqual([
    { pid: 1234, device: WHOLE },
    { pid: 1234, device: PART },
    { pid: 5678, device: WHOLE },
  ])
  for (const words of ['', 'No devices were found\n', 'NVIDIA-SMI has failed because it could not communicate'])
    expect(parseApps(words)).toEqual([])
})

test("the kernel's tables tell who listens on a port, and who started whom", () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2CAA 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 31337 1 0000000000000000 100 0 0 10 0
   1: 0100007F:2CAA 0100007F:D431 01 00000000:00000000 00:00000000 00000000   998        0 40000 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 50000 1 0000000000000000 100 0 0 10 0
`
  expect(listenersIn(table, 11_434)).toEqual(['31337'])
  expect(listenersIn(table, 80)).toEqual([])
  expect(listenersIn('', 11_434)).toEqual([])
  expect(parentIn('4242 (a (strange) name) S 17 4242 4242 0 -1 4194304')).toBe(17)
})

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** As vLLM does it: one process listens, and one that it has started computes. Both end when their input does. */
const SERVER = `
const worker = require('node:child_process').spawn(process.execPath, ['-e', 'process.stdin.resume()'])
const server = require('node:net').createServer().listen(0, '127.0.0.1', () =>
  console.log(JSON.stringify({ port: server.address().port, worker: worker.pid })))
process.stdin.resume().on('end', () => process.exit())
`

async function startServer() {
  const child = spawn(process.execPath, ['-e', SERVER], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const [line] = await once(child.stdout, 'data')
  const { port, worker } = JSON.parse(String(line)) as { port: number; worker: number }
  return { pid: child.pid!, worker, url: `http://127.0.0.1:${port}`, port }
}

const card = (id: string): FoundDevice => ({ id, kind: 'nvidia', name: '', memoryBytes: 0 })
const CPU: FoundDevice = { id: 'CPU', kind: 'cpu', name: '', memoryBytes: 0 }
const onLinux = test.skipIf(process.platform !== 'linux')

onLinux('the processes behind a port are the one that listens and what it has started, and nobody else', async () => {
  const { pid, worker, port } = await startServer()
  const found = await processesOn(port)
  expect([...found!.pids].sort()).toEqual([pid, worker].sort())
  expect(found!.cardFiles).toEqual([])
  children[0]!.kill('SIGKILL')
  await once(children[0]!, 'exit')
  expect(await processesOn(port)).toBeUndefined()
})

onLinux('a server computes on the cards on which its processes are seen', async () => {
  const { url, worker } = await startServer()
  const seen =
    (...ids: string[]): Ask =>
    async (_, args) =>
      args.some((arg) => arg.startsWith('--query-compute-apps'))
        ? [`1, ${OTHER}`, ...ids.map((id) => `${worker}, ${id}`)].join('\n')
        : undefined
  const two = [card(WHOLE), card(OTHER), card(PART), CPU]
  const of = (server: Partial<Server>, devices: FoundDevice[], ask: Ask) =>
    devicesOf({ url, cardBytes: undefined, isAlone: true, ...server }, devices, ask)
  expect(await of({}, two, seen(WHOLE))).toEqual([WHOLE])
  expect(await of({}, two, seen(PART))).toEqual([PART])
  // A model that is spread over two.
  expect(await of({}, two, seen(WHOLE, OTHER))).toEqual([WHOLE, OTHER])
  // Which of several models is on which of two, nobody can see.
  expect(await of({ cardBytes: 9, isAlone: false }, two, seen(WHOLE, OTHER))).toBeUndefined()
  expect(await of({ cardBytes: 9, isAlone: false }, two, seen(WHOLE))).toEqual([WHOLE])
  expect(await of({ isAlone: false }, two, seen(WHOLE))).toBeUndefined()
  expect(await of({}, two, seen('GPU-of-nobody'))).toBeUndefined()
  // It has opened no card.
  expect(await of({}, two, seen())).toEqual(['CPU'])
  expect(await of({}, [CPU], seen())).toEqual(['CPU'])
  // It is on a card that no tool here knows.
  expect(await of({ cardBytes: 9 }, [CPU], seen())).toBeUndefined()
  expect(await of({ url: url.replace('127.0.0.1', '192.0.2.1') }, [CPU], seen())).toBeUndefined()
})

test('a server that moves is seen again after a while, and work waits for no look', async () => {
  const { runner, runs } = createHeldRunner()
  let now = 0
  let place: string[] | undefined = ['GPU-1']
  let looks = 0
  const watched = placed(
    runner,
    async () => {
      looks++
      return place
    },
    () => now,
  )
  const { signal } = new AbortController()
  const work = async () => {
    const running = watched.run({}, { signal, onDelta: () => {}, maxUnits: 1 })
    runs.at(-1)!.resolve()
    return (await running).devices
  }
  await watched.probe(signal)
  expect(await work()).toEqual(['GPU-1'])
  place = undefined
  expect(await work()).toEqual(['GPU-1'])
  expect(looks).toBe(1)
  now = 60_000
  await work()
  expect(looks).toBe(2)
  expect(await work()).toBeUndefined()
})
