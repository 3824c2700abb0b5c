/** A runner of embeddings that the test holds in its hands: each run ends when the test says so. */
import type { Runner, RunOptions } from '#agent/runner.ts'

type Run = {
  input: unknown
  options: RunOptions
  resolve: (output?: Record<string, unknown>) => void
  reject: (error: Error) => void
}

export function createHeldRunner({ concurrency = 4, kind = 'text.embed' as Runner['kind'] } = {}) {
  const runs: Run[] = []
  const runner: Runner = {
    kind,
    model: 'held',
    concurrency,
    load: async () => {},
    probe: async () => ({ speed: 1 }),
    run: (input, options) =>
      new Promise((resolve, reject) => {
        options.signal.addEventListener('abort', () => reject(new Error('aborted')))
        const done = (output: Record<string, unknown> = { embeddings: [[1]] }) =>
          resolve({ output, usage: { inputTokens: 1, outputTokens: 0 } })
        runs.push({ input, options, resolve: done, reject })
      }),
    close: async () => {},
  }
  return { runner, runs }
}
