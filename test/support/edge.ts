/** An edge for a test: a process of its own that can be killed with all it started, and started again. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnEdge as spawn } from '../../scripts/edge-process.ts'

export type TestEdge = {
  url: string
  port: number
  state: string
  workerd: number | undefined
  /** SIGKILL to the edge and workerd at once; returns when both are gone. `spawnEdge` it again on the same state and port. */
  kill9(): Promise<void>
  stop(): Promise<void>
}

/** Takes a free port unless told one. The bundle must be built, which the tests' global setup does. */
export async function spawnEdge(options: {
  state: string
  port?: number
  chain?: Record<string, string>
}): Promise<TestEdge> {
  const port = options.port ?? (await freePort())
  const { url, workerd, program } = await spawn({ ...options, port, build: false })
  return { url, port, state: options.state, workerd, kill9: program.kill, stop: () => program.stop() }
}

/** A folder of its own, and how to remove it. */
export async function temporaryState(): Promise<{ state: string; remove(): Promise<void> }> {
  const state = await mkdtemp(join(tmpdir(), 'daicn-test-'))
  return { state, remove: () => rm(state, { recursive: true, force: true, maxRetries: 5 }) }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await new Promise<number>((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0 }, () => resolve((server.address() as { port: number }).port))
  })
  await new Promise((resolve) => server.close(resolve))
  return port
}
