/** A local chain: anvil, from its npm package. */
import { existsSync } from 'node:fs'
import { inRoot } from './paths.ts'
import { startProgram } from './process.ts'

export type Chain = {
  url: string
  pid: number
  /** Resolves with the exit code when it has ended. */
  ended: Promise<number>
  stop(): Promise<void>
}

export type ChainOptions = {
  /** Without it, a free one. */
  port?: number
  chainId?: number
  /** File with the state to start from, if it is there. */
  state?: string
}

const READY = /^Listening on (\S+)$/

/** Starts anvil on loopback and resolves when it answers. Its accounts are the well-known ones, and hold test ether. */
export async function startAnvil(options: ChainOptions = {}): Promise<Chain> {
  const { port = 0, chainId = 31337, state } = options
  const args = ['--host', '127.0.0.1', '--port', String(port), '--chain-id', String(chainId)]
  if (state !== undefined && existsSync(state)) args.push('--load-state', state)
  const program = startProgram(inRoot('node_modules/@foundry-rs/anvil/bin.mjs'), args)
  const address = await Promise.race([
    new Promise<string>((resolve) => {
      program.onLine((line) => {
        const [, listening] = READY.exec(line) ?? []
        if (listening) resolve(listening)
      })
    }),
    program.ended.then((code) => {
      throw new Error(`anvil ended with code ${code} before it was ready; is port ${port} in use?`)
    }),
  ])
  return { url: `http://${address}`, pid: program.pid, ended: program.ended, stop: () => program.stop() }
}
