/** A runner that does to its process whatever the task says. */
import { readFile } from 'node:fs/promises'
import type { Runner } from '#agent/runner.ts'

export async function createRunner(): Promise<Runner> {
  return {
    kind: 'llm.chat',
    model: 'bad',
    concurrency: 1,
    load: async () => {},
    probe: async () => ({ speed: 1 }),
    async run(input, { signal, onDelta }) {
      const order = (input as { order: string }).order
      if (order === 'hang' || order === 'wait') {
        onDelta('started', 1)
        await new Promise((resolve) => setImmediate(resolve)) // lets the message leave
      }
      if (order === 'crash') process.kill(process.pid, 'SIGSEGV')
      if (order === 'exit') process.exit(3)
      if (order === 'hang') for (;;);
      if (order === 'read') await readFile((input as { file: string }).file)
      if (order === 'throw') throw new Error('no such luck')
      if (order === 'drip') {
        for (let i = 0; i < 6; i++) {
          await new Promise((resolve) => setTimeout(resolve, 400))
          onDelta(`${i}`, 1)
        }
      }
      if (order === 'wait')
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      return {
        output: { content: String(process.pid), finishReason: 'stop', environment: Object.keys(process.env) },
        usage: { inputTokens: 0, outputTokens: 1 },
      }
    },
    close: async () => {},
  }
}
