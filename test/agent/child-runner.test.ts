import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { createChildRunner } from '#agent/child-runner.ts'
import { probeAll } from '#agent/discovery.ts'
import { type Runner, RunnerError } from '#agent/runner.ts'
import { createHeldRunner } from '../support/in-process-runner.ts'

const runners: Runner[] = []
afterEach(() => Promise.all(runners.splice(0).map((runner) => runner.close())))

function start({ patienceMs = 10_000, abortMs = 200, onCrash = (_: string) => {} } = {}): Runner {
  const module = new URL('../support/bad-runner.ts', import.meta.url)
  const runner = createChildRunner({ kind: 'llm.chat', model: 'bad', module, patienceMs, abortMs, onCrash })
  runners.push(runner)
  return runner
}

const run = (runner: Runner, order: string, signal = new AbortController().signal, onDelta = (_: string) => {}) =>
  runner.run({ order }, { signal, onDelta, maxUnits: 10 })

test.each(['crash', 'exit'])(
  'a %s of the runner fails the task, and the next one gets a fresh process',
  async (order) => {
    const onCrash = vi.fn()
    const runner = start({ onCrash })
    const before = await run(runner, 'work')
    await expect(run(runner, order)).rejects.toMatchObject({ code: 'runner_crashed' })
    expect(onCrash).toHaveBeenCalledOnce()
    const after = await run(runner, 'work')
    expect(after.output.content).not.toBe(before.output.content)
  },
)

test('a runner that hangs is killed when it has given no sign of life for its patience', async () => {
  const runner = start({ patienceMs: 1500 })
  await runner.load(AbortSignal.timeout(10_000))
  await expect(run(runner, 'hang')).rejects.toMatchObject({ code: 'runner_hung' })
  await expect(run(runner, 'work')).resolves.toBeDefined()
})

test('time in which this process stood still itself is not held against a runner', async () => {
  const runner = start({ patienceMs: 400 })
  await runner.load(AbortSignal.timeout(10_000))
  const working = run(runner, 'work')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
  await expect(working).resolves.toBeDefined()
})

test('a runner whose process fails at its start is tried once more; one that cannot do the work is not', async () => {
  const loads: string[] = []
  const failing = (model: string, code: string, times: number): Runner => ({
    ...createHeldRunner().runner,
    model,
    async load() {
      loads.push(model)
      if (loads.filter((name) => name === model).length <= times) throw new RunnerError(code, 'no such luck')
    },
  })
  const candidates = [
    failing('late', 'runner_hung', 1),
    failing('gone', 'runner_crashed', 2),
    failing('lacking', 'missing_package', 1),
  ]
  const found = await probeAll(candidates, () => {}, AbortSignal.timeout(10_000))
  expect(found.map(({ runner }) => runner.model)).toEqual(['late'])
  expect(loads.toSorted()).toEqual(['gone', 'gone', 'lacking', 'late', 'late'])
})

test('output is a sign of life: a stream may take longer than the patience', async () => {
  const runner = start({ patienceMs: 2000 })
  await runner.load(AbortSignal.timeout(10_000))
  const deltas: string[] = []
  await run(runner, 'drip', undefined, (text) => deltas.push(text))
  expect(deltas).toEqual(['0', '1', '2', '3', '4', '5'])
})

test('an error in the runner keeps its message and its process', async () => {
  const runner = start()
  const before = await run(runner, 'work')
  await expect(run(runner, 'throw')).rejects.toMatchObject({ code: 'runner_failed', message: 'no such luck' })
  expect((await run(runner, 'work')).output.content).toBe(before.output.content)
})

test('an abort stops a runner that listens, and kills one that does not', async () => {
  const onCrash = vi.fn()
  const runner = start({ onCrash })
  await runner.load(AbortSignal.timeout(10_000))
  for (const order of ['wait', 'hang']) {
    const controller = new AbortController()
    const outcome = run(runner, order, controller.signal, () => controller.abort())
    await expect(outcome).rejects.toMatchObject({ code: 'aborted' })
  }
  expect(onCrash).toHaveBeenCalledOnce()
  await expect(run(runner, 'work')).resolves.toBeDefined()
})

test('nothing of the agent environment reaches a runner but paths', async () => {
  process.env.DAICN_UPSTREAM_KEY = 'secret'
  const { output } = await run(start(), 'work')
  delete process.env.DAICN_UPSTREAM_KEY
  const allowed = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'TEMP', 'SystemRoot', 'LD_LIBRARY_PATH', 'NODE_CHANNEL_FD']
  expect(
    (output.environment as string[]).filter((name) => !allowed.includes(name) && !name.startsWith('NODE_')),
  ).toEqual([])
})

test('a runner cannot read the key', async () => {
  const file = join(await mkdtemp(join(tmpdir(), 'state-')), 'key')
  await writeFile(file, 'secret')
  const options = { signal: AbortSignal.timeout(10_000), onDelta: () => {}, maxUnits: 1 }
  const reading = start().run({ order: 'read', file }, options)
  await expect(reading).rejects.toMatchObject({ message: expect.stringContaining('restricted') })
})
