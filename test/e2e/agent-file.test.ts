/** A provider's first two minutes: one file from the edge, run on a machine that has Node and nothing else of ours. */
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { call } from '../../client/edge.ts'
import type { TaskView } from '../../core/protocol/task.ts'
import { inRoot } from '../../scripts/paths.ts'
import { createWorld, newRequester, type World } from '../support/fault-world.ts'
import { MODEL, startTokenServer } from '../support/token-server.ts'
import { hungry } from '../support/wasm.ts'

type Line = { event: string } & Record<string, unknown>

let world: World
let bare: string
let upstream: Awaited<ReturnType<typeof startTokenServer>>
beforeAll(async () => {
  ;[world, upstream] = await Promise.all([createWorld(), startTokenServer({ tokenMs: 0 })])
  bare = join(world.folder, 'bare')
  await mkdir(bare)
})
afterAll(async () => {
  await world?.end()
  await upstream?.close()
})

/** The program in a folder of its own, with an empty home and none of our environment. */
const environment = () => ({ HOME: bare, TMPDIR: bare, PATH: process.env.PATH })
const tell = (...args: string[]) =>
  promisify(execFile)(process.execPath, ['agent.mjs', ...args], { cwd: bare, env: environment() })

function start(...args: string[]) {
  const child = spawn(process.execPath, ['agent.mjs', ...args, '--log', 'json'], {
    cwd: bare,
    env: environment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  world.defer(async () => void child.kill('SIGKILL'))
  const lines: Line[] = []
  const waiting: (() => void)[] = []
  createInterface(child.stdout).on('line', (line) => {
    lines.push(JSON.parse(line))
    for (const look of waiting) look()
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const says = (event: string) =>
    new Promise<Line>((resolve, reject) => {
      const look = () => {
        const line = lines.find((line) => line.event === event)
        if (line) resolve(line)
      }
      waiting.push(look)
      look()
      void ended.then((code) => reject(new Error(`ended with ${code}: ${JSON.stringify(lines)}`)))
    })
  return { lines, says, ended }
}

test('one file from the edge is a provider that is paid for its first task', async () => {
  const began = performance.now()
  const file = Buffer.from(await (await fetch(`${world.url}/agent.mjs`)).arrayBuffer())
  const published = await (await fetch(`${world.url}/agent.mjs.sha256`)).text()
  expect(published).toBe(`${createHash('sha256').update(file).digest('hex')}  agent.mjs\n`)
  await writeFile(join(bare, 'agent.mjs'), file)

  await copyFile(inRoot('docs/examples/own-runner.mjs'), join(bare, 'own-runner.mjs'))
  const own = ['--runner', 'text.embed/letters=own-runner.mjs']
  const agent = start('--edge', world.url, '--upstream', upstream.url, ...own)
  const { address } = await agent.says('start')
  await agent.says('online')
  expect((await stat(join(bare, '.daicn', 'agent', 'key'))).mode & 0o777).toBe(0o600)
  expect(agent.lines.filter(({ event }) => event === 'missing')).toContainEqual(
    expect.objectContaining({ kind: 'doc.ocr', mend: 'npx daicn-agent has it' }),
  )

  const alice = await newRequester(world)
  const work = { kind: 'llm.chat', model: MODEL, input: { messages: [{ role: 'user', content: 'hi' }], max_tokens: 8 } }
  const run = () => call<TaskView>(alice.caller, 'POST', '/v1/tasks?waitSeconds=20', { body: work, holdMs: 20_000 })
  const task = await run()
  expect(task).toMatchObject({ status: 'succeeded', provider: (address as string).toLowerCase() })
  expect(Number(task.price)).toBeGreaterThan(0)
  const firstPaidMs = performance.now() - began
  console.log(`from the download to the first paid task: ${Math.round(firstPaidMs)} ms`)
  expect(firstPaidMs).toBeLessThan(120_000)

  const letters = { kind: 'text.embed', model: 'letters', input: { texts: ['Aaa'] } }
  const embedded = await call<TaskView>(alice.caller, 'POST', '/v1/tasks?waitSeconds=20', {
    body: letters,
    holdMs: 20_000,
  })
  expect((embedded.output as { embeddings: number[][] }).embeddings[0]!.slice(0, 3)).toEqual([1, 0, 0])

  // Where the machine has a sandbox, programs of anybody are offered too.
  if (agent.lines.some(({ event, kind }) => event === 'offer' && kind === 'wasi.run')) {
    const program = hungry(1)
    const sha256 = createHash('sha256').update(program).digest('hex')
    await call(alice.caller, 'PUT', `/v1/blobs/${sha256}`, { body: program })
    const body = { kind: 'wasi.run', input: { module: { sha256 }, seconds: 20 } }
    const ran = await call<TaskView>(alice.caller, 'POST', '/v1/tasks?waitSeconds=20', { body, holdMs: 20_000 })
    expect(ran).toMatchObject({ status: 'succeeded', units: 20, output: { exitCode: 1, stdout: '' } })
  }

  const status = JSON.parse((await tell('status', '--json')).stdout)
  expect(status).toMatchObject({
    state: 'working',
    address,
    edges: [{ edge: world.url, online: 'socket' }],
  })
  expect(status.edges[0].works).toContainEqual(
    expect.objectContaining({ model: MODEL, succeeded: 1, earned: task.price }),
  )
  // The model server has opened no card, and the own runner says itself where it works.
  const { devices, earned, unknown } = status.standings[0].earnings
  expect(devices).toContainEqual(expect.objectContaining({ id: 'CPU', earned }))
  expect(unknown).toBe('0')
  const mine = status.standings[0].why.offers.find(({ model }: { model: string }) => model === MODEL)
  expect(mine).toMatchObject({ recent: { won: 1 } })

  await tell('pause')
  const { id } = await call<TaskView>(alice.caller, 'POST', '/v1/tasks?waitSeconds=0.5', { body: work })
  expect(await call<TaskView>(alice.caller, 'GET', `/v1/tasks/${id}`)).toMatchObject({ status: 'queued' })
  await tell('resume')
  expect(await call<TaskView>(alice.caller, 'GET', `/v1/tasks/${id}?waitSeconds=20`, { holdMs: 20_000 })).toMatchObject(
    {
      status: 'succeeded',
    },
  )

  await tell('drain')
  expect(await agent.ended).toBe(0)
  await expect(tell('status')).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('no agent runs') })
  const key = (await readFile(join(bare, '.daicn', 'agent', 'key'), 'utf8')).trim()
  expect(JSON.stringify(agent.lines)).not.toContain(key)
})
