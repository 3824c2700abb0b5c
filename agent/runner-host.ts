/**
 * The program of a runner's own process: loads one runner module and serves it over IPC.
 * Nothing of the agent's identity reaches it; when the agent goes away, so does it.
 */
import { type Outcome, type Probe, type Runner, type RunOptions, toRunnerError } from './runner.ts'

export type ToHost =
  | { type: 'load'; id: number }
  | { type: 'probe'; id: number }
  | ({ type: 'run'; id: number; input: unknown } & Pick<RunOptions, 'maxUnits' | 'prefix'>)
  | { type: 'abort'; id: number }

export type FromHost =
  | { type: 'delta'; id: number; text: string; tokens: number }
  | { type: 'loaded'; id: number }
  | { type: 'probed'; id: number; probe: Probe }
  | { type: 'done'; id: number; outcome: Outcome }
  | { type: 'failed'; id: number; error: { code: string; message: string; mend: string | undefined } }

export type RunnerModule = { createRunner: () => Promise<Runner> }

function serve(modulePath: string) {
  const loading = import(modulePath).then((module: RunnerModule) => module.createRunner())
  // The failure is told with the first request; without a request nobody asked.
  loading.catch(() => {})
  const active = new Map<number, AbortController>()
  const send = (message: FromHost) => process.connected && process.send?.(message)

  const handle = async (id: number, work: (runner: Runner, signal: AbortSignal) => Promise<FromHost>) => {
    const controller = new AbortController()
    active.set(id, controller)
    try {
      const runner = await loading
      controller.signal.throwIfAborted()
      send(await work(runner, controller.signal))
    } catch (error) {
      const { code, message, mend } = toRunnerError(error)
      send({ type: 'failed', id, error: { code, message, mend } })
    } finally {
      active.delete(id)
    }
  }

  process.on('message', (message: ToHost) => {
    const { id } = message
    switch (message.type) {
      case 'load':
        return handle(id, async (runner, signal) => {
          await runner.load(signal)
          return { type: 'loaded', id }
        })
      case 'probe':
        return handle(id, async (runner, signal) => ({ type: 'probed', id, probe: await runner.probe(signal) }))
      case 'run':
        return handle(id, async (runner, signal) => {
          const onDelta = (text: string, tokens: number) => send({ type: 'delta', id, text, tokens })
          const { input, maxUnits, prefix } = message
          const outcome = await runner.run(input, { signal, onDelta, maxUnits, prefix })
          return { type: 'done', id, outcome }
        })
      case 'abort':
        return active.get(id)?.abort()
    }
  })
  process.on('disconnect', () => process.exit(0))
  // Signals to the whole group (Ctrl-C) are the agent's to handle: it lets running work finish first.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})
}

// In agent.mjs another word stands before it.
serve(process.argv.at(-1)!)
