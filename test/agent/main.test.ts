import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { openSpool } from '#agent/spool.ts'
import { type ScriptedEdge, startScriptedEdge } from '../support/scripted-edge.ts'

type Line = { at: number; event: string } & Record<string, unknown>

const MAIN = new URL('../../agent/main.ts', import.meta.url).pathname
const children: ChildProcess[] = []
const edges: ScriptedEdge[] = []
afterEach(async () => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL')
  for (const edge of edges.splice(0)) await edge.close()
})

async function startEdge(leaseSeconds = 30) {
  const edge = await startScriptedEdge({ leaseSeconds })
  edges.push(edge)
  return edge
}

const newState = () => mkdtemp(join(tmpdir(), 'agent-'))

/** The agent as its owner starts it, with the one runner that loads fastest. */
function startAgent(edge: ScriptedEdge, state: string) {
  const argv = ['--edge', edge.url, '--state', state, '--runners', 'text.embed', '--log', 'json']
  const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const lines: Line[] = []
  const reader = createInterface(child.stdout)
  reader.on('line', (line) => lines.push(JSON.parse(line)))
  const event = async (name: string) => {
    for (;;) {
      const found = lines.find((line) => line.event === name)
      if (found) return found
      await once(reader, 'line', { signal: AbortSignal.timeout(20_000) })
    }
  }
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>
  return { child, lines, event, exit }
}

const MODEL = { kind: 'text.embed' as const, model: 'universal-sentence-encoder' }
const task = (id: string, texts = ['hello']) => ({ id, ...MODEL, input: { texts } })
/** About three seconds of work. */
const LONG = Array.from({ length: 64 }, (_, i) => `A rather long sentence number ${i}. `.repeat(20))

test('a new agent makes its key, says what it offers, works, and stops at SIGTERM', async () => {
  const [edge, state] = [await startEdge(), await newState()]
  const { child, lines, event, exit } = startAgent(edge, state)
  await event('online')
  expect(lines.map((line) => line.event)).toEqual(['start', 'found', 'device', 'offer', 'online'])
  expect((await stat(join(state, 'key'))).mode & 0o777).toBe(0o600)
  expect(edge.script.registrations[0]!.offers).toMatchObject([{ ...MODEL, ask: '0.0000005' }])
  edge.grant(task('a.1'))
  expect(await event('task')).toMatchObject({ lease: 'a.1', status: 'succeeded' })
  await edge.until(() => edge.script.results.has('a.1'))
  child.kill('SIGTERM')
  expect(await exit).toEqual([0, null])
  const log = JSON.stringify(lines)
  expect(log).not.toContain((await readFile(join(state, 'key'), 'utf8')).trim())
  expect(log).not.toContain('token-')
  expect(log).not.toContain('hello')
})

test('a price that is changed in agent.toml is asked at once', async () => {
  const [edge, state] = [await startEdge(), await newState()]
  const { event } = startAgent(edge, state)
  await event('online')
  await writeFile(join(state, 'agent.toml'), '[price]\n"text.embed" = "0.25"\n')
  await event('settings')
  await edge.until(() => edge.script.registrations.length === 2)
  expect(edge.script.registrations[1]!.offers).toMatchObject([{ ask: '0.25' }])
})

test('an agent that was killed comes back under its address and hands in what it had finished', async () => {
  const [edge, state] = [await startEdge(), await newState()]
  const first = startAgent(edge, state)
  const { address } = await first.event('start')
  await first.event('online')
  edge.script.deaf = true // the edge takes the result in no more
  edge.grant(task('a.1'))
  await first.event('task')
  first.child.kill('SIGKILL')
  await first.exit
  const spool = await openSpool(join(state, 'spool'), edge.url)
  expect(spool.load()).toMatchObject([{ lease: 'a.1', outcome: { status: 'succeeded' } }])
  edge.script.deaf = false
  const second = startAgent(edge, state)
  expect(await second.event('start')).toMatchObject({ address })
  await edge.until(() => edge.script.results.has('a.1'), 20_000)
  expect(second.lines.some((line) => line.event === 'task')).toBe(false)
})

test('a second agent on the same state refuses to start', async () => {
  const [edge, state] = [await startEdge(), await newState()]
  await startAgent(edge, state).event('start')
  const second = startAgent(edge, state)
  expect(await second.event('error')).toMatchObject({ reason: `another agent runs on ${state}` })
  expect(await second.exit).toEqual([1, null])
})

test('a second signal gives back what runs and leaves at once', async () => {
  const edge = await startEdge(1)
  const { child, event, exit } = startAgent(edge, await newState())
  await event('online')
  edge.grant(task('a.1', LONG))
  await edge.until(() => edge.script.polls.some(({ renew }) => renew.includes('a.1')))
  child.kill('SIGINT')
  await event('stop')
  const from = performance.now()
  child.kill('SIGINT')
  expect(await exit).toEqual([0, null])
  expect(performance.now() - from).toBeLessThan(1500)
  expect(edge.script.results.get('a.1')?.outcome.status).toBe('returned')
})

test('a runner that dies under a task fails it, and the agent goes on', async () => {
  const edge = await startEdge(1)
  const { child, event } = startAgent(edge, await newState())
  await event('online')
  edge.grant(task('a.1', LONG))
  await edge.until(() => edge.script.polls.some(({ renew }) => renew.includes('a.1')))
  const pids = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim().split(' ')
  for (const pid of pids) process.kill(Number(pid), 'SIGKILL')
  await event('restart')
  await edge.until(() => edge.script.results.has('a.1'))
  expect(edge.script.results.get('a.1')!.outcome).toMatchObject({ status: 'failed', error: { code: 'runner_crashed' } })
  edge.grant(task('b.1'))
  await edge.until(() => edge.script.results.has('b.1'))
  expect(edge.script.results.get('b.1')!.outcome.status).toBe('succeeded')
})
